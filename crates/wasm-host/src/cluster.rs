//! Data directories: who has one, how it comes to be, and whether it is one of ours.

use crate::error::{Error, Result};
use crate::modules::Modules;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The right to use a data directory, for as long as it lives. PostgreSQL's own lock file protects nothing: in every sandbox its process has the
/// same number.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "its lock is what it is for")] File);

/// Locks a data directory, and makes the cluster where there is none.
pub(crate) fn open(modules: &Modules, path: &Path) -> Result<Lock> {
    // The files in it have no modes of their own.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::at(path, "make"))?;
    let directory = File::open(path).map_err(Error::at(path, "open"))?;
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::InUse { path: path.into() }),
        Err(e) => return Err(Error::at(path, "lock")(e.into())),
        Ok(()) => {}
    }
    if !path.join("PG_VERSION").exists() {
        if fs::read_dir(path).map_err(Error::at(path, "read"))?.next().is_some() {
            let reason = "it is not empty, and no cluster".into();
            return Err(Error::Unusable { path: path.into(), reason });
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(Error::at(path, "set the mode of"))?;
        let made = copy(&modules.template(), path).and_then(|()| renew(path));
        if let Err(e) = made {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                let entry = entry.path();
                // What cannot be removed is in the way of the next one, which says so.
                let _ = if entry.is_dir() { fs::remove_dir_all(&entry) } else { fs::remove_file(&entry) };
            }
            return Err(Error::at(path, "make a cluster in")(e));
        }
    }
    // Before anything is touched: another server may have it, which locks it in another way.
    if is_for_another_machine(path) {
        return Err(Error::OtherEngine { path: path.into() });
    }
    // Left by a session that did not end; the directory's lock says that it is gone.
    match fs::remove_file(path.join("postmaster.pid")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::at(path, "remove the lock file in")(e)),
        _ => Ok(Lock(directory)),
    }
}

/// Copies the template; what makes a directory a cluster comes last, when all else is on the disk.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    copy_below(from, to)?;
    let directory = File::open(to)?;
    rustix::fs::syncfs(&directory)?;
    fs::copy(from.join("PG_VERSION"), to.join("PG_VERSION"))?;
    File::open(to.join("PG_VERSION"))?.sync_all()?;
    directory.sync_all()
}

fn copy_below(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy_below(&source, &target)?;
        } else if entry.file_name() != "PG_VERSION" || from.parent().is_some_and(|p| p.ends_with("base")) {
            fs::copy(&source, &target)?;
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
