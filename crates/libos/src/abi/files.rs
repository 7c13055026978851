//! What is done to the file behind a descriptor.
//!
//! Calls that only wait for a disk are not interrupted by signals, by the kernel's rules neither.

use super::fds::{checked, direct, memory, object};
use crate::current::{blocking, call, enter, give, set_errno};
use crate::fd::Object;
use libc::{c_int, c_uint, mode_t, off_t, size_t, ssize_t};
use rustix::io::{Errno, Result};

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_fstat(fd: c_int, stat: *mut libc::stat) -> c_int {
    let found = || {
        enter(|p| -> Result<libc::stat> {
            // SAFETY: plain data.
            let mut stat: libc::stat = unsafe { std::mem::zeroed() };
            match object(p, fd)? {
                Object::Memory(file) => stat = file.stat(),
                Object::Null | Object::Log(_) => stat.st_mode = libc::S_IFCHR | 0o600,
                other => {
                    // SAFETY: a system call with room for its result.
                    checked(unsafe { libc::fstat(other.raw().ok_or(Errno::BADF)?, &mut stat) } as ssize_t)?;
                }
            }
            p.system.namespace.identity().map_stat(&mut stat);
            Ok(stat)
        })
    };
    // SAFETY: C's contract.
    unsafe { give(stat, found()) }
}

/// Applies a kernel call to a descriptor, or `memory` to a file in memory.
fn by_number(
    fd: c_int,
    kernel: impl FnOnce(c_int) -> c_int,
    memory_file: impl FnOnce(&vfs::MemoryHandle) -> Result<()>,
) -> c_int {
    if direct(fd) {
        return kernel(fd);
    }
    call(|p| match object(p, fd)? {
        Object::Memory(file) => memory_file(&file).map(|()| 0),
        other => match other.raw() {
            Some(raw) => checked(kernel(raw) as ssize_t).map(|n| n as c_int),
            None => Err(Errno::INVAL),
        },
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_ftruncate(fd: c_int, size: off_t) -> c_int {
    // SAFETY: a system call.
    by_number(fd, |fd| unsafe { libc::ftruncate(fd, size) }, |file| file.truncate(size))
}

/// Makes a file durable, unless the system's owner has not yet made durable what is under it.
fn sync(fd: c_int, kernel: impl FnOnce(c_int) -> c_int) -> c_int {
    match enter(|p| p.system.durability.ask()) {
        None => by_number(fd, kernel, |_| Ok(())),
        Some(Ok(())) => 0,
        Some(Err(e)) => {
            set_errno(e.raw_os_error());
            -1
        }
    }
}

/// As `by_number`, for what changes more than the file's content: a descriptor that is only open for reading lets the kernel do
/// it, also where the file lies in a mount that is read-only for the program.
fn change(
    fd: c_int,
    kernel: impl FnOnce(c_int) -> c_int,
    memory_file: impl FnOnce(&vfs::MemoryHandle) -> Result<()>,
) -> c_int {
    call(|p| match object(p, fd)? {
        Object::ReadOnly(_) => Err(Errno::ROFS),
        Object::Memory(file) => memory_file(&file).map(|()| 0),
        other => checked(kernel(other.raw().ok_or(Errno::INVAL)?) as ssize_t).map(|n| n as c_int),
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_fchmod(fd: c_int, mode: mode_t) -> c_int {
    // SAFETY: a system call.
    change(fd, |fd| unsafe { libc::fchmod(fd, mode) }, |file| file.chmod(mode & 0o7777))
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_fchown(fd: c_int, uid: libc::uid_t, gid: libc::gid_t) -> c_int {
    let known = |id: u32| (id != u32::MAX).then_some(id);
    let host = enter(|p| p.system.namespace.identity().owner_to_host(known(uid), known(gid)));
    let (uid, gid) = match host {
        Ok((uid, gid)) => (uid.unwrap_or(u32::MAX), gid.unwrap_or(u32::MAX)),
        Err(e) => {
            set_errno(e.raw_os_error());
            return -1;
        }
    };
    // SAFETY: a system call.
    change(fd, |fd| unsafe { libc::fchown(fd, uid, gid) }, vfs::MemoryHandle::chown)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_futimens(fd: c_int, times: *const libc::timespec) -> c_int {
    // SAFETY: C's contract: null or two.
    let given = unsafe { times.cast::<[libc::timespec; 2]>().as_ref() };
    let now = libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_NOW };
    let times = given.copied().unwrap_or([now; 2]);
    // SAFETY: a system call.
    change(fd, |fd| unsafe { libc::futimens(fd, times.as_ptr()) }, |file| file.set_times(&times))
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_fsync(fd: c_int) -> c_int {
    // SAFETY: a system call.
    sync(fd, |fd| unsafe { libc::fsync(fd) })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_fdatasync(fd: c_int) -> c_int {
    // SAFETY: a system call.
    sync(fd, |fd| unsafe { libc::fdatasync(fd) })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_syncfs(fd: c_int) -> c_int {
    // SAFETY: a system call.
    sync(fd, |fd| unsafe { libc::syncfs(fd) })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_sync_file_range(fd: c_int, at: off_t, size: off_t, flags: c_uint) -> c_int {
    // SAFETY: a system call.
    by_number(fd, |fd| unsafe { libc::sync_file_range(fd, at, size, flags) }, |_| Ok(()))
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_posix_fadvise(fd: c_int, at: off_t, size: off_t, advice: c_int) -> c_int {
    if direct(fd) {
        // SAFETY: a system call.
        return unsafe { libc::posix_fadvise(fd, at, size, advice) };
    }
    0
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_posix_fallocate(fd: c_int, at: off_t, size: off_t) -> c_int {
    if direct(fd) {
        // SAFETY: a system call.
        return unsafe { libc::posix_fallocate(fd, at, size) };
    }
    // Unlike its relatives it returns the error.
    enter(|p| {
        let result = memory(p, fd).and_then(|file| file.fallocate(0, at, size));
        result.map_or_else(|e| e.raw_os_error(), |()| 0)
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_copy_file_range(
    from: c_int,
    from_at: *mut libc::off64_t,
    to: c_int,
    to_at: *mut libc::off64_t,
    size: size_t,
    flags: c_uint,
) -> ssize_t {
    if direct(from) && direct(to) {
        // SAFETY: C's contract.
        return blocking(|| unsafe { libc::copy_file_range(from, from_at, to, to_at, size, flags) });
    }
    // The answer of a kernel that cannot copy between these file systems; programs then copy themselves.
    set_errno(libc::EXDEV);
    -1
}
