#![doc = include_str!("../README.md")]

use bundle::{Bundle, Entry, EntryKind};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// The version of PostgreSQL in the modules, such as `18.6`.
pub fn postgres_version() -> &'static str {
    VERSION
}

/// Where the modules are: in the folder that the environment's `PGLITE_WASM` names, else unpacked below `cache`, which is done by the first who asks.
///
/// # Errors
/// When the cache cannot be written.
pub fn folder(cache: &Path) -> io::Result<PathBuf> {
    match std::env::var_os("PGLITE_WASM").filter(|value| !value.is_empty()) {
        Some(named) => Ok(named.into()),
        None => unpacked(cache),
    }
}

fn unpacked(cache: &Path) -> io::Result<PathBuf> {
    let place = cache.join(KEY);
    if place.exists() {
        return Ok(place);
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(cache)?;
    let partial = cache.join(format!("partial.{}", std::process::id()));
    let unpacked = unpack(&partial).and_then(|()| match fs::rename(&partial, &place) {
        // Somebody else was faster.
        Err(_) if place.exists() => Ok(()),
        result => result,
    });
    // It is gone where it was renamed.
    let _ = fs::remove_dir_all(&partial);
    unpacked.map(|()| place)
}

fn unpack(target: &Path) -> io::Result<()> {
    if target.exists() {
        fs::remove_dir_all(target)?;
    }
    fs::create_dir(target)?;
    let bundle = Bundle::open(BUNDLE).map_err(io::Error::other)?;
    bundle.unpack(2, |_| true, |entry, content| write(target, &entry, content)).map_err(|Failed(error)| error)?;
    // Its name says that it is whole, after a crash of the machine as well.
    rustix::fs::syncfs(&File::open(target)?)?;
    Ok(())
}

struct Failed(io::Error);

impl From<bundle::Error> for Failed {
    fn from(error: bundle::Error) -> Failed {
        Failed(io::Error::other(error))
    }
}

fn write(target: &Path, entry: &Entry<'_>, content: &[u8]) -> Result<(), Failed> {
    let path = target.join(entry.path);
    match entry.kind {
        EntryKind::Directory => fs::create_dir(&path),
        EntryKind::File(_) => fs::write(&path, content),
    }
    .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(entry.mode)))
    .map_err(Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_unpacked_once() {
        let cache = tempfile::tempdir().unwrap();
        let found = unpacked(cache.path()).unwrap();
        for file in ["pglite-stdio.wasm", "root/template/PG_VERSION", "root/share/postgresql/postgres.bki"] {
            assert!(found.join(file).is_file(), "{file}");
        }
        assert!(found.join("root/template/pg_twophase").is_dir(), "empty folders are there as well");
        fs::write(found.join("mark"), "").unwrap();
        assert_eq!(unpacked(cache.path()).unwrap(), found);
        assert!(found.join("mark").exists());
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 1);
    }
}
