//! Files: the owner and the permissions that WASI does not have, paths, names for temporary files.

use super::descriptors::is_own;
use super::process::ID;
use super::{Global, fail};
use crate::paths;
use std::ffi::{CStr, c_char, c_int};
use std::ptr::null_mut;

unsafe extern "C" {
    fn __real_stat(path: *const c_char, result: *mut libc::stat) -> c_int;
    fn __real_lstat(path: *const c_char, result: *mut libc::stat) -> c_int;
    fn __real_fstat(fd: c_int, result: *mut libc::stat) -> c_int;
    fn __real_fstatat(fd: c_int, path: *const c_char, result: *mut libc::stat, flags: c_int) -> c_int;
    fn __real_fsync(fd: c_int) -> c_int;
    fn malloc(size: usize) -> *mut std::ffi::c_void;
    fn open(path: *const c_char, flags: c_int, arguments: *const u32) -> c_int;
    fn mkdir(path: *const c_char, mode: u32) -> c_int;
}

/// Everything belongs to the one user there is, and nobody else may touch it.
fn owned(result: c_int, stat: *mut libc::stat) -> c_int {
    if result == 0 {
        // SAFETY: it was just filled.
        let stat = unsafe { &mut *stat };
        (stat.st_uid, stat.st_gid) = (ID, ID);
        stat.st_mode |= if stat.st_mode & libc::S_IFMT == libc::S_IFDIR { 0o700 } else { 0o600 };
    }
    result
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_stat(path: *const c_char, result: *mut libc::stat) -> c_int {
    // SAFETY: as the caller's.
    owned(unsafe { __real_stat(path, result) }, result)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_lstat(path: *const c_char, result: *mut libc::stat) -> c_int {
    // SAFETY: as the caller's.
    owned(unsafe { __real_lstat(path, result) }, result)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_fstat(fd: c_int, result: *mut libc::stat) -> c_int {
    if is_own(fd) {
        // SAFETY: the caller's place; zeros are a valid one.
        unsafe {
            result.write_bytes(0, 1);
            (*result).st_mode = libc::S_IFCHR | 0o600;
        }
        return 0;
    }
    // SAFETY: as the caller's.
    owned(unsafe { __real_fstat(fd, result) }, result)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_fstatat(fd: c_int, path: *const c_char, result: *mut libc::stat, flags: c_int) -> c_int {
    // SAFETY: as the caller's.
    owned(unsafe { __real_fstatat(fd, path, result, flags) }, result)
}

/// A directory cannot be synchronised through WASI. That it cannot is what PostgreSQL is told, by the error that it takes from file
/// systems without such a thing; the host makes changes of directories durable.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_fsync(fd: c_int) -> c_int {
    // SAFETY: a number.
    let result = unsafe { __real_fsync(fd) };
    if result != 0 {
        // SAFETY: zeros are a valid one.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: a place of ours.
        if unsafe { __real_fstat(fd, &mut stat) } == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFDIR {
            return fail(libc::EINVAL);
        }
    }
    result
}

/// There are no modes to change; that the file is there is what PostgreSQL learns from it (`CREATE TABLESPACE`).
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_chmod(path: *const c_char, _: u32) -> c_int {
    // SAFETY: zeros are a valid one.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the caller's path, a place of ours.
    unsafe { __real_stat(path, &mut stat) }
}

#[unsafe(no_mangle)]
extern "C" fn __wrap_fchmod(_: c_int, _: u32) -> c_int {
    0
}

#[unsafe(no_mangle)]
extern "C" fn chown(_: *const c_char, _: u32, _: u32) -> c_int {
    0
}

#[unsafe(no_mangle)]
extern "C" fn fchown(_: c_int, _: u32, _: u32) -> c_int {
    0
}

#[unsafe(no_mangle)]
extern "C" fn umask(mask: u32) -> u32 {
    static MASK: Global<u32> = Global::new(0o077);
    MASK.with(|current| std::mem::replace(current, mask))
}

#[unsafe(no_mangle)]
extern "C" fn sync() {}

#[unsafe(no_mangle)]
extern "C" fn mkfifo(_: *const c_char, _: u32) -> c_int {
    fail(libc::ENOSYS)
}

/// libc's own looks at every part of the path, also at those above what the host has opened, which are not there.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_realpath(path: *const c_char, result: *mut c_char) -> *mut c_char {
    // SAFETY: zeros are a valid one.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the caller's string, a place of ours.
    if unsafe { __real_stat(path, &mut stat) } != 0 {
        return null_mut();
    }
    let mut current = [0u8; 4096];
    // SAFETY: a buffer of ours.
    if unsafe { libc::getcwd(current.as_mut_ptr().cast(), current.len()) }.is_null() {
        return null_mut();
    }
    let current = CStr::from_bytes_until_nul(&current).unwrap_or_default();
    // SAFETY: the caller's string.
    let mut whole = paths::absolute(unsafe { CStr::from_ptr(path) }.to_bytes(), current.to_bytes());
    if whole.len() >= 4096 {
        fail(libc::ENAMETOOLONG);
        return null_mut();
    }
    whole.push(0);
    // SAFETY: the caller's buffer has room for the longest path; else it is a new one.
    unsafe {
        let target = if result.is_null() { malloc(whole.len()).cast() } else { result };
        if !target.is_null() {
            target.copy_from_nonoverlapping(whole.as_ptr().cast(), whole.len());
        }
        target
    }
}

/// Replaces the `XXXXXX` at the end of a template until `make` has made what it names; what that returned.
///
/// # Safety
/// `template` is a string that can be written to.
unsafe fn named(template: *mut c_char, mut make: impl FnMut() -> c_int) -> c_int {
    // SAFETY: by the caller's promise.
    let length = unsafe { CStr::from_ptr(template) }.count_bytes();
    if length < 6 {
        return fail(libc::EINVAL);
    }
    for _ in 0..100 {
        let mut random = [0u8; 6];
        // SAFETY: a buffer of ours.
        if unsafe { libc::getentropy(random.as_mut_ptr().cast(), 6) } != 0 {
            return -1;
        }
        for (at, byte) in random.iter().enumerate() {
            // SAFETY: in the string.
            unsafe { template.add(length - 6 + at).write((b'a' + byte % 26) as c_char) };
        }
        let result = make();
        if result >= 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::EEXIST) {
            return result;
        }
    }
    fail(libc::EEXIST)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mkstemp(template: *mut c_char) -> c_int {
    // SAFETY: as the caller's.
    unsafe { named(template, || open(template, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, [0o600].as_ptr())) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mkdtemp(template: *mut c_char) -> *mut c_char {
    // SAFETY: as the caller's.
    if unsafe { named(template, || mkdir(template, 0o700)) } == 0 { template } else { null_mut() }
}
