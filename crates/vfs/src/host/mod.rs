//! Directories of the host.

mod directory;
mod resolve;

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

pub(crate) use directory::HostDir;
use resolve::Resolver;

use crate::directory::{Directory, FileSystem};
use crate::sys::above_stdio;

/// A directory of the host and what lies below it.
///
/// The directory is held by a descriptor, so it stays the same one if it is renamed.
pub struct HostFs {
    root: Arc<HostDir>,
    path: PathBuf,
}

impl HostFs {
    /// Opens the directory at `path`, which may be a symbolic link.
    ///
    /// # Errors
    /// What `open` says: `ENOENT`, `ENOTDIR`, `EACCES`, ...
    pub fn open(path: &Path) -> Result<Arc<Self>, Errno> {
        Self::open_with(path, Resolver::best())
    }

    /// As [`HostFs::open`], but resolves paths component by component, as happens by itself where the kernel, or a
    /// seccomp filter, does not offer `openat2`. Slower; there for tests and comparisons.
    ///
    /// # Errors
    /// As [`HostFs::open`].
    pub fn open_walking(path: &Path) -> Result<Arc<Self>, Errno> {
        Self::open_with(path, Resolver::Walk)
    }

    fn open_with(path: &Path, resolver: Resolver) -> Result<Arc<Self>, Errno> {
        let path = fs::canonicalize(path).map_err(|e| errno_of(&e))?;
        let root = Arc::new(HostDir::new(open_path(&path)?, resolver));
        Ok(Arc::new(Self { root, path }))
    }
}

impl FileSystem for HostFs {
    fn root(&self) -> Arc<dyn Directory> {
        self.root.clone()
    }

    fn host_path(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

/// What a policy grant found on the host.
pub(crate) enum Granted {
    /// A directory.
    Tree(Arc<HostFs>),
    /// Something else, or nothing yet: an entry of this directory.
    Entry(Arc<HostFs>, Vec<u8>),
}

/// Opens what a host path stands for now; symbolic links are the host's to set, and are followed.
pub(crate) fn open_granted(path: &Path) -> Result<Granted, Errno> {
    let real = match fs::canonicalize(path) {
        Ok(real) if real.is_dir() => return HostFs::open(&real).map(Granted::Tree),
        Ok(real) => real,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => path.to_owned(),
        Err(e) => return Err(errno_of(&e)),
    };
    let (Some(parent), Some(name)) = (real.parent(), real.file_name()) else {
        return Err(Errno::INVAL);
    };
    Ok(Granted::Entry(HostFs::open(parent)?, name.as_bytes().to_vec()))
}

fn open_path(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    above_stdio(rustix::fs::open(path, flags, Mode::empty())?)
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
