//! A file system in memory, without kernel descriptors.
//!
//! One lock guards the tree's shape, so that each operation on names is atomic; each file has its own lock for its
//! content, and reading and writing never touch the tree's.

mod content;
mod directory;
mod file;
mod handle;
mod inode;
mod pages;
mod tree;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use rustix::io::Errno;

pub(crate) use directory::MemDir;
pub use handle::MemoryHandle;
pub(crate) use inode::{Inode, Kind};

use crate::directory::{Directory, FileSystem};
use crate::types::Special;
use file::FileData;
use pages::Space;
use tree::Tree;

/// What a new file of [`MemoryFs::insert_file`] holds. It is shared until it is written to; then the changed pages are
/// the file's own.
pub enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// Bytes that are only made when the file is first read or written.
    Lazy {
        /// How many bytes `load` will return.
        length: u64,
        /// Makes them. An error, or another length, becomes `EIO`, and the next access tries again.
        load: Box<dyn Fn() -> io::Result<Bytes> + Send + Sync>,
    },
}

/// A tree of files in memory. Clones are the same tree.
#[derive(Clone)]
pub struct MemoryFs {
    inner: Arc<Inner>,
}

/// What the directories of one tree share.
pub(crate) struct Inner {
    pub(crate) tree: Tree,
    pub(crate) space: Arc<Space>,
    device: u64,
    /// The host's effective user and group, so that the identity map fits.
    owner: (u32, u32),
    next_inode: AtomicU64,
    root: Arc<Inode>,
}

impl Inner {
    pub(crate) fn new_inode(&self, mode: u32, kind: Kind) -> Arc<Inode> {
        let number = self.next_inode.fetch_add(1, Ordering::Relaxed);
        Arc::new(Inode::new(number, self.device, self.owner, mode, kind))
    }

    pub(crate) fn new_file(&self, mode: u32, content: Option<Content>) -> Arc<Inode> {
        let data = FileData::new(content, self.space.clone());
        self.new_inode(libc::S_IFREG | mode & 0o7777, Kind::File(data))
    }
}

impl MemoryFs {
    /// An empty tree. `limit` is how many bytes its files may take together, in whole pages of 8 KiB; shared content
    /// does not count.
    pub fn new(limit: Option<u64>) -> Arc<Self> {
        /// Device numbers of the kernel's own memory file systems have major 0 as well; these are out of their way.
        static NEXT_DEVICE: AtomicU64 = AtomicU64::new(0x8_0000);
        let device = NEXT_DEVICE.fetch_add(1, Ordering::Relaxed);
        let device = libc::makedev(0, device as u32);
        let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let root = Arc::new(Inode::new(1, device, owner, libc::S_IFDIR | 0o755, Kind::Directory));
        Arc::new(Self {
            inner: Arc::new(Inner {
                tree: Tree::new(&root),
                space: Arc::new(Space::new(limit)),
                device,
                owner,
                next_inode: AtomicU64::new(2),
                root,
            }),
        })
    }

    /// Puts a file at `path` (the leading slash is optional), and makes the directories on the way, of mode 0755.
    ///
    /// # Errors
    /// `EEXIST`, `ENOTDIR`, `ENAMETOOLONG`; `EINVAL` for a path that is not in normal form.
    pub fn insert_file(&self, path: &[u8], mode: u32, content: Content) -> Result<(), Errno> {
        let file = self.inner.new_file(mode, Some(content));
        self.insert(path, file)
    }

    /// Puts a symbolic link at `path`, as [`MemoryFs::insert_file`] does a file.
    ///
    /// # Errors
    /// As [`MemoryFs::insert_file`].
    pub fn insert_symlink(&self, path: &[u8], target: &[u8]) -> Result<(), Errno> {
        let kind = Kind::Symlink(target.into());
        self.insert(path, self.inner.new_inode(libc::S_IFLNK | 0o777, kind))
    }

    /// Puts a special node at `path`, as [`MemoryFs::insert_file`] does a file.
    ///
    /// # Errors
    /// As [`MemoryFs::insert_file`].
    pub fn insert_special(&self, path: &[u8], mode: u32, special: Special) -> Result<(), Errno> {
        self.insert(path, self.inner.new_special(mode, special))
    }

    /// Makes a directory at `path` and those on the way, of mode `mode` if they are new.
    ///
    /// # Errors
    /// As [`MemoryFs::insert_file`], without `EEXIST` for a directory.
    pub fn insert_directory(&self, path: &[u8], mode: u32) -> Result<(), Errno> {
        let path = normal(path)?;
        self.make_directories(path, mode).map(drop)
    }

    fn insert(&self, path: &[u8], inode: Arc<Inode>) -> Result<(), Errno> {
        let path = normal(path)?;
        let (directory, name) = crate::path::split_last(path);
        let parent = self.make_directories(crate::path::trim_end(directory), 0o755)?;
        self.inner.tree.insert(parent, name, inode)
    }

    fn make_directories(&self, path: &[u8], mode: u32) -> Result<u64, Errno> {
        let mut at = self.inner.root.number;
        for name in path.split(|&b| b == b'/').filter(|name| !name.is_empty()) {
            let new = self.inner.new_inode(libc::S_IFDIR | mode & 0o7777, Kind::Directory);
            match self.inner.tree.insert(at, name, new) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            let inode = self.inner.tree.get(at, name)?;
            if !inode.is_directory() {
                return Err(Errno::NOTDIR);
            }
            at = inode.number;
        }
        Ok(at)
    }

    /// Bytes that the files take now, shared content not counted.
    pub fn used(&self) -> u64 {
        self.inner.space.used()
    }
}

impl FileSystem for MemoryFs {
    fn root(&self) -> Arc<dyn Directory> {
        Arc::new(MemDir::new(self.inner.clone(), self.inner.root.clone()))
    }
}

fn normal(path: &[u8]) -> Result<&[u8], Errno> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = crate::path::trim_end(path);
    if crate::path::is_normal(path) { Ok(path) } else { Err(Errno::INVAL) }
}
