//! File descriptors: read, write and what else is done by number.
//!
//! A number that the kernel knows goes straight to the kernel, without looking at the table.

use crate::current::{self, blocking, call, enter, set_errno};
use crate::fd::{Object, VIRTUAL, own};
use crate::process::Process;
use libc::{c_int, c_ulong, c_void, iovec, off_t, size_t, ssize_t};
use rustix::io::{Errno, Result};
use std::sync::Arc;

/// Whether the kernel knows the number by itself.
#[inline]
pub(super) fn direct(fd: c_int) -> bool {
    (3..VIRTUAL).contains(&fd)
}

/// Answers as the C library does where a system call went through it.
pub(super) fn checked(result: ssize_t) -> Result<ssize_t> {
    if result < 0 { Err(Errno::from_raw_os_error(current::errno())) } else { Ok(result) }
}

/// Makes a call that writes. On a coroutine the thread is the host's, and so would the kernel's SIGPIPE be.
fn writing(call: impl FnMut() -> ssize_t) -> ssize_t {
    if super::console::libos_is_coroutine() == 0 {
        return blocking(call);
    }
    // Nothing may jump out while the thread's mask is changed.
    enter(|_| crate::signal::without_sigpipe(call))
}

/// The answer of a call that wrote: where nobody reads any more, the process gets a SIGPIPE of its own. The kernel's is
/// blocked on our threads.
pub(super) fn broken(written: ssize_t) -> ssize_t {
    if written < 0 && current::errno() == libc::EPIPE {
        super::signals::libos_raise(libc::SIGPIPE);
        set_errno(libc::EPIPE);
    }
    written
}

/// The kernel's number behind a descriptor, if there is one. Blocking calls use it outside critical sections.
pub(super) fn raw(fd: c_int) -> Option<c_int> {
    if direct(fd) {
        return Some(fd);
    }
    enter(|p| p.local.fds.borrow().object(fd).ok().and_then(|o| o.raw()))
}

/// What a path that was opened becomes in the table.
pub(crate) fn object_of((file, access): (vfs::File, vfs::Access)) -> Result<Object> {
    match file {
        vfs::File::Kernel(fd) if access == vfs::Access::ReadOnly => Ok(Object::ReadOnly(Arc::new(fd))),
        vfs::File::Kernel(fd) => Ok(Object::kernel(fd)),
        vfs::File::Memory(handle) => Ok(Object::Memory(Arc::new(handle))),
        vfs::File::Special(_) => Err(Errno::ACCESS),
    }
}

pub(super) fn object(p: &Process, fd: c_int) -> Result<Object> {
    p.local.fds.borrow().object(fd).cloned()
}

/// # Safety
/// `buffer` has room for `size` bytes.
unsafe fn writable<'a>(buffer: *mut c_void, size: size_t) -> &'a mut [u8] {
    // SAFETY: by the caller's promise; an empty slice needs no valid pointer of the program's.
    unsafe { if size == 0 { &mut [] } else { std::slice::from_raw_parts_mut(buffer.cast(), size) } }
}

