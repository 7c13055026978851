//! Data directories: who has one, how it comes to be, and whether it is one of ours.

use crate::error::{Error, Result};
use crate::making::{self, Making};
use crate::modules::Modules;
use cluster_files::marker::{self, Progress};
use cluster_files::{control, identifier};
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
    let control = fs::read(path.join(control::PATH)).unwrap_or_default();
    if control::engine_of(&control) == Some(cluster_files::Engine::Native) {
        return Err(Error::OtherEngine { path: path.into() });
    }
    let making = match marker::progress(path) {
        Progress::Done if path.join("PG_VERSION").exists() => None,
        Progress::Done if fs::read_dir(path).map_err(Error::at(path, "read"))?.next().is_some() => {
            let reason = "it is not empty, and no cluster".into();
            return Err(Error::Unusable { path: path.into(), reason });
        }
        Progress::Unsynced => {
            // Before the session makes a checkpoint, which would be taken for one of somebody for whom all was on the disk.
            making::settle(path, &directory).map_err(Error::at(path, "sync"))?;
            None
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
        } else if !entry.file_name().is_some_and(marker::is_marker) {
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

/// Gives a copy an identifier of its own.
fn renew(path: &Path) -> io::Result<()> {
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    // Its lower bits: they tell threads apart, which the process id does not.
    identifier::renew(path, identifier::fresh((std::process::id() ^ nanoseconds) as u16))
}
