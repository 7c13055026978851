//! Data directories: who has one, how it comes to be, and whether it is one of ours.

use crate::error::{Error, Result};
use crate::making::{self, Making};
use crate::marker::{self, Progress};
use crate::modules::Modules;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The right to use a data directory, for as long as it lives. PostgreSQL's own lock file protects nothing: in every sandbox its process has the
/// same number.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "its lock is what it is for")] File);

/// Locks a data directory, and makes the cluster where there is none, or one that was never finished.
pub(crate) fn open(modules: &Modules, path: &Path) -> Result<(Lock, Option<Making>)> {
    // The files in it have no modes of their own.
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::at(path, "make"))?;
    let directory = File::open(path).map_err(Error::at(path, "open"))?;
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::InUse { path: path.into() }),
        Err(e) => return Err(Error::at(path, "lock")(e.into())),
        Ok(()) => {}
    }
    // Before anything is touched: another server may have it, which locks it in another way.
    if is_for_another_machine(path) {
        return Err(Error::OtherEngine { path: path.into() });
    }
    let making = match marker::progress(path) {
        Progress::Done if path.join("PG_VERSION").exists() => None,
        Progress::Done if fs::read_dir(path).map_err(Error::at(path, "read"))?.next().is_some() => {
            let reason = "it is not empty, and no cluster".into();
            return Err(Error::Unusable { path: path.into(), reason });
        }
        Progress::Unsynced => {
            let directory = directory.try_clone().map_err(Error::at(path, "open"))?;
            Some(Making::begin(&modules.template(), path, Vec::new(), directory).map_err(Error::at(path, "sync"))?)
        }
        Progress::Done | Progress::Unfinished => {
            clear(path).map_err(Error::at(path, "empty"))?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(Error::at(path, "set the mode of"))?;
            let made = make(&modules.template(), path, &directory);
            // Else the next one does it.
            Some(made.inspect_err(|_| drop(clear(path))).map_err(Error::at(path, "make a cluster in"))?)
        }
    };
    // Left by a session that did not end; the directory's lock says that it is gone.
    match fs::remove_file(path.join("postmaster.pid")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::at(path, "remove the lock file in")(e)),
        _ => Ok((Lock(directory), making)),
    }
}

/// Removes everything; the marker last, so that what could not be removed is not taken for a cluster.
fn clear(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?.path();
        if entry.is_dir() {
            fs::remove_dir_all(&entry)?;
        } else if !marker::is_at(&entry) {
            fs::remove_file(&entry)?;
        }
    }
    marker::remove(path)
}

/// Makes all of a cluster but the files of its databases, and begins with those.
fn make(template: &Path, path: &Path, directory: &File) -> io::Result<Making> {
    marker::begin(path)?;
    let mut later = Vec::new();
    let mut bytes = 0;
    make_below(template, path, "", &mut later, &mut bytes)?;
    renew(path)?;
    let room = making::has_room(path, later.len() as u64, bytes);
    let making = Making::begin(template, path, later, directory.try_clone()?)?;
    if !room {
        making.cluster().wait_made()?;
    }
    Ok(making)
}

/// The directory that is filled later.
const LATER: &str = "base/";

/// Makes what is below a path of the cluster. Files that come later are listed, with about the bytes that they will take.
fn make_below(template: &Path, root: &Path, at: &str, later: &mut Vec<String>, bytes: &mut u64) -> io::Result<()> {
    for entry in fs::read_dir(template.join(at))? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| io::Error::other("a name that is not UTF-8"))?;
        let name = if at.is_empty() { name } else { format!("{at}/{name}") };
        if entry.file_type()?.is_dir() {
            DirBuilder::new().mode(0o700).create(root.join(&name))?;
            make_below(template, root, &name, later, bytes)?;
        } else if name.starts_with(LATER) {
            // A block, and what the file system keeps of it.
            *bytes += entry.metadata()?.len().next_multiple_of(4096) + 4096;
            later.push(name);
        } else {
            making::copy(&entry.path(), &root.join(&name))?;
        }
    }
    Ok(())
}

/// Gives a copy an identifier of its own: it is in the control file, under a checksum, and in the first page of each segment of the log.
fn renew(path: &Path) -> io::Result<()> {
    let control = path.join("global/pg_control");
    let mut bytes = fs::read(&control)?;
    let damaged = || io::Error::other("the template's pg_control is damaged");
    let old: [u8; 8] = bytes.first_chunk().copied().ok_or_else(damaged)?;
    let end = (64..bytes.len().min(8192) - 4)
        .step_by(4)
        .find(|end| bytes[*end..*end + 4] == crc32c::crc32c(&bytes[..*end]).to_le_bytes())
        .ok_or_else(damaged)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let low = u64::from(std::process::id()) ^ u64::from(now.subsec_nanos());
    let new = now.as_secs() << 32 | u64::from(now.subsec_micros()) << 12 | low & 0xfff;
    bytes[..8].copy_from_slice(&new.to_le_bytes());
    let sum = crc32c::crc32c(&bytes[..end]);
    bytes[end..end + 4].copy_from_slice(&sum.to_le_bytes());
    fs::write(&control, bytes)?;
    for entry in fs::read_dir(path.join("pg_wal"))? {
        let path = entry?.path();
        if path.is_file() {
            let mut segment = fs::read(&path)?;
            if segment.get(24..32) == Some(&old[..]) {
                segment[24..32].copy_from_slice(&new.to_le_bytes());
                fs::write(&path, segment)?;
            }
        }
    }
    Ok(())
}

/// Whether the control file is that of a PostgreSQL 18 which passes numbers of eight bytes by value, as those for 64-bit machines do.
fn is_for_another_machine(path: &Path) -> bool {
    const VERSION: [u8; 4] = 1800u32.to_le_bytes();
    let control = fs::read(path.join("global/pg_control")).unwrap_or_default();
    control.get(8..12) == Some(&VERSION[..]) && control.get(248) == Some(&1)
}
