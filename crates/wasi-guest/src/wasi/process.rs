//! The one process: who it is, what it may not start, what it may use.

use super::descriptors::MOST;
use super::fail;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;

/// Its number.
pub(crate) const PID: c_int = 42;
/// The number of its user and group: not root, whom PostgreSQL refuses.
pub(crate) const ID: u32 = 1000;

macro_rules! answers {
    ($($name:ident($($argument:ty),*) -> $result:ty = $value:expr;)*) => {
        $(#[unsafe(no_mangle)]
        extern "C" fn $name($(_: $argument),*) -> $result { $value })*
    };
}

answers! {
    getuid() -> u32 = ID;
    geteuid() -> u32 = ID;
    getgid() -> u32 = ID;
    getegid() -> u32 = ID;
    setuid(u32) -> c_int = 0;
    setgid(u32) -> c_int = 0;
    getpid() -> c_int = PID;
    getppid() -> c_int = 1;
    getpgrp() -> c_int = PID;
    getpgid(c_int) -> c_int = PID;
    setpgid(c_int, c_int) -> c_int = 0;
    setsid() -> c_int = PID;
    fork() -> c_int = fail(libc::ENOSYS);
    execv(*const c_char, *const c_void) -> c_int = fail(libc::ENOSYS);
    execve(*const c_char, *const c_void, *const c_void) -> c_int = fail(libc::ENOSYS);
    execvp(*const c_char, *const c_void) -> c_int = fail(libc::ENOSYS);
    execl(*const c_char, *const c_char, *const c_void) -> c_int = fail(libc::ENOSYS);
    execlp(*const c_char, *const c_char, *const c_void) -> c_int = fail(libc::ENOSYS);
    wait(*mut c_int) -> c_int = fail(libc::ECHILD);
    waitpid(c_int, *mut c_int, c_int) -> c_int = fail(libc::ECHILD);
    setrlimit(c_int, *const c_void) -> c_int = 0;
    getpriority(c_int, c_int) -> c_int = 0;
    setpriority(c_int, c_int, c_int) -> c_int = 0;
    getdtablesize() -> c_int = MOST as c_int;
    tcgetattr(c_int, *mut c_void) -> c_int = fail(libc::ENOTTY);
    tcsetattr(c_int, c_int, *const c_void) -> c_int = fail(libc::ENOTTY);
    openlog(*const c_char, c_int, c_int) -> () = ();
    closelog() -> () = ();
    syslog(c_int, *const c_char, *const c_void) -> () = ();
    tzset() -> () = ();
    getgrgid(u32) -> *mut c_void = null_mut();
    getgrnam(*const c_char) -> *mut c_void = null_mut();
}

/// `struct passwd`.
#[repr(C)]
#[derive(Clone, Copy)]
struct User {
    name: *const c_char,
    password: *const c_char,
    id: u32,
    group: u32,
    description: *const c_char,
    home: *const c_char,
    shell: *const c_char,
}

// SAFETY: its pointers are to constants.
unsafe impl Sync for User {}

static USER: User = User {
    name: c"postgres".as_ptr(),
    password: c"x".as_ptr(),
    id: ID,
    group: ID,
    description: c"postgres".as_ptr(),
    home: c"/".as_ptr(),
    shell: c"/bin/false".as_ptr(),
};

#[unsafe(no_mangle)]
extern "C" fn getpwuid(_: u32) -> *const c_void {
    (&raw const USER).cast()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getpwnam(name: *const c_char) -> *const c_void {
    // SAFETY: the caller's string.
    if unsafe { CStr::from_ptr(name) } == c"postgres" { getpwuid(ID) } else { null_mut() }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getpwuid_r(
    _: u32,
    result: *mut c_void,
    _: *mut c_char,
    _: usize,
    found: *mut *mut c_void,
) -> c_int {
    // SAFETY: the caller's places.
    unsafe {
        result.cast::<User>().write(USER);
        found.write(result);
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getpwnam_r(
    name: *const c_char,
    result: *mut c_void,
    buffer: *mut c_char,
    size: usize,
    found: *mut *mut c_void,
) -> c_int {
    // SAFETY: the caller's string and places.
    unsafe {
        if CStr::from_ptr(name) == c"postgres" {
            return getpwuid_r(ID, result, buffer, size, found);
        }
        found.write(null_mut());
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getgrnam_r(
    _: *const c_char,
    _: *mut c_void,
    _: *mut c_char,
    _: usize,
    found: *mut *mut c_void,
) -> c_int {
    // SAFETY: the caller's place.
    unsafe { found.write(null_mut()) };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getrlimit(what: c_int, result: *mut [u64; 2]) -> c_int {
    const STACK: c_int = 3;
    let most = match what {
        // More than the real one: what bounds a recursion is max_stack_depth.
        STACK => 8 << 20,
        // Of descriptors as well: PostgreSQL tries how many it gets, and takes this for the highest number.
        _ => 1 << 20,
    };
    // SAFETY: the caller's place.
    unsafe { result.write([most; 2]) };
    0
}

/// Time that the process has used: WASI does not tell, so it is the time that went by.
fn elapsed() -> std::time::Duration {
    // SAFETY: zeros are a valid one, and the place is ours.
    unsafe {
        let mut now: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now);
        std::time::Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs())
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getrusage(_: c_int, result: *mut c_void) -> c_int {
    /// `struct rusage`: two times, 14 numbers.
    #[repr(C)]
    struct Usage {
        user: libc::timeval,
        system: libc::timeval,
        rest: [i32; 14],
    }
    let time = elapsed();
    // SAFETY: the caller's place.
    unsafe {
        result.write_bytes(0, size_of::<Usage>());
        let usage = result.cast::<Usage>();
        (*usage).user.tv_sec = time.as_secs() as _;
        (*usage).user.tv_usec = time.subsec_micros() as _;
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn times(result: *mut c_void) -> i64 {
    // SAFETY: the caller's place, of four clocks of eight bytes.
    unsafe { result.write_bytes(0, 32) };
    (elapsed().as_millis() / 10) as i64
}

#[unsafe(no_mangle)]
unsafe extern "C" fn gethostname(name: *mut c_char, size: usize) -> c_int {
    const NAME: &CStr = c"wasi";
    if size < NAME.to_bytes_with_nul().len() {
        return fail(libc::ENAMETOOLONG);
    }
    // SAFETY: the caller's buffer.
    unsafe { name.copy_from_nonoverlapping(NAME.as_ptr(), NAME.to_bytes_with_nul().len()) };
    0
}
