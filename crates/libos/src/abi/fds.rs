//! File descriptors: read, write and what else is done by number.
//!
//! A number that the kernel knows goes straight to the kernel, without looking at the table.

use crate::current::{self, blocking, call, enter, set_errno};
use crate::fd::{Object, VIRTUAL, own};
use crate::process::Process;
use libc::{c_int, c_short, c_uint, c_ulong, c_void, iovec, off_t, size_t, ssize_t};
use rustix::io::{Errno, Result};
use std::sync::Arc;

/// Whether the kernel knows the number by itself.
#[inline]
fn direct(fd: c_int) -> bool {
    (3..VIRTUAL).contains(&fd)
}

/// Answers as the C library does where a system call went through it.
fn checked(result: ssize_t) -> Result<ssize_t> {
    if result < 0 { Err(Errno::from_raw_os_error(current::errno())) } else { Ok(result) }
}

/// Makes a call that writes. On a coroutine the thread is the host's, and so would the kernel's SIGPIPE be.
fn writing(call: impl FnOnce() -> ssize_t) -> ssize_t {
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
pub(crate) fn object_of(file: vfs::File) -> Result<Object> {
    match file {
        vfs::File::Kernel(fd) => Ok(Object::kernel(fd)),
        vfs::File::Memory(handle) => Ok(Object::Memory(Arc::new(handle))),
        vfs::File::Special(_) => Err(Errno::ACCESS),
    }
}

fn object(p: &Process, fd: c_int) -> Result<Object> {
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

fn memory(p: &Process, fd: c_int) -> Result<Arc<vfs::MemoryHandle>> {
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
pub(crate) unsafe extern "C-unwind" fn libos_fstat(fd: c_int, stat: *mut libc::stat) -> c_int {
    call(|p| {
        // SAFETY: C's contract.
        let stat = unsafe { &mut *stat };
        match object(p, fd) {
            Ok(Object::Memory(file)) => *stat = file.stat(),
            Ok(Object::Null | Object::Log(_)) => {
                // SAFETY: plain data.
                *stat = unsafe { std::mem::zeroed() };
                stat.st_mode = libc::S_IFCHR | 0o600;
            }
            other => {
                let raw = other.ok().and_then(|o| o.raw()).unwrap_or(fd);
                // SAFETY: a system call with room for its result.
                checked(unsafe { libc::fstat(raw, stat) } as ssize_t)?;
            }
        }
        p.system.namespace.identity().map_stat(stat);
        Ok(0)
    })
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
        return unsafe { libc::copy_file_range(from, from_at, to, to_at, size, flags) };
    }
    // The answer of a kernel that cannot copy between these file systems; programs then copy themselves.
    set_errno(libc::EXDEV);
    -1
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
        let fds = p.local.fds.borrow();
        match (fds.object(to)?, &new) {
            (Object::Kernel(old), Object::Kernel(new)) if Arc::strong_count(old) == 1 => {
                crate::socket::become_other(to, new)?;
                Ok(to)
            }
            _ => Err(Errno::INVAL),
        }
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

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_fcntl(fd: c_int, command: c_int, argument: usize) -> c_int {
    match command {
        libc::F_GETFD => call(|p| Ok(if p.local.fds.borrow().close_on_exec(fd)? { libc::FD_CLOEXEC } else { 0 })),
        libc::F_SETFD => call(|p| {
            let on = argument as c_int & libc::FD_CLOEXEC != 0;
            p.local.fds.borrow_mut().set_close_on_exec(fd, on).map(|()| 0)
        }),
        libc::F_DUPFD | libc::F_DUPFD_CLOEXEC => call(|p| duplicate(p, fd, command == libc::F_DUPFD_CLOEXEC)),
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
    match raw(fd) {
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

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_epoll_create1(flags: c_int) -> c_int {
    call(|p| {
        // SAFETY: a fresh descriptor.
        let fd = unsafe { own(libc::epoll_create1(libc::EPOLL_CLOEXEC)) }?;
        Ok(p.local.fds.borrow_mut().insert(Object::kernel(fd), flags & libc::EPOLL_CLOEXEC != 0))
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_epoll_ctl(
    set: c_int,
    operation: c_int,
    fd: c_int,
    event: *mut libc::epoll_event,
) -> c_int {
    match raw(fd) {
        // SAFETY: C's contract.
        Some(raw) => unsafe { libc::epoll_ctl(set, operation, raw, event) },
        None => {
            set_errno(libc::EPERM);
            -1
        }
    }
}

/// Whether a descriptor that the kernel does not know is ready: files in memory and the null device always are.
fn always_ready(fd: c_int) -> bool {
    fd >= 0 && raw(fd).is_none()
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_ppoll(
    fds: *mut libc::pollfd,
    count: libc::nfds_t,
    timeout: *const libc::timespec,
    _mask: *const libc::sigset_t,
) -> c_int {
    const MOST: usize = 1024;
    let count = count as usize;
    if count > MOST {
        set_errno(libc::EINVAL);
        return -1;
    }
    let mut kernel = [libc::pollfd { fd: -1, events: 0, revents: 0 }; MOST];
    let mut ready = 0;
    for (i, polled) in kernel.iter_mut().enumerate().take(count) {
        // SAFETY: C's contract.
        let asked = unsafe { &mut *fds.add(i) };
        asked.revents = 0;
        if always_ready(asked.fd) {
            asked.revents = asked.events & (libc::POLLIN | libc::POLLOUT) as c_short;
            ready += c_int::from(asked.revents != 0);
        } else {
            *polled = libc::pollfd { fd: raw(asked.fd).unwrap_or(-1), events: asked.events, revents: 0 };
        }
    }
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // The mask of the host stays: virtual signals are delivered as they come.
    // SAFETY: valid structures.
    let found = blocking(|| unsafe {
        libc::ppoll(
            kernel.as_mut_ptr(),
            count as libc::nfds_t,
            if ready > 0 { &now } else { timeout },
            std::ptr::null(),
        )
    });
    if found < 0 {
        return if ready > 0 { ready } else { found };
    }
    for (i, polled) in kernel[..count].iter().enumerate().filter(|(_, k)| k.fd >= 0) {
        // SAFETY: C's contract.
        unsafe { (*fds.add(i)).revents = polled.revents };
    }
    found + ready
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_poll(
    fds: *mut libc::pollfd,
    count: libc::nfds_t,
    milliseconds: c_int,
) -> c_int {
    let span = libc::timespec {
        tv_sec: (milliseconds / 1000).into(),
        tv_nsec: libc::c_long::from(milliseconds % 1000) * 1_000_000,
    };
    let timeout: *const libc::timespec = if milliseconds < 0 { std::ptr::null() } else { &span };
    // SAFETY: C's contract.
    unsafe { libos_ppoll(fds, count, timeout, std::ptr::null()) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_select(
    count: c_int,
    read: *mut libc::fd_set,
    write: *mut libc::fd_set,
    except: *mut libc::fd_set,
    timeout: *mut libc::timeval,
) -> c_int {
    // Programs wait for the numbers that the kernel knows; 0 to 2 are moved to where they are.
    let moved = |set: *mut libc::fd_set, back: bool| {
        for fd in 0..3 {
            let Some(raw) = raw(fd).filter(|raw| *raw < libc::FD_SETSIZE as c_int) else { continue };
            let (from, to) = if back { (raw, fd) } else { (fd, raw) };
            // SAFETY: C's contract; null sets are skipped.
            unsafe {
                if !set.is_null() && libc::FD_ISSET(from, set) {
                    libc::FD_CLR(from, set);
                    libc::FD_SET(to, set);
                }
            }
        }
    };
    let sets = [read, write, except];
    sets.iter().for_each(|set| moved(*set, false));
    let highest = (0..3).filter_map(raw).max().map_or(count, |raw| count.max(raw + 1));
    let highest = highest.min(libc::FD_SETSIZE as c_int);
    // SAFETY: C's contract.
    let found = blocking(|| unsafe { libc::select(highest, read, write, except, timeout) });
    sets.iter().for_each(|set| moved(*set, true));
    found
}
