//! File descriptors: reference-counted objects, an owner set per process, inherited at exec.
//!
//! A descriptor that the kernel made keeps the kernel's number, so that reads and writes go straight to the kernel; all of a system's
//! processes share that number space, and an object is closed when its last owner lets go of it. Numbers 0 to 2
//! are the process's own and map to any object; objects that the kernel does not know (files in memory, the
//! log) have numbers from [`VIRTUAL`] on.
//!
//! Every kernel descriptor is close-on-exec for the kernel, so that programs which the host starts inherit
//! none; the flag that processes see is ours. None is below 3: those numbers are the host's standard streams.

use crate::socket::Listener;
use crate::system::{Stdio, Stream};
use rustix::io::{Errno, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// The first number of a descriptor that the kernel does not know.
pub(crate) const VIRTUAL: i32 = 1 << 24;

/// What a descriptor refers to.
#[derive(Clone)]
pub(crate) enum Object {
    Kernel(Arc<OwnedFd>),
    /// A file or directory of a mount that is read-only for programs, which the kernel does not know.
    ReadOnly(Arc<OwnedFd>),
    Memory(Arc<vfs::MemoryHandle>),
    Listener(Arc<Bound>),
    Log(Stream),
    Null,
}

/// A listening socket of the library OS; the descriptor is readable when a connection waits. Its last owner's end is the listener's.
pub(crate) struct Bound {
    pub(crate) fd: Arc<OwnedFd>,
    pub(crate) listener: Arc<Listener>,
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.listener.close();
    }
}

impl Object {
    pub(crate) fn kernel(fd: OwnedFd) -> Object {
        Object::Kernel(Arc::new(fd))
    }

    pub(crate) fn from_stdio(stdio: Stdio, stream: Stream) -> Result<Object> {
        Ok(match stdio {
            Stdio::Null => Object::Null,
            Stdio::Log => Object::Log(stream),
            Stdio::Fd(fd) => Object::kernel(above_standard(fd)?),
        })
    }

    pub(crate) fn raw(&self) -> Option<RawFd> {
        match self {
            Object::Kernel(fd) | Object::ReadOnly(fd) => Some(fd.as_raw_fd()),
            Object::Listener(bound) => Some(bound.fd.as_raw_fd()),
            _ => None,
        }
    }
}

/// Moves a descriptor out of the range of the standard streams.
pub(crate) fn above_standard(fd: OwnedFd) -> Result<OwnedFd> {
    if fd.as_raw_fd() > 2 { Ok(fd) } else { rustix::io::fcntl_dupfd_cloexec(&fd, 3) }
}

/// Takes what a system call of the C library returned: a descriptor, or -1 and `errno`.
///
/// # Safety
/// `fd` is negative or a descriptor that nobody else owns.
pub(crate) unsafe fn own(fd: RawFd) -> Result<OwnedFd> {
    if fd < 0 {
        return Err(Errno::from_raw_os_error(crate::current::errno()));
    }
    // SAFETY: by the caller's promise.
    above_standard(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[derive(Clone)]
struct Entry {
    object: Object,
    close_on_exec: bool,
}

/// The descriptors of one process.
#[derive(Default)]
pub(crate) struct FdTable {
    kernel: Vec<Option<Entry>>,
    unknown: Vec<Option<Entry>>,
}

impl FdTable {
    fn slot(&mut self, fd: i32) -> Option<&mut Option<Entry>> {
        if fd >= VIRTUAL {
            self.unknown.get_mut((fd - VIRTUAL) as usize)
        } else {
            self.kernel.get_mut(usize::try_from(fd).ok()?)
        }
    }

    fn entry(&self, fd: i32) -> Result<&Entry> {
        let slot = if fd >= VIRTUAL {
            self.unknown.get((fd - VIRTUAL) as usize)
        } else {
            usize::try_from(fd).ok().and_then(|i| self.kernel.get(i))
        };
        slot.and_then(Option::as_ref).ok_or(Errno::BADF)
    }

    pub(crate) fn object(&self, fd: i32) -> Result<&Object> {
        self.entry(fd).map(|e| &e.object)
    }

    /// Adds an object; returns its descriptor.
    pub(crate) fn insert(&mut self, object: Object, close_on_exec: bool) -> i32 {
        let entry = Some(Entry { object, close_on_exec });
        if let Some(raw) = entry.as_ref().and_then(|e| e.object.raw()) {
            let i = raw as usize;
            if self.kernel.len() <= i {
                self.kernel.resize(i + 1, None);
            }
            self.kernel[i] = entry;
            return raw;
        }
        let i = self.unknown.iter().position(Option::is_none).unwrap_or(self.unknown.len());
        if i == self.unknown.len() {
            self.unknown.push(None);
        }
        self.unknown[i] = entry;
        VIRTUAL + i as i32
    }

    /// Makes `fd`, 0 to 2, refer to `object`.
    pub(crate) fn set_standard(&mut self, fd: usize, object: Object) {
        if self.kernel.len() < 3 {
            self.kernel.resize(3, None);
        }
        self.kernel[fd] = Some(Entry { object, close_on_exec: false });
    }

    /// Puts `object` in the place of what `fd` referred to, keeping its flag.
    pub(crate) fn replace(&mut self, fd: i32, object: Object) -> Result<()> {
        match self.slot(fd) {
            Some(Some(entry)) => {
                entry.object = object;
                Ok(())
            }
            _ => Err(Errno::BADF),
        }
    }

    /// Takes a descriptor out; what it referred to is closed when the result is dropped and no other owner is left.
    pub(crate) fn remove(&mut self, fd: i32) -> Result<Object> {
        self.slot(fd).and_then(Option::take).map(|e| e.object).ok_or(Errno::BADF)
    }

    pub(crate) fn close_on_exec(&self, fd: i32) -> Result<bool> {
        self.entry(fd).map(|e| e.close_on_exec)
    }

    pub(crate) fn set_close_on_exec(&mut self, fd: i32, on: bool) -> Result<()> {
        match self.slot(fd) {
            Some(Some(entry)) => {
                entry.close_on_exec = on;
                Ok(())
            }
            _ => Err(Errno::BADF),
        }
    }

    /// What a program started by this process inherits.
    pub(crate) fn inherit(&self) -> FdTable {
        let keep = |list: &Vec<Option<Entry>>| {
            list.iter().map(|e| e.as_ref().filter(|e| !e.close_on_exec).cloned()).collect::<Vec<_>>()
        };
        FdTable { kernel: keep(&self.kernel), unknown: keep(&self.unknown) }
    }

    pub(crate) fn clear(&mut self) {
        *self = FdTable::default();
    }
}
