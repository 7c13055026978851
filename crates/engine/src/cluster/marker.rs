//! A file that is in a directory from before the first file of a new cluster until all of them are on the disk.
//!
//! It is empty while files are missing. Then it says in which boot of the machine the cluster was completed, and at which
//! checkpoint: as long as the machine has not crashed all files are there, whatever happened to the process.

use crate::error::{Error, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

const NAME: &str = "libpglite.unfinished";

/// How far the making of a cluster went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is no marker: a cluster that is whole, or no cluster of ours.
    Done,
    /// All files are there, but maybe not on the disk.
    Unsynced,
    /// Some files may not be there. Nothing in them was promised to anybody.
    Unfinished,
}

/// Whether `name` is that of the marker.
pub(crate) fn is_marker(name: &std::ffi::OsStr) -> bool {
    name == NAME
}

/// What the marker in a directory says.
pub(crate) fn progress(path: &Path) -> Progress {
    let text = match fs::read_to_string(path.join(NAME)) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound || e.kind() == ErrorKind::NotADirectory => return Progress::Done,
        Err(_) => return Progress::Unfinished,
    };
    let mut words = text.split_whitespace();
    let (Some(boot), Some(made_at)) = (words.next(), words.next()) else { return Progress::Unfinished };
    if Some(boot) == this_boot().as_deref() {
        return Progress::Unsynced;
    }
    // Another PostgreSQL may have taken the directory over before the crash: then it has made a checkpoint of its own.
    match checkpoint(path) {
        Some(now) if now != made_at => Progress::Unsynced,
        _ => Progress::Unfinished,
    }
}

/// Says that files are missing.
pub(crate) fn begin(path: &Path) -> Result<()> {
    write(path, "")
}

/// Says that all files are there.
pub(crate) fn complete(path: &Path) -> Result<()> {
    // Without the number of the boot a crash of the process counts as one of the machine.
    match (this_boot(), checkpoint(path)) {
        (Some(boot), Some(checkpoint)) => write(path, &format!("{boot} {checkpoint}\n")),
        _ => Ok(()),
    }
}

/// All is on the disk, or need not be.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let marker = path.join(NAME);
    match fs::remove_file(&marker) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::at(&marker, "remove", e)),
        _ => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let marker = path.join(NAME);
    fs::write(&marker, text).map_err(|e| Error::at(&marker, "write", e))
}

fn this_boot() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

/// Where in the log the last checkpoint is, from `pg_control`.
fn checkpoint(path: &Path) -> Option<String> {
    let control = fs::read(path.join("global/pg_control")).ok()?;
    let location = control.get(32..40)?.try_into().ok().map(u64::from_le_bytes)?;
    Some(format!("{location:X}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(checkpoint: u64) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("global")).unwrap();
        let mut control = vec![1u8; 8192];
        control[32..40].copy_from_slice(&checkpoint.to_le_bytes());
        fs::write(dir.path().join("global/pg_control"), control).unwrap();
        dir
    }

    #[test]
    fn a_crash_of_the_machine_makes_a_complete_cluster_unfinished() {
        let dir = cluster(0x0100_0028);
        let path = dir.path();
        assert_eq!(progress(path), Progress::Done);
        begin(path).unwrap();
        assert_eq!(progress(path), Progress::Unfinished);
        complete(path).unwrap();
        assert_eq!(progress(path), Progress::Unsynced);
        write(path, "another-boot 1000028\n").unwrap();
        assert_eq!(progress(path), Progress::Unfinished);
        remove(path).unwrap();
        assert_eq!(progress(path), Progress::Done);
    }

    #[test]
    fn what_another_server_has_used_is_kept() {
        let dir = cluster(0x0200_0028);
        write(dir.path(), "another-boot 1000028\n").unwrap();
        assert_eq!(progress(dir.path()), Progress::Unsynced);
    }
}
