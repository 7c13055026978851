//! The small types that all parts share.

use std::any::Any;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::memory::MemoryHandle;

/// What a mount or grant allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Changes are refused with `EROFS`; device nodes cannot be opened for writing either.
    ReadOnly,
    /// Everything that the file system itself can do.
    ReadWrite,
}

/// The caller's object behind a special node.
pub type Object = Arc<dyn Any + Send + Sync>;

/// What [`crate::Namespace::open`] returns.
#[derive(Debug)]
pub enum File {
    /// A kernel descriptor: close-on-exec, and never 0, 1 or 2.
    ///
    /// Two things that the kernel lets it do are the caller's to prevent: a directory's descriptor leads out by the `*at`
    /// calls, and one that is open for reading can `fchmod` and `fchown` a file of a read-only mount (see
    /// [`crate::Namespace::open_with_access`]).
    Kernel(OwnedFd),
    /// An open file, or directory, in memory.
    Memory(MemoryHandle),
    /// The object of an executable special node.
    Special(Object),
}

/// How a special node looks to `stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialKind {
    /// A socket; opening it fails with `ENXIO`, as with the kernel.
    Socket,
    /// A regular file, meant for a program; opening it gives [`File::Special`].
    Executable,
}

/// A node of a memory file system that stands for an object of the caller.
#[derive(Clone, Debug)]
pub struct Special {
    /// How it looks.
    pub kind: SpecialKind,
    /// What it is.
    pub object: Object,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without its directory.
    pub name: Vec<u8>,
    /// The inode number.
    pub inode: u64,
    /// One of `libc::DT_*`; `DT_UNKNOWN` where the host's file system does not say.
    pub file_type: u8,
}
