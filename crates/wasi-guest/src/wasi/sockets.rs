//! Sockets: there are none. A session's bytes go another way.

use super::descriptors::is_own;
use super::fail;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::net::IpAddr;
use std::ptr::null_mut;

const EAI_FAIL: c_int = -4;
const AF_INET: u16 = 1;
const AF_INET6: u16 = 2;
const AF_UNIX: u16 = 3;
const SOCK_STREAM: c_int = 6;

macro_rules! refused {
    ($($name:ident($($argument:ty),*) -> $result:ty = $value:expr;)*) => {
        $(#[unsafe(no_mangle)]
        extern "C" fn $name($(_: $argument),*) -> $result { $value })*
    };
}

refused! {
    socket(c_int, c_int, c_int) -> c_int = fail(libc::EAFNOSUPPORT);
    bind(c_int, *const c_void, u32) -> c_int = fail(libc::ENOSYS);
    connect(c_int, *const c_void, u32) -> c_int = fail(libc::ENOSYS);
    listen(c_int, c_int) -> c_int = fail(libc::ENOSYS);
    getpeername(c_int, *mut c_void, *mut u32) -> c_int = fail(libc::ENOTSOCK);
    setsockopt(c_int, c_int, c_int, *const c_void, u32) -> c_int = fail(libc::ENOSYS);
    sendto(c_int, *const c_void, usize, c_int, *const c_void, u32) -> isize = fail(libc::ENOSYS) as isize;
    recvfrom(c_int, *mut c_void, usize, c_int, *mut c_void, *mut u32) -> isize = fail(libc::ENOSYS) as isize;
    sendmsg(c_int, *const c_void, c_int) -> isize = fail(libc::ENOSYS) as isize;
    recvmsg(c_int, *mut c_void, c_int) -> isize = fail(libc::ENOSYS) as isize;
    getnameinfo(*const c_void, u32, *mut c_char, u32, *mut c_char, u32, c_int) -> c_int = EAI_FAIL;
    gai_strerror(c_int) -> *const c_char = c"names of hosts cannot be looked up in here".as_ptr();
    gethostbyname(*const c_char) -> *mut c_void = null_mut();
    getservbyname(*const c_char, *const c_char) -> *mut c_void = null_mut();
    getifaddrs(*mut *mut c_void) -> c_int = fail(libc::ENOSYS);
    freeifaddrs(*mut c_void) -> () = ();
}

/// `struct addrinfo` of `include/netdb.h`.
#[repr(C)]
struct Info {
    flags: c_int,
    family: c_int,
    kind: c_int,
    protocol: c_int,
    length: u32,
    address: *const Address,
    name: *const c_char,
    next: *const Info,
}

/// `struct sockaddr_in` and `struct sockaddr_in6` of wasi-libc: family, port, then the address at 4, or at 8.
#[repr(C, align(16))]
struct Address([u8; 32]);

/// An answer of `getaddrinfo`, in one piece.
#[repr(C)]
struct Answer {
    info: Info,
    address: Address,
}

/// Knows addresses in figures, which `pg_hba.conf` has; names it does not.
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    _: *const c_char,
    _: *const Info,
    result: *mut *const Info,
) -> c_int {
    if node.is_null() {
        return EAI_FAIL;
    }
    // SAFETY: the caller's string.
    let node = unsafe { CStr::from_ptr(node) };
    let Some(address) = node.to_str().ok().and_then(|text| text.parse::<IpAddr>().ok()) else { return EAI_FAIL };
    let mut bytes = [0; 32];
    let (family, length) = match address {
        IpAddr::V4(address) => {
            bytes[4..8].copy_from_slice(&address.octets());
            (AF_INET, 16)
        }
        IpAddr::V6(address) => {
            bytes[8..24].copy_from_slice(&address.octets());
            (AF_INET6, 32)
        }
    };
    bytes[..2].copy_from_slice(&family.to_le_bytes());
    let info = Info {
        flags: 0,
        family: family.into(),
        kind: SOCK_STREAM,
        protocol: 0,
        length,
        address: std::ptr::null(),
        name: std::ptr::null(),
        next: std::ptr::null(),
    };
    let answer = Box::into_raw(Box::new(Answer { info, address: Address(bytes) }));
    // SAFETY: it has just been made, and the caller's place.
    unsafe {
        (*answer).info.address = &raw const (*answer).address;
        result.write(answer.cast());
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn freeaddrinfo(info: *mut Info) {
    if !info.is_null() {
        // SAFETY: the function above has made it.
        drop(unsafe { Box::from_raw(info.cast::<Answer>()) });
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getsockname(fd: c_int, address: *mut u16, length: *mut u32) -> c_int {
    if !is_own(fd) {
        return fail(libc::ENOTSOCK);
    }
    // SAFETY: the caller's places, for an address that has a family at least.
    unsafe {
        address.write(AF_UNIX);
        length.write(2);
    }
    0
}
