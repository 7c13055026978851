//! What is done with a socket once it is there: by number, and straight to the kernel.
//!
//! Nothing here raises the kernel's SIGPIPE, which would be the host's where a coroutine runs on its thread: the process gets its own.

use super::fds::{broken, raw};
use crate::current::{self, blocking, set_errno};
use libc::{c_int, c_void, msghdr, size_t, sockaddr, socklen_t, ssize_t};

/// Does `call` with the kernel's number of `fd`.
fn on<R: current::CResult>(fd: c_int, call: impl FnOnce(c_int) -> R) -> R {
    match raw(fd) {
        Some(raw) => call(raw),
        None => {
            set_errno(libc::ENOTSOCK);
            R::FAILED
        }
    }
}

/// Sends by `send`, which gets the flags that keep the kernel's SIGPIPE away.
fn sending(fd: c_int, flags: c_int, mut send: impl FnMut(c_int, c_int) -> ssize_t) -> ssize_t {
    let sent = on(fd, |fd| blocking(|| send(fd, flags | libc::MSG_NOSIGNAL)));
    if flags & libc::MSG_NOSIGNAL == 0 { broken(sent) } else { sent }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_recv(fd: c_int, to: *mut c_void, size: size_t, flags: c_int) -> ssize_t {
    // SAFETY: C's contract.
    on(fd, |fd| blocking(|| unsafe { libc::recv(fd, to, size, flags) }))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_recvfrom(
    fd: c_int,
    to: *mut c_void,
    size: size_t,
    flags: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> ssize_t {
    // SAFETY: C's contract.
    on(fd, |fd| blocking(|| unsafe { libc::recvfrom(fd, to, size, flags, address, length) }))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    // SAFETY: C's contract.
    on(fd, |fd| blocking(|| unsafe { libc::recvmsg(fd, message, flags) }))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_send(
    fd: c_int,
    from: *const c_void,
    size: size_t,
    flags: c_int,
) -> ssize_t {
    // SAFETY: C's contract.
    sending(fd, flags, |fd, flags| unsafe { libc::send(fd, from, size, flags) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_sendto(
    fd: c_int,
    from: *const c_void,
    size: size_t,
    flags: c_int,
    address: *const sockaddr,
    length: socklen_t,
) -> ssize_t {
    // SAFETY: C's contract.
    sending(fd, flags, |fd, flags| unsafe { libc::sendto(fd, from, size, flags, address, length) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    // SAFETY: C's contract.
    sending(fd, flags, |fd, flags| unsafe { libc::sendmsg(fd, message, flags) })
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_shutdown(fd: c_int, how: c_int) -> c_int {
    // SAFETY: a system call.
    on(fd, |fd| unsafe { libc::shutdown(fd, how) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_getsockname(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    // SAFETY: C's contract.
    on(fd, |fd| unsafe { libc::getsockname(fd, address, length) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_getpeername(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    // SAFETY: C's contract.
    on(fd, |fd| unsafe { libc::getpeername(fd, address, length) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    // SAFETY: C's contract.
    on(fd, |fd| unsafe { libc::getsockopt(fd, level, name, value, length) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    length: socklen_t,
) -> c_int {
    // SAFETY: C's contract.
    on(fd, |fd| unsafe { libc::setsockopt(fd, level, name, value, length) })
}
