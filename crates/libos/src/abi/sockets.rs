//! Sockets: made and connected where the policy allows, or inside the system.

use super::fds::raw;
use crate::current::{self, blocking, call, enter, set_errno};
use crate::fd::{Bound, Object, own};
use crate::fork;
use crate::process::Process;
use crate::socket::{Listener, become_other, unnamed};
use libc::{c_char, c_int, sockaddr, socklen_t};
use rustix::io::{Errno, Result};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    call(|p| {
        if domain != libc::AF_UNIX && !p.system.policy.network {
            return Err(Errno::ACCESS);
        }
        // SAFETY: a fresh descriptor.
        let fd = unsafe { own(libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol)) }?;
        Ok(p.local.fds.borrow_mut().insert(Object::kernel(fd), kind & libc::SOCK_CLOEXEC != 0))
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_socketpair(
    domain: c_int,
    kind: c_int,
    protocol: c_int,
    fds: *mut c_int,
) -> c_int {
    call(|p| {
        let mut pair = [0; 2];
        // SAFETY: room for two.
        if unsafe { libc::socketpair(domain, kind | libc::SOCK_CLOEXEC, protocol, pair.as_mut_ptr()) } < 0 {
            return Err(Errno::from_raw_os_error(crate::current::errno()));
        }
        for (i, fd) in pair.into_iter().enumerate() {
            // SAFETY: fresh descriptors; C's contract for the result.
            unsafe {
                let fd = own(fd)?;
                *fds.add(i) = p.local.fds.borrow_mut().insert(Object::kernel(fd), kind & libc::SOCK_CLOEXEC != 0);
            }
        }
        Ok(0)
    })
}

/// The path in a Unix socket address; `None` for other families and abstract names.
///
/// # Safety
/// `address` points at `length` bytes.
unsafe fn unix_path<'a>(address: *const sockaddr, length: socklen_t) -> Option<&'a [u8]> {
    let start = std::mem::offset_of!(libc::sockaddr_un, sun_path);
    // SAFETY: by the caller's promise.
    unsafe {
        if (*address).sa_family != libc::AF_UNIX as libc::sa_family_t || length as usize <= start {
            return None;
        }
        let path = std::slice::from_raw_parts(address.cast::<u8>().add(start), length as usize - start);
        let end = path.iter().position(|b| *b == 0).unwrap_or(path.len());
        (end > 0).then(|| &path[..end])
    }
}

/// The address of a Unix socket at a path of the host.
fn address_of(path: &Path) -> Result<libc::sockaddr_un> {
    let bytes = path.as_os_str().as_bytes();
    let mut address = unnamed();
    if bytes.len() >= address.sun_path.len() {
        return Err(Errno::NAMETOOLONG);
    }
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = *from as c_char;
    }
    Ok(address)
}