/// # Safety
/// `buffer` holds `size` bytes.
unsafe fn readable<'a>(buffer: *const c_void, size: size_t) -> &'a [u8] {
    // SAFETY: as above.
    unsafe { if size == 0 { &[] } else { std::slice::from_raw_parts(buffer.cast(), size) } }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_read(fd: c_int, buffer: *mut c_void, size: size_t) -> ssize_t {
    if let Some(raw) = raw(fd) {
        // SAFETY: C's contract.
        return blocking(|| unsafe { libc::read(raw, buffer, size) });
    }
    // SAFETY: C's contract.
    let buffer = unsafe { writable(buffer, size) };
    call(|p| match object(p, fd)? {
        Object::Memory(file) => file.read(buffer).map(|n| n as ssize_t),
        Object::Null => Ok(0),
        _ => Err(Errno::BADF),
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_write(fd: c_int, buffer: *const c_void, size: size_t) -> ssize_t {
    if let Some(raw) = raw(fd) {
        // SAFETY: C's contract.
        return broken(writing(|| unsafe { libc::write(raw, buffer, size) }));
    }
    // SAFETY: C's contract.
    let buffer = unsafe { readable(buffer, size) };
    call(|p| match object(p, fd)? {
        Object::Memory(file) => file.write(buffer).map(|n| n as ssize_t),
        Object::Null => Ok(size as ssize_t),
        Object::Log(stream) => {
            p.system.hooks.output(p.pid, stream, buffer);
            Ok(size as ssize_t)
        }
        _ => Err(Errno::BADF),
    })
}

pub(super) fn memory(p: &Process, fd: c_int) -> Result<Arc<vfs::MemoryHandle>> {
    match p.local.fds.borrow().object(fd)? {
        Object::Memory(file) => Ok(file.clone()),
        _ => Err(Errno::SPIPE),
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_pread(fd: c_int, buffer: *mut c_void, size: size_t, at: off_t) -> ssize_t {
    if direct(fd) {
        // SAFETY: C's contract.
        return unsafe { libc::pread(fd, buffer, size, at) };
    }
    // SAFETY: C's contract.
    let buffer = unsafe { writable(buffer, size) };
    call(|p| memory(p, fd)?.pread(buffer, at).map(|n| n as ssize_t))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_pwrite(
    fd: c_int,
    buffer: *const c_void,
    size: size_t,
    at: off_t,
) -> ssize_t {
    if direct(fd) {
        // SAFETY: C's contract.
        return unsafe { libc::pwrite(fd, buffer, size, at) };
    }
    // SAFETY: C's contract.
    let buffer = unsafe { readable(buffer, size) };
    call(|p| memory(p, fd)?.pwrite(buffer, at).map(|n| n as ssize_t))
}

/// Does a vectored call piece by piece: for descriptors that the kernel does not know.
///
/// # Safety
/// `parts` points at `count` valid pieces.
unsafe fn each(parts: *const iovec, count: c_int, mut one: impl FnMut(&iovec, usize) -> ssize_t) -> ssize_t {
    let mut done = 0usize;
    for i in 0..count.max(0) as usize {
        // SAFETY: by the caller's promise.
        let part = unsafe { &*parts.add(i) };
        let n = one(part, done);
        if n < 0 {
            return if done > 0 { done as ssize_t } else { n };
        }
        done += n as usize;
        if (n as usize) < part.iov_len {
            break;
        }
    }
    done as ssize_t
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_readv(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: C's contract.
    unsafe {
        match raw(fd) {
            Some(raw) => blocking(|| libc::readv(raw, parts, count)),
            None => each(parts, count, |part, _| libos_read(fd, part.iov_base, part.iov_len)),
        }
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: C's contract.
    unsafe {
        match raw(fd) {
            Some(raw) => broken(writing(|| libc::writev(raw, parts, count))),
            None => each(parts, count, |part, _| libos_write(fd, part.iov_base, part.iov_len)),
        }
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_preadv(fd: c_int, parts: *const iovec, n: c_int, at: off_t) -> ssize_t {
    // SAFETY: C's contract.
    unsafe {
        if direct(fd) {
            return libc::preadv(fd, parts, n, at);
        }
        each(parts, n, |part, done| libos_pread(fd, part.iov_base, part.iov_len, at + done as off_t))
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_pwritev(fd: c_int, parts: *const iovec, n: c_int, at: off_t) -> ssize_t {
    // SAFETY: C's contract.
    unsafe {
        if direct(fd) {
            return libc::pwritev(fd, parts, n, at);
        }
        each(parts, n, |part, done| libos_pwrite(fd, part.iov_base, part.iov_len, at + done as off_t))
    }
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_lseek(fd: c_int, at: off_t, whence: c_int) -> off_t {
    if let Some(raw) = raw(fd) {
        // SAFETY: a system call.
        return unsafe { libc::lseek(raw, at, whence) };
    }
    call(|p| memory(p, fd)?.seek(at, whence).map(|at| at as off_t))
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_close(fd: c_int) -> c_int {
    call(|p| {
        p.forget_signal_fd(fd);
        let object = p.local.fds.borrow_mut().remove(fd)?;
        if let Some(raw) = object.raw() {
            p.system.sockets.closing(raw, &object);
        }
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_dup(fd: c_int) -> c_int {
    call(|p| duplicate(p, fd, false))
}

fn duplicate(p: &Process, fd: c_int, close_on_exec: bool) -> Result<c_int> {
    let object = match object(p, fd)? {
        Object::Kernel(kernel) => Object::kernel(rustix::io::fcntl_dupfd_cloexec(&*kernel, 3)?),
        Object::ReadOnly(kernel) => Object::ReadOnly(Arc::new(rustix::io::fcntl_dupfd_cloexec(&*kernel, 3)?)),
        Object::Listener(..) => return Err(Errno::INVAL),
        other => other,
    };
    Ok(p.local.fds.borrow_mut().insert(object, close_on_exec))
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_dup2(from: c_int, to: c_int) -> c_int {
    call(|p| {
        let new = object(p, from)?;
        if from == to {
            return Ok(to);
        }
        if (0..3).contains(&to) {
            p.local.fds.borrow_mut().set_standard(to as usize, new);
            return Ok(to);
        }
        // Numbers of the kernel are shared by all processes of the host: only one that is this process's alone can change.
        let mut fds = p.local.fds.borrow_mut();
        let (Object::Kernel(old) | Object::ReadOnly(old)) = fds.object(to)?.clone() else { return Err(Errno::INVAL) };
        let (Object::Kernel(source) | Object::ReadOnly(source)) = &new else { return Err(Errno::INVAL) };
        // The table's and the one above.
        if Arc::strong_count(&old) != 2 {
            return Err(Errno::INVAL);
        }
        crate::socket::become_other(to, source)?;
        let read_only = matches!(new, Object::ReadOnly(_));
        fds.replace(to, if read_only { Object::ReadOnly(old) } else { Object::Kernel(old) })?;
        fds.set_close_on_exec(to, false)?;
        Ok(to)
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_pipe2(fds: *mut c_int, flags: c_int) -> c_int {
    call(|p| {
        let mut pair = [0; 2];
        // SAFETY: room for two.
        checked(unsafe { libc::pipe2(pair.as_mut_ptr(), flags | libc::O_CLOEXEC) } as ssize_t)?;
        for (i, fd) in pair.into_iter().enumerate() {
            // SAFETY: fresh descriptors; C's contract for the result.
            unsafe {
                let fd = own(fd)?;
                *fds.add(i) = p.local.fds.borrow_mut().insert(Object::kernel(fd), flags & libc::O_CLOEXEC != 0);
            }
        }
        Ok(0)
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_pipe(fds: *mut c_int) -> c_int {
    // SAFETY: C's contract.
    unsafe { libos_pipe2(fds, 0) }
}

/// Of `<fcntl.h>`.
const F_SETSIG: c_int = 10;
const F_SETOWN_EX: c_int = 15;

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_fcntl(fd: c_int, command: c_int, argument: usize) -> c_int {
    match command {
        libc::F_GETFD => call(|p| Ok(if p.local.fds.borrow().close_on_exec(fd)? { libc::FD_CLOEXEC } else { 0 })),
        libc::F_SETFD => call(|p| {
            let on = argument as c_int & libc::FD_CLOEXEC != 0;
            p.local.fds.borrow_mut().set_close_on_exec(fd, on).map(|()| 0)
        }),
        libc::F_DUPFD | libc::F_DUPFD_CLOEXEC => call(|p| duplicate(p, fd, command == libc::F_DUPFD_CLOEXEC)),
        // Whom the kernel would signal is the host.
        libc::F_SETOWN | F_SETSIG | F_SETOWN_EX | libc::F_SETLEASE | libc::F_NOTIFY => {
            set_errno(libc::EINVAL);
            -1
        }
        _ => match raw(fd) {
            // SAFETY: the program's own call; other commands take an integer or a valid pointer.
            Some(raw) => blocking(|| unsafe { libc::fcntl(raw, command, argument) }),
            None => call(|p| match (object(p, fd)?, command) {
                (Object::Memory(file), libc::F_GETFL) => Ok(file.flags()),
                (_, libc::F_GETFL) => Ok(libc::O_RDWR),
                (_, libc::F_SETFL) => Ok(0),
                _ => Err(Errno::INVAL),
            }),
        },
    }
}

pub(crate) fn is_terminal(p: &Process, fd: c_int) -> bool {
    let raw = object(p, fd).ok().and_then(|o| o.raw());
    // SAFETY: a system call.
    raw.is_some_and(|raw| unsafe { libc::isatty(raw) } == 1)
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_isatty(fd: c_int) -> c_int {
    match enter(|p| is_terminal(p, fd)) {
        true => 1,
        false => {
            set_errno(libc::ENOTTY);
            0
        }
    }
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_ioctl(fd: c_int, request: c_ulong, argument: usize) -> c_int {
    let target = enter(|p| match p.local.fds.borrow().object(fd) {
        // Some change the file: its flags, for one.
        Ok(Object::ReadOnly(_)) | Err(_) => None,
        Ok(object) => object.raw(),
    });
    match target {
        // SAFETY: the program's own call.
        Some(raw) => unsafe { libc::ioctl(raw, request, argument) },
        None => {
            set_errno(libc::ENOTTY);
            -1
        }
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_tcgetattr(fd: c_int, state: *mut libc::termios) -> c_int {
    match raw(fd) {
        // SAFETY: C's contract.
        Some(raw) => unsafe { libc::tcgetattr(raw, state) },
        None => {
            set_errno(libc::ENOTTY);
            -1
        }
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_tcsetattr(fd: c_int, when: c_int, state: *const libc::termios) -> c_int {
    match raw(fd) {
        // SAFETY: C's contract.
        Some(raw) => unsafe { libc::tcsetattr(raw, when, state) },
        None => {
            set_errno(libc::ENOTTY);
            -1
        }
    }
}
