//! Who has a data directory: a lock of ours, and what PostgreSQL's own lock file says.
//!
//! PostgreSQL's `postmaster.pid` holds our own process id, which it would take for a leftover of itself, both for a second database of
//! this process and for one that was restarted under the same pid, as in containers. So the directory itself is locked
//! (`flock`): the kernel lets go of that lock, whatever happens to us.

use crate::error::{Error, Result};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// How long a lock is waited for: whoever only looks (`Lock::look`) has it for a moment.
const PATIENCE: Duration = Duration::from_millis(30);
const STEP: Duration = Duration::from_millis(3);

/// The right to use a data directory, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    directory: OwnedFd,
    owner: u32,
}

impl Lock {
    /// Takes the lock; an error names who has it. Afterwards no lock file of a dead server is in the way.
    pub(crate) fn take(path: &Path) -> Result<Lock> {
        let lock = Lock::acquire(path)?;
        check_lock_file(path, true)?;
        Ok(lock)
    }

    /// Takes the lock and lets go of it: an error names who has it.
    pub(crate) fn look(path: &Path) -> Result<()> {
        let _lock = Lock::acquire(path)?;
        check_lock_file(path, false)
    }

    fn acquire(path: &Path) -> Result<Lock> {
        let directory = open(path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .and_then(|fd| rustix::io::fcntl_dupfd_cloexec(&fd, 3))
            .map_err(|e| Error::at(path, "open", e))?;
        // The descriptor that was duplicated is closed; the lock belongs to the open file that both share.
        let mut patience = PATIENCE;
        loop {
            match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) if patience.is_zero() => {
                    return Err(Error::InUse { path: path.into(), holder: holder(path) });
                }
                Err(Errno::WOULDBLOCK) => {
                    std::thread::sleep(STEP);
                    patience = patience.saturating_sub(STEP);
                }
                // Or a file system without locks: PostgreSQL's own lock file is all there is.
                _ => return Ok(Lock { directory, owner: std::process::id() }),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Unlocked by hand, for a fork of this process may hold the same open file; but never by such a fork.
        if std::process::id() == self.owner {
            let _ = flock(&self.directory, FlockOperation::Unlock);
        }
    }
}

/// The lines of `postmaster.pid`, where there is one.
fn lock_file(path: &Path) -> Option<Vec<String>> {
    let text = fs::read_to_string(path.join("postmaster.pid")).ok()?;
    Some(text.lines().map(str::to_owned).collect())
}

fn pid(lines: &[String]) -> Option<i32> {
    // A standalone backend writes its pid as a negative number.
    lines.first()?.trim().parse::<i32>().ok().map(i32::abs)
}

fn name_of(pid: i32) -> String {
    match fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("process {pid} ({})", name.trim()),
        Err(_) => format!("process {pid}"),
    }
}

/// Who holds our lock.
fn holder(path: &Path) -> String {
    match lock_file(path).and_then(|lines| pid(&lines)) {
        Some(pid) if pid as u32 == std::process::id() => format!("this process ({pid})"),
        Some(pid) => name_of(pid),
        None => "another process that is opening or closing it".into(),
    }
}

/// Looks for a stock server on the directory; removes a lock file that a dead one left where PostgreSQL itself would be
/// misled by a pid that means another process today.
fn check_lock_file(path: &Path, remove: bool) -> Result<()> {
    let Some(lines) = lock_file(path) else { return Ok(()) };
    let Some(pid) = pid(&lines) else { return Ok(()) };
    if segment_in_use(&lines) {
        return Err(Error::InUse {
            path: path.into(),
            holder: format!("what is left of the server of {}", name_of(pid)),
        });
    }
    if pid as u32 == std::process::id() || !alive(pid) {
        return Ok(());
    }
    // A server works in its data directory.
    let serves = match fs::read_link(format!("/proc/{pid}/cwd")) {
        Ok(cwd) => same_file(&cwd, path),
        Err(_) => fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.contains("postgres")),
    };
    if serves {
        return Err(Error::InUse { path: path.into(), holder: name_of(pid) });
    }
    if !remove {
        return Ok(());
    }
    tracing::info!(target: "postgres", "removing a stale lock file: process {pid} is not a server on {}", path.display());
    let file = path.join("postmaster.pid");
    fs::remove_file(&file).map_err(|e| Error::at(&file, "remove", e))
}

fn alive(pid: i32) -> bool {
    let Some(pid) = rustix::process::Pid::from_raw(pid) else { return false };
    !matches!(rustix::process::test_kill_process(pid), Err(Errno::SRCH))
}

fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Whether the shared memory that a stock server noted in line 7 is still attached: its children outlived it.
fn segment_in_use(lines: &[String]) -> bool {
    let Some(line) = lines.get(6) else { return false };
    let mut numbers = line.split_whitespace().filter_map(|n| n.parse::<i64>().ok());
    let (Some(key), Some(id)) = (numbers.next(), numbers.next()) else { return false };
    crate::shared_memory::attached(key, id)
}
