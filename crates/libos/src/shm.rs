//! Shared memory: System V segments and POSIX objects, which belong to the system, not to the machine.
//!
//! All processes share one address space, so a segment is one mapping, at one address for everyone.

use crate::system::System;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{Errno, Result};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

struct Segment {
    key: i32,
    address: usize,
    size: usize,
    attached: usize,
    removed: bool,
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: mapped by `get`; nobody is attached, or the system is gone.
        let _ = unsafe { munmap(self.address as *mut _, self.size) };
    }
}

#[derive(Default)]
struct State {
    segments: HashMap<i32, Segment>,
    last: i32,
    objects: HashMap<Vec<u8>, OwnedFd>,
}

/// The shared memory of a system.
#[derive(Default)]
pub(crate) struct Segments(Mutex<State>);

/// How often a process is attached to which segment.
#[derive(Default)]
pub(crate) struct Attachments(Vec<i32>);

/// What `shmctl(IPC_STAT)` tells.
pub(crate) struct Stat {
    pub(crate) size: usize,
    pub(crate) attached: usize,
    pub(crate) key: i32,
}

impl Segments {
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn get(&self, key: i32, size: usize, flags: i32) -> Result<i32> {
        self.with(|state| {
            let found = state.segments.iter().find(|(_, s)| key != libc::IPC_PRIVATE && s.key == key && !s.removed);
            if let Some((id, segment)) = found {
                let exclusive = libc::IPC_CREAT | libc::IPC_EXCL;
                return match flags & exclusive == exclusive {
                    true => Err(Errno::EXIST),
                    false if size > segment.size => Err(Errno::INVAL),
                    false => Ok(*id),
                };
            }
            if key != libc::IPC_PRIVATE && flags & libc::IPC_CREAT == 0 {
                return Err(Errno::NOENT);
            }
            if size == 0 {
                return Err(Errno::INVAL);
            }
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            // SAFETY: a fresh anonymous mapping overlaps nothing. NORESERVE: pages count when they are touched.
            let address =
                unsafe { mmap_anonymous(null_mut(), size, protection, MapFlags::PRIVATE | MapFlags::NORESERVE) }?
                    as usize;
            state.last += 1;
            state.segments.insert(state.last, Segment { key, address, size, attached: 0, removed: false });
            Ok(state.last)
        })
    }

    pub(crate) fn attach(&self, own: &mut Attachments, id: i32) -> Result<usize> {
        self.with(|state| {
            let segment = state.segments.get_mut(&id).ok_or(Errno::INVAL)?;
            segment.attached += 1;
            own.0.push(id);
            Ok(segment.address)
        })
    }

    pub(crate) fn detach(&self, own: &mut Attachments, address: usize) -> Result<()> {
        self.with(|state| {
            let at = own
                .0
                .iter()
                .position(|id| state.segments.get(id).is_some_and(|s| s.address == address))
                .ok_or(Errno::INVAL)?;
            state.release(own.0.swap_remove(at));
            Ok(())
        })
    }

    pub(crate) fn stat(&self, id: i32) -> Result<Stat> {
        self.with(|state| {
            let s = state.segments.get(&id).ok_or(Errno::INVAL)?;
            Ok(Stat { size: s.size, attached: s.attached, key: s.key })
        })
    }

    pub(crate) fn remove(&self, id: i32) -> Result<()> {
        self.with(|state| {
            let segment = state.segments.get_mut(&id).ok_or(Errno::INVAL)?;
            segment.removed = true;
            if segment.attached == 0 {
                state.segments.remove(&id);
            }
            Ok(())
        })
    }

    /// `shm_open`: a new descriptor of the object `name`.
    pub(crate) fn open(&self, name: &[u8], flags: i32) -> Result<OwnedFd> {
        self.with(|state| {
            if let Some(object) = state.objects.get(name) {
                let exclusive = libc::O_CREAT | libc::O_EXCL;
                if flags & exclusive == exclusive {
                    return Err(Errno::EXIST);
                }
                if flags & libc::O_TRUNC != 0 {
                    rustix::fs::ftruncate(object, 0)?;
                }
                return rustix::io::fcntl_dupfd_cloexec(object, 3);
            }
            if flags & libc::O_CREAT == 0 {
                return Err(Errno::NOENT);
            }
            let object = crate::fd::above_standard(memfd_create(c"libos-shm", MemfdFlags::CLOEXEC)?)?;
            let fd = rustix::io::fcntl_dupfd_cloexec(&object, 3)?;
            state.objects.insert(name.to_vec(), object);
            Ok(fd)
        })
    }

    pub(crate) fn unlink(&self, name: &[u8]) -> Result<()> {
        self.with(|state| state.objects.remove(name).map(drop).ok_or(Errno::NOENT))
    }

    /// The system is gone: gives everything back.
    pub(crate) fn clear(&self) {
        self.with(|state| *state = State::default());
    }
}

impl State {
    fn release(&mut self, id: i32) {
        if let Some(segment) = self.segments.get_mut(&id) {
            segment.attached -= 1;
            if segment.attached == 0 && segment.removed {
                self.segments.remove(&id);
            }
        }
    }
}

impl Attachments {
    /// The process has ended.
    pub(crate) fn detach_all(self, system: &System) {
        system.shm.with(|state| self.0.into_iter().for_each(|id| state.release(id)));
    }
}
