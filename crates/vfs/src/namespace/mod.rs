//! The root directory of a virtual system: what is mounted where, and how paths are resolved across mounts.

mod ops;
mod resolve;
mod synthetic;
mod table;
mod walk;

use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustix::io::Errno;

use crate::directory::{Directory, FileSystem, How};
use crate::host::{Granted, open_granted};
use crate::identity::Identity;
use crate::path;
use crate::pending::{Owner, Pending};
use crate::types::Access;
use synthetic::Synthetic;
use table::{Mount, Table};
use walk::Node;

/// The file name space of one virtual system. See the crate's documentation.
///
/// All operations take the current directory that a relative path starts from. They may run on any number of threads
/// at once.
pub struct Namespace {
    identity: Identity,
    table: RwLock<Arc<Table>>,
    synthetic: Arc<Mount>,
    pending: Owner,
}

/// The current directory of a virtual process. A clone is what `fork` inherits.
///
/// It holds its directory open, so a relative path costs one system call, also after the directory was renamed.
#[derive(Clone)]
pub struct Cwd {
    node: Node,
    path: Vec<u8>,
}

impl Cwd {
    /// `getcwd`: the absolute path, without links, by which the directory was found.
    pub fn path(&self) -> &[u8] {
        or_root(&self.path)
    }
}

/// The place of an entry on the host, as `bind` and `connect` of Unix sockets need it.
#[derive(Debug)]
pub struct HostEntry {
    /// The directory, by an `O_PATH` descriptor.
    pub directory: OwnedFd,
    /// The entry's name in it, or `.`.
    pub name: OsString,
    /// Where that was when it was resolved.
    pub path: PathBuf,
    /// What the mount or grant allows.
    pub access: Access,
}

impl HostEntry {
    /// A path through the held directory: short enough for `sun_path`, and safe from renames on the way to the entry.
    /// Valid while this lives.
    pub fn short_path(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.directory.as_raw_fd().to_string()).join(&self.name)
    }
}

/// A directory, and a path to be resolved there.
struct At<'a> {
    mount: &'a Mount,
    dir: &'a dyn Directory,
    path: &'a [u8],
    how: How,
}

impl Namespace {
    /// An empty name space, in which there is only the root directory.
    pub fn new(identity: Identity) -> Self {
        let root = Arc::new(Synthetic::new(b""));
        let mut synthetic = Mount::new(b"", root, Access::ReadWrite);
        synthetic.synthetic = true;
        Self { identity, table: RwLock::default(), synthetic: Arc::new(synthetic), pending: Owner::default() }
    }

    /// Who the programs inside believe to be.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The root directory, as a current directory to start with.
    pub fn root(&self) -> Cwd {
        Cwd { node: self.root_node(&self.table()), path: Vec::new() }
    }

    /// Shows a file system at the absolute path `at`. It hides whatever another mount has there; the directories on the
    /// way need not exist.
    ///
    /// # Errors
    /// `EINVAL` unless `at` is absolute and free of `.`, `..` and empty components; `EBUSY` if something is mounted there.
    pub fn mount(&self, at: &[u8], fs: Arc<dyn FileSystem>, access: Access) -> Result<(), Errno> {
        let path = mount_point(at)?;
        let mut mount = Mount::new(path, fs.root(), access);
        mount.host = fs.host_path().map(Path::to_owned);
        self.change(|table| {
            if table.at(path).is_some() {
                return Err(Errno::BUSY);
            }
            table.insert(Arc::new(mount));
            Ok(())
        })
    }

    /// Shows entries of a file system's root directory in the directory `at`, under their own names. They need not exist yet, and can
    /// be renamed to each other. Listings of `at` leave them out, with whatever they hide: they are for those who know of them.
    ///
    /// # Errors
    /// As [`Namespace::mount`], for each of the paths; `EINVAL` also for a name with a slash in it.
    pub fn mount_entries(&self, at: &[u8], fs: &dyn FileSystem, names: &[&[u8]], access: Access) -> Result<(), Errno> {
        let (directory, root) = (mount_point(at)?, fs.root());
        self.change(|table| {
            for name in names {
                let path = path::join(directory, name);
                if mount_point(&path)? != path || name.contains(&b'/') {
                    return Err(Errno::INVAL);
                }
                if table.at(&path).is_some() {
                    return Err(Errno::BUSY);
                }
                let mut mount = Mount::new(&path, root.clone(), access);
                mount.host = fs.host_path().map(Path::to_owned);
                mount.entry = Some(name.to_vec());
                mount.listed = false;
                table.insert(Arc::new(mount));
            }
            Ok(())
        })
    }

    /// Shows a path of the host at its own place: a directory with all below it, or one entry of a directory, which need
    /// not exist yet. A second grant of the same path replaces the first. Links in `host_path` are followed now, once.
    ///
    /// # Errors
    /// `EINVAL` as for [`Namespace::mount`], or what the host says.
    pub fn grant(&self, host_path: &[u8], access: Access) -> Result<(), Errno> {
        let path = mount_point(host_path)?;
        let granted = open_granted(Path::new(std::ffi::OsStr::from_bytes(or_root(path))))?;
        let (fs, entry) = match granted {
            Granted::Tree(fs) => (fs, None),
            Granted::Entry(fs, name) => (fs, Some(name)),
        };
        let mut mount = Mount::new(path, fs.root(), access);
        mount.host = fs.host_path().map(Path::to_owned);
        mount.entry = entry;
        self.change(|table| {
            table.insert(Arc::new(mount));
            Ok(())
        })
    }

    /// From now on `owner` is asked before each operation on a path, or nobody. Links are not followed for that: what is pending must be
    /// reached by its own path.
    pub fn set_pending(&self, owner: Option<Arc<dyn Pending>>) {
        self.pending.set(owner);
    }

    /// Takes a mount or grant away. Files, and current directories, that are open in it stay usable.
    ///
    /// # Errors
    /// `EINVAL` if there is none.
    pub fn unmount(&self, at: &[u8]) -> Result<(), Errno> {
        let path = mount_point(at)?;
        self.change(|table| if table.remove(path) { Ok(()) } else { Err(Errno::INVAL) })
    }

    fn change(&self, change: impl FnOnce(&mut Table) -> Result<(), Errno>) -> Result<(), Errno> {
        let mut current = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let mut table = Table::clone(&current);
        change(&mut table)?;
        *current = Arc::new(table);
        Ok(())
    }

    /// The mounts of this moment. Not held locked, because an operation may block, on a pipe for one.
    fn table(&self) -> Arc<Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn or_root(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"/" } else { path }
}

fn mount_point(path: &[u8]) -> Result<&[u8], Errno> {
    let inner = path.strip_prefix(b"/").ok_or(Errno::INVAL)?;
    if inner.is_empty() {
        return Ok(b"");
    }
    if path::is_normal(inner) { Ok(path::trim_end(path)) } else { Err(Errno::INVAL) }
}
