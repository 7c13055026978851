//! Makes a cluster out of the template: an unpack with a system identifier of its own.
//!
//! The identifier is in `pg_control` (its first eight bytes, under a checksum that follows the structure) and in
//! the first page header of each WAL segment. Nothing else in a cluster knows it.

use crate::error::{Error, Result};
use bundle::{Bundle, EntryKind};
use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a template is unpacked.
pub(crate) enum Target<'a> {
    /// A directory of the host, which exists.
    Directory(&'a Path),
    /// A tree in memory.
    Memory(&'a vfs::MemoryFs),
}

/// Creating a thousand files is work for more than one core, but a third thread only waits for the file system.
const THREADS: usize = 2;

/// As PostgreSQL makes them: the time in seconds, then microseconds, then twelve bits that it takes from the pid and we
/// from the random number generator, for many clusters are made by one process.
fn fresh_identifier() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut random = [0; 2];
    // Without randomness the time alone must do.
    let _ = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty());
    now.as_secs() << 32 | u64::from(now.subsec_micros()) << 12 | u64::from(u16::from_ne_bytes(random)) & 0xfff
}

/// Unpacks what is wanted of the template, with a fresh system identifier. All directories are.
pub(crate) fn unpack(template: &Bundle, target: &Target<'_>, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let identifier = fresh_identifier();
    let control = template.read_path("global/pg_control")?;
    let old = u64::from_le_bytes(first_eight(&control).ok_or_else(damaged)?);
    // Equal files of a tree in memory share their bytes until they are written to.
    let shared = Mutex::new(HashMap::<_, vfs::Bytes>::new());
    let unpacked = template.unpack(THREADS, wanted, |entry, content| {
        let changed = match entry.path {
            "global/pg_control" => Some(new_control(content, identifier)?),
            path if path.starts_with("pg_wal/") => new_segment(content, old, identifier),
            _ => None,
        };
        match (target, entry.kind) {
            (Target::Directory(root), EntryKind::Directory) => {
                let path = root.join(entry.path);
                fs::DirBuilder::new()
                    .recursive(true)
                    .mode(entry.mode)
                    .create(&path)
                    .map_err(|e| Error::at(&path, "create", e))
            }
            (Target::Directory(root), EntryKind::File(_)) => {
                write_file(&root.join(entry.path), entry.mode, changed.as_deref().unwrap_or(content))
            }
            (Target::Memory(tree), EntryKind::Directory) => tree
                .insert_directory(entry.path.as_bytes(), entry.mode)
                .map_err(|e| Error::at(Path::new(entry.path), "create", e)),
            (Target::Memory(tree), EntryKind::File(file)) => {
                let bytes = match changed {
                    Some(changed) => changed.into(),
                    None => lock(&shared).entry(file).or_insert_with(|| content.to_vec().into()).clone(),
                };
                tree.insert_file(entry.path.as_bytes(), entry.mode, vfs::Content::Bytes(bytes))
                    .map_err(|e| Error::at(Path::new(entry.path), "create", e))
            }
        }
    });
    match (unpacked, target) {
        // Which file was the first that did not fit is chance.
        (Err(Error::NoSpace(_)), Target::Directory(root)) => Err(Error::NoSpace(root.into())),
        (result, _) => result,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn write_file(path: &Path, mode: u32, content: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .map_err(|e| Error::at(path, "create", e))?;
    file.write_all(content).map_err(|e| Error::at(path, "write", e))?;
    // The host's umask may have taken bits away.
    let right = file.metadata().map(|m| m.permissions().mode() & 0o7777 == mode);
    if !right.unwrap_or(false) {
        file.set_permissions(fs::Permissions::from_mode(mode)).map_err(|e| Error::at(path, "set the mode of", e))?;
    }
    Ok(())
}

fn first_eight(bytes: &[u8]) -> Option<[u8; 8]> {
    bytes.first_chunk().copied()
}

fn damaged() -> Error {
    Error::Bundle(bundle::Error::NotFound("a valid global/pg_control".into()))
}

/// `pg_control` with another identifier. Where its checksum stands depends on the version: it is the place that fits.
fn new_control(old: &[u8], identifier: u64) -> Result<Vec<u8>> {
    let end = (64..old.len().min(8192) - 4)
        .step_by(4)
        .find(|end| old[*end..*end + 4] == crc32c::crc32c(&old[..*end]).to_le_bytes())
        .ok_or_else(damaged)?;
    let mut new = old.to_vec();
    new[..8].copy_from_slice(&identifier.to_le_bytes());
    let sum = crc32c::crc32c(&new[..end]);
    new[end..end + 4].copy_from_slice(&sum.to_le_bytes());
    Ok(new)
}

/// A WAL segment whose first page header has another identifier; `None` for any other file.
fn new_segment(old: &[u8], from: u64, to: u64) -> Option<Vec<u8>> {
    const IDENTIFIER: std::ops::Range<usize> = 24..32;
    (old.get(IDENTIFIER)? == from.to_le_bytes()).then(|| {
        let mut new = old.to_vec();
        new[IDENTIFIER].copy_from_slice(&to.to_le_bytes());
        new
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_file_keeps_its_checksum_right() {
        let mut old = vec![7u8; 8192];
        old[..8].copy_from_slice(&1u64.to_le_bytes());
        let sum = crc32c::crc32c(&old[..292]);
        old[292..296].copy_from_slice(&sum.to_le_bytes());
        let new = new_control(&old, 99).unwrap();
        assert_eq!(new[..8], 99u64.to_le_bytes());
        assert_eq!(new[292..296], crc32c::crc32c(&new[..292]).to_le_bytes());
        assert_eq!(new[8..292], old[8..292]);
        assert!(new_control(&vec![7u8; 8192], 99).is_err());
    }

    #[test]
    fn identifiers_differ() {
        let all: std::collections::BTreeSet<u64> = (0..50)
            .map(|_| {
                std::thread::sleep(std::time::Duration::from_micros(2));
                fresh_identifier()
            })
            .collect();
        assert_eq!(all.len(), 50);
    }
}
