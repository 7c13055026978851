//! From a path to a descriptor, without ever leaving the directory.
//!
//! `openat2` does it in one call. Without it only single names are resolved here, with `O_NOFOLLOW`; the namespace walks
//! longer paths. A symbolic link that is absolute or leads out makes `openat2` fail with `EXDEV`; the namespace then
//! looks for its target among the mounts.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::HostDir;
use super::directory::proc_path;
use crate::directory::{Attempt, How, Scope, Stop};
use crate::path;
use crate::sys::above_stdio;

/// What resolves a path of several components.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolver {
    /// The kernel, by `openat2`.
    Kernel,
    /// The namespace.
    Walk,
}

impl Resolver {
    /// `Kernel` where `openat2` exists (Linux 5.6) and is permitted.
    pub(super) fn best() -> Self {
        static BEST: OnceLock<Resolver> = OnceLock::new();
        *BEST.get_or_init(|| {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
            match rustix::fs::openat2(rustix::fs::CWD, ".", flags, Mode::empty(), resolve) {
                Ok(_) => Resolver::Kernel,
                // The working directory may be gone or forbidden; only these two speak of the call itself.
                Err(Errno::NOSYS | Errno::PERM) => Resolver::Walk,
                Err(_) => Resolver::Kernel,
            }
        })
    }
}

/// The directory of an entry.
pub(super) enum Parent<'a> {
    Same(BorrowedFd<'a>),
    Opened(OwnedFd),
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Parent::Same(fd) => *fd,
            Parent::Opened(fd) => fd.as_fd(),
        }
    }
}

/// `openat2` says `EAGAIN` when a rename anywhere kept it from being sure about a `..`.
const TRIES: usize = 4;

impl HostDir {
    /// Opens what `path` stands for; a new file's mode is still subject to the host's umask.
    pub(super) fn open_at(&self, path: &[u8], how: How, flags: OFlags, mode: Mode) -> Attempt<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        if how.scope == Scope::Entry || (self.resolver == Resolver::Walk && is_name(path)) {
            return self.open_entry(path, how.follow, flags, mode);
        }
        if self.resolver == Resolver::Walk {
            return Err(Stop::Walk);
        }
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        if how.scope == Scope::BeneathNoLinks {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        let flags = if how.follow { flags } else { flags | OFlags::NOFOLLOW };
        for _ in 0..TRIES {
            match rustix::fs::openat2(&self.fd, path, flags, mode, resolve) {
                Ok(fd) => return Ok(above_stdio(fd)?),
                Err(Errno::AGAIN) => {}
                Err(Errno::XDEV | Errno::LOOP | Errno::NOSYS) => return Err(Stop::Walk),
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(Stop::Walk)
    }

    fn open_entry(&self, name: &[u8], follow: bool, flags: OFlags, mode: Mode) -> Attempt<OwnedFd> {
        debug_assert!(is_name(name) || name == b".");
        let opened = match rustix::fs::openat(&self.fd, name, flags | OFlags::NOFOLLOW, mode) {
            // Who may read a directory need not be allowed to search it, which looking up its `.` is.
            Err(Errno::ACCESS) if name == b"." => rustix::fs::open(proc_path(self.fd.as_fd()), flags, mode),
            other => other,
        };
        let fd = match opened {
            Ok(fd) => above_stdio(fd)?,
            Err(Errno::LOOP) if follow => return Err(Stop::Walk),
            // With O_DIRECTORY this, not ELOOP, is what a link gives.
            Err(Errno::NOTDIR) if follow && self.is_link(name) => return Err(Stop::Walk),
            Err(errno) => return Err(errno.into()),
        };
        if follow && flags.contains(OFlags::PATH) {
            let stat = rustix::fs::fstat(&fd)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                return Err(Stop::Walk);
            }
        }
        Ok(fd)
    }

    fn is_link(&self, name: &[u8]) -> bool {
        rustix::fs::statat(&self.fd, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
    }

    /// An `O_PATH` descriptor of what `path` stands for.
    pub(super) fn object(&self, path: &[u8], how: How) -> Attempt<OwnedFd> {
        self.open_at(path, how, OFlags::PATH, Mode::empty())
    }

    /// The directory that holds the entry `path`, and the entry's name, perhaps with trailing slashes. The system calls
    /// on entries never follow it, nor act on a final `.` or `..`.
    pub(super) fn parent<'p>(&self, path: &'p [u8], scope: Scope) -> Attempt<(Parent<'_>, &'p [u8])> {
        let (directory, name) = path::split_last(path);
        if directory.is_empty() || scope == Scope::Entry {
            return Ok((Parent::Same(self.fd.as_fd()), path));
        }
        let how = How { scope, follow: true };
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let fd = self.open_at(directory, how, flags, Mode::empty())?;
        Ok((Parent::Opened(fd), name))
    }
}

/// One component that names an entry of the directory itself.
pub(super) fn is_name(path: &[u8]) -> bool {
    !path.contains(&b'/') && path != b".." && path != b"."
}
