//! What a file system must offer to be mounted.

use std::any::Any;
use std::ffi::c_int;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use crate::identity::Identity;
use crate::types::{DirEntry, File, Special};

/// A file system: a tree of directories.
pub trait FileSystem: Send + Sync {
    /// The root directory.
    fn root(&self) -> Arc<dyn Directory>;

    /// Where the root directory lies on the host, if it does.
    fn host_path(&self) -> Option<&Path> {
        None
    }
}

/// How far a directory may resolve the path that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Any relative path, as long as it stays below the directory at each step.
    Beneath,
    /// The same, but an operation that meets a symbolic link before the end must [`Stop::Walk`], because mounts lie below.
    BeneathNoLinks,
    /// One name in this directory (for the operations on entries perhaps with a trailing slash), or `.`.
    Entry,
}

/// How a directory is to resolve a path.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// How far.
    pub scope: Scope,
    /// What to do with a symbolic link at the end: follow it, or, in [`Scope::Entry`], [`Stop::Walk`].
    pub follow: bool,
}

/// Why an operation was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It failed, and that is the answer.
    Errno(Errno),
    /// The directory cannot, or must not, resolve the path on its own: nothing was done, the namespace shall walk it
    /// component by component.
    Walk,
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Stop::Errno(errno)
    }
}

/// The result of an operation on a path below a directory.
pub type Attempt<T> = Result<T, Stop>;

/// What a name stands for.
pub enum Found {
    /// A directory, held open.
    Directory(Arc<dyn Directory>),
    /// A symbolic link and its text.
    Symlink(Vec<u8>),
    /// Anything else.
    Other,
}

/// A directory, held open. The operations are those of Linux's `*at` calls.
///
/// Paths are relative, not empty, without leading slash. `stat` and `chown` speak of the host's ids; see [`Identity`].
#[allow(missing_docs)]
pub trait Directory: Any + Send + Sync {
    /// One name, which is neither `.` nor `..`; a link is never followed.
    ///
    /// # Errors
    /// `ENOENT` and what else the file system says.
    fn lookup(&self, name: &[u8]) -> Result<Found, Errno>;

    /// `flags` hold no `O_NOFOLLOW` (that is `how`), and no `O_CREAT` where the path ends in a slash.
    fn open(&self, path: &[u8], how: How, flags: c_int, mode: u32) -> Attempt<File>;
    fn stat(&self, path: &[u8], how: How) -> Attempt<libc::stat>;
    fn access(&self, path: &[u8], how: How, mode: c_int, identity: &Identity) -> Attempt<()>;
    fn chmod(&self, path: &[u8], how: How, mode: u32) -> Attempt<()>;
    fn chown(&self, path: &[u8], how: How, uid: Option<u32>, gid: Option<u32>) -> Attempt<()>;
    fn truncate(&self, path: &[u8], how: How, length: u64) -> Attempt<()>;
    fn set_times(&self, path: &[u8], how: How, times: &[libc::timespec; 2]) -> Attempt<()>;
    fn statvfs(&self, path: &[u8], how: How) -> Attempt<libc::statvfs>;
    fn read_dir(&self, path: &[u8], how: How) -> Attempt<Vec<DirEntry>>;
    fn readlink(&self, path: &[u8], how: How) -> Attempt<Vec<u8>>;
    fn special(&self, path: &[u8], how: How) -> Attempt<Option<Special>>;

    fn mkdir(&self, path: &[u8], scope: Scope, mode: u32) -> Attempt<()>;
    fn rmdir(&self, path: &[u8], scope: Scope) -> Attempt<()>;
    fn unlink(&self, path: &[u8], scope: Scope) -> Attempt<()>;
    fn symlink(&self, target: &[u8], path: &[u8], scope: Scope) -> Attempt<()>;
    /// Whether there is such an entry, of whatever kind; an error if there cannot be one.
    fn has_entry(&self, path: &[u8], scope: Scope) -> Attempt<bool>;
    fn bind_special(&self, path: &[u8], scope: Scope, special: Special, mode: u32) -> Attempt<()>;
    /// `to` is a directory of the same mount. The old path stands for no directory.
    fn link(&self, path: &[u8], scope: Scope, to: &dyn Directory, new: &[u8], new_scope: Scope) -> Attempt<()>;
    /// `to` is a directory of the same mount.
    fn rename(&self, path: &[u8], to: &dyn Directory, new: &[u8], scope: Scope) -> Attempt<()>;

    /// The kernel's descriptor of this directory, if it has one.
    fn host_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
