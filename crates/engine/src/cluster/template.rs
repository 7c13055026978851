//! Makes a cluster out of the template: an unpack with a system identifier of its own.

use crate::error::{Error, Result};
use bundle::{Bundle, EntryKind};
use cluster_files::{control, identifier};
use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where a template is unpacked.
pub(crate) enum Target<'a> {
    /// A directory of the host, which exists.
    Directory(&'a Path),
    /// A tree in memory.
    Memory(&'a vfs::MemoryFs),
}

/// Creating a thousand files is work for more than one core, but a third thread only waits for the file system.
const THREADS: usize = 2;

/// PostgreSQL tells clusters of one moment apart by its pid; many of ours are made by one process.
fn fresh_identifier() -> u64 {
    let mut random = [0; 2];
    // Without randomness the time alone must do.
    let _ = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty());
    identifier::fresh(u16::from_ne_bytes(random))
}

/// Unpacks what is wanted of the template, with a fresh system identifier. All directories are.
pub(crate) fn unpack(template: &Bundle, target: &Target<'_>, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let new = fresh_identifier();
    let old = control::identifier(&template.read_path(control::PATH)?).ok_or_else(damaged)?;
    // Equal files of a tree in memory share their bytes until they are written to.
    let shared = Mutex::new(HashMap::<_, vfs::Bytes>::new());
    let unpacked = template.unpack(THREADS, wanted, |entry, content| {
        let changed = match entry.path {
            control::PATH => {
                let mut control = content.to_vec();
                identifier::in_control(&mut control, new).ok_or_else(damaged)?;
                Some(control)
            }
            path if path.starts_with("pg_wal/") => identifier::in_segment(content, old, new),
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

fn damaged() -> Error {
    Error::Bundle(bundle::Error::NotFound("a valid global/pg_control".into()))
}
