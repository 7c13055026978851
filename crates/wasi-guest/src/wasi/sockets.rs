//! Sockets: there are none. A session's bytes go another way.

use super::descriptors::is_own;
use super::fail;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;

const EAI_FAIL: c_int = -4;
const AF_UNIX: u16 = 3;

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
    getaddrinfo(*const c_char, *const c_char, *const c_void, *mut *mut c_void) -> c_int = EAI_FAIL;
    freeaddrinfo(*mut c_void) -> () = ();
    getnameinfo(*const c_void, u32, *mut c_char, u32, *mut c_char, u32, c_int) -> c_int = EAI_FAIL;
    gai_strerror(c_int) -> *const c_char = c"names of hosts cannot be looked up in here".as_ptr();
    gethostbyname(*const c_char) -> *mut c_void = null_mut();
    getservbyname(*const c_char, *const c_char) -> *mut c_void = null_mut();
    getifaddrs(*mut *mut c_void) -> c_int = fail(libc::ENOSYS);
    freeifaddrs(*mut c_void) -> () = ();
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