fn kernel(result: c_int) -> Result<c_int> {
    if result < 0 { Err(Errno::from_raw_os_error(crate::current::errno())) } else { Ok(result) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_bind(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    let Some(fd) = raw(fd) else {
        set_errno(libc::ENOTSOCK);
        return -1;
    };
    // SAFETY: C's contract.
    let path = unsafe { unix_path(address, length) };
    call(|p| {
        let Some(path) = path else {
            // SAFETY: C's contract. The policy was asked when the socket was made; abstract names need it now.
            unsafe {
                if (*address).sa_family == libc::AF_UNIX as libc::sa_family_t && !p.system.policy.network {
                    return Err(Errno::ACCESS);
                }
                return kernel(libc::bind(fd, address, length));
            }
        };
        let cwd = p.local.cwd.borrow().clone();
        let mode = 0o777 & !p.local.umask.get();
        if let Some(entry) = p.system.namespace.host_entry(&cwd, path)? {
            if entry.access != vfs::Access::ReadWrite {
                return Err(Errno::ROFS);
            }
            let host = address_of(&entry.short_path())?;
            // SAFETY: a valid address.
            kernel(unsafe { libc::bind(fd, (&raw const host).cast(), size_of_val(&host) as socklen_t) })?;
            // The kernel has applied the host's umask.
            return p.system.namespace.chmod(&cwd, path, mode).map(|()| 0);
        }
        let (listener, ready) = Listener::new()?;
        let node = vfs::Special { kind: vfs::SpecialKind::Socket, object: listener.clone() };
        p.system.namespace.bind_special(&cwd, path, node, mode).map_err(|e| match e {
            Errno::EXIST => Errno::ADDRINUSE,
            other => other,
        })?;
        become_other(fd, &ready)?;
        let mut fds = p.local.fds.borrow_mut();
        let Object::Kernel(own) = fds.object(fd)?.clone() else { return Err(Errno::NOTSOCK) };
        fds.replace(fd, Object::Listener(Arc::new(Bound { fd: own, listener })))?;
        Ok(0)
    })
}

fn listener(p: &Process, fd: c_int) -> Option<Arc<Listener>> {
    match p.local.fds.borrow().object(fd) {
        Ok(Object::Listener(bound)) => Some(bound.listener.clone()),
        _ => None,
    }
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_listen(fd: c_int, backlog: c_int) -> c_int {
    call(|p| match listener(p, fd) {
        Some(_) => Ok(0),
        // SAFETY: a system call.
        None => kernel(unsafe { libc::listen(fd, backlog) }),
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_accept(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    if enter(|p| listener(p, fd).is_some()) {
        // SAFETY: C's contract.
        return unsafe { accept_own(fd, address, length) };
    }
    let Some(raw) = raw(fd) else {
        set_errno(libc::ENOTSOCK);
        return -1;
    };
    // The call may block: outside of a critical section.
    // SAFETY: C's contract.
    let accepted = blocking(|| unsafe { libc::accept4(raw, address, length, libc::SOCK_CLOEXEC) });
    if accepted < 0 {
        return -1;
    }
    call(|p| {
        // SAFETY: a fresh descriptor.
        let accepted = unsafe { own(accepted) }?;
        p.system.sockets.mark(accepted.as_raw_fd(), false);
        Ok(p.local.fds.borrow_mut().insert(Object::kernel(accepted), false))
    })
}

/// `accept` on a listener of ours.
///
/// # Safety
/// As `accept`.
unsafe fn accept_own(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int {
    const NOTHING_YET: c_int = c_int::MIN;
    loop {
        let accepted = call(|p| {
            let listener = listener(p, fd).ok_or(Errno::BADF)?;
            let connection = match listener.accept() {
                // SAFETY: a system call on a descriptor of this process.
                Err(Errno::AGAIN) if unsafe { libc::fcntl(fd, libc::F_GETFL) } & libc::O_NONBLOCK == 0 => {
                    return Ok(NOTHING_YET);
                }
                other => other?,
            };
            let internal = connection.internal;
            if !address.is_null() && !length.is_null() {
                let peer = unnamed();
                // SAFETY: C's contract: room for `*length` bytes.
                unsafe {
                    let room = (*length as usize).min(size_of::<libc::sa_family_t>());
                    std::ptr::copy_nonoverlapping((&raw const peer).cast::<u8>(), address.cast(), room);
                    *length = size_of::<libc::sa_family_t>() as socklen_t;
                }
            }
            p.system.sockets.mark(connection.socket.as_raw_fd(), internal);
            Ok(p.local.fds.borrow_mut().insert(Object::kernel(connection.socket), false))
        });
        if accepted != NOTHING_YET {
            return accepted;
        }
        let mut ready = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: a valid structure. Interrupted or not, the queue is looked at again.
        blocking(|| unsafe { libc::poll(&mut ready, 1, -1) });
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    let Some(fd) = raw(fd) else {
        set_errno(libc::ENOTSOCK);
        return -1;
    };
    // SAFETY: C's contract.
    let path = unsafe { unix_path(address, length) };
    let Some(path) = path else {
        let allowed = enter(|p| p.system.policy.network);
        // SAFETY: C's contract.
        if !allowed && unsafe { (*address).sa_family } == libc::AF_UNIX as libc::sa_family_t {
            set_errno(libc::EACCES);
            return -1;
        }
        // SAFETY: C's contract.
        return blocking(|| unsafe { libc::connect(fd, address, length) });
    };
    const CONNECTED: c_int = c_int::MAX;
    let place = call(|p| {
        let (cwd, tree) = (p.local.cwd.borrow(), &p.system.namespace);
        if let Ok(Some(node)) = tree.special(&cwd, path) {
            let listener = node.object.downcast::<Listener>().map_err(|_| Errno::CONNREFUSED)?;
            let connected = match p.system.door() {
                Some(door) => fork::connect(door, path)?,
                None => listener.connect()?,
            };
            become_other(fd, &connected)?;
            return Ok(CONNECTED);
        }
        match tree.open(&cwd, path, libc::O_PATH | libc::O_CLOEXEC, 0)? {
            vfs::File::Kernel(place) => Ok(p.local.fds.borrow_mut().insert(Object::kernel(place), true)),
            _ => Err(Errno::CONNREFUSED),
        }
    });
    if place < 0 || place == CONNECTED {
        return place.min(0);
    }
    // A path that was looked up already cannot be changed under us. The call may block: outside of a critical section.
    let mut host = unnamed();
    // SAFETY: the buffer has that size, and the address is valid.
    let connected = unsafe {
        libc::snprintf(host.sun_path.as_mut_ptr(), host.sun_path.len(), c"/proc/self/fd/%d".as_ptr(), place);
        blocking(|| libc::connect(fd, (&raw const host).cast(), size_of_val(&host) as socklen_t))
    };
    let error = current::errno();
    super::fds::libos_close(place);
    set_errno(error);
    connected
}

/// Whether a socket is a connection of the host process with itself. For glue.
#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_socket_is_internal(fd: c_int) -> c_int {
    enter(|p| c_int::from(p.system.sockets.is_internal(fd)))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const libc::addrinfo,
    result: *mut *mut libc::addrinfo,
) -> c_int {
    // The C library holds locks: no handler may jump out of it.
    // SAFETY: C's contract.
    enter(|_| unsafe { libc::getaddrinfo(node, service, hints, result) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_freeaddrinfo(list: *mut libc::addrinfo) {
    // SAFETY: C's contract.
    enter(|_| unsafe { libc::freeaddrinfo(list) });
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_getnameinfo(
    address: *const sockaddr,
    length: socklen_t,
    host: *mut c_char,
    host_size: socklen_t,
    service: *mut c_char,
    service_size: socklen_t,
    flags: c_int,
) -> c_int {
    // SAFETY: C's contract.
    enter(|_| unsafe { libc::getnameinfo(address, length, host, host_size, service, service_size, flags) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_getifaddrs(list: *mut *mut libc::ifaddrs) -> c_int {
    // SAFETY: C's contract.
    enter(|_| unsafe { libc::getifaddrs(list) })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_freeifaddrs(list: *mut libc::ifaddrs) {
    // SAFETY: C's contract.
    enter(|_| unsafe { libc::freeifaddrs(list) });
}
