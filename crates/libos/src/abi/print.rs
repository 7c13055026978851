//! Formatted output that names no stream, or whose result is allocated. What writes to a given stream is the C library's.
//!
//! Functions with variable arguments are entered through `arch`, which makes a list of them.

use super::bytes;
use crate::arch::{ArgumentList, variadic};
use crate::current::{enter, enter_heap, set_errno};
use libc::{FILE, c_char, c_int, size_t};
use std::ptr::null_mut;

unsafe extern "C" {
    fn vfprintf(file: *mut FILE, format: *const c_char, arguments: *mut ArgumentList) -> c_int;
    fn vsnprintf(to: *mut c_char, size: size_t, format: *const c_char, arguments: *mut ArgumentList) -> c_int;
}

variadic! {
    /// `printf`.
    libos_printf(1) => libos_vprintf;
    /// The same, compiled with `_FORTIFY_SOURCE`.
    libos___printf_chk(2) => libos___vprintf_chk;
    /// `asprintf`.
    libos_asprintf(2) => libos_vasprintf;
    /// The same, compiled with `_FORTIFY_SOURCE`.
    libos___asprintf_chk(3) => libos___vasprintf_chk;
    /// `syslog`.
    libos_syslog(2) => libos_vsyslog;
    /// The same, compiled with `_FORTIFY_SOURCE`.
    libos___syslog_chk(3) => libos___vsyslog_chk;
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_vprintf(format: *const c_char, arguments: *mut ArgumentList) -> c_int {
    if let Some(out) = super::streams::standard("stdout") {
        // SAFETY: C's contract, and a stream of the process.
        return unsafe { vfprintf(out, format, arguments) };
    }
    let mut text = null_mut();
    // SAFETY: C's contract. A program that never names stdout has no buffer to keep in step with.
    unsafe {
        let length = libos_vasprintf(&raw mut text, format, arguments);
        if length > 0 {
            super::fds::libos_write(1, text.cast(), length as usize);
        }
        super::memory::libos_free(text.cast());
        length
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos___vprintf_chk(
    _level: c_int,
    format: *const c_char,
    arguments: *mut ArgumentList,
) -> c_int {
    // SAFETY: C's contract.
    unsafe { libos_vprintf(format, arguments) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_vasprintf(
    to: *mut *mut c_char,
    format: *const c_char,
    arguments: *mut ArgumentList,
) -> c_int {
    // SAFETY: C's contract; the list is read twice.
    unsafe {
        *to = null_mut();
        let mut again = *arguments;
        let length = vsnprintf(null_mut(), 0, format, arguments);
        if length < 0 {
            return length;
        }
        let text: *mut c_char = enter_heap(|heap| heap.malloc(length as usize + 1)).cast();
        if text.is_null() {
            set_errno(libc::ENOMEM);
            return -1;
        }
        *to = text;
        vsnprintf(text, length as usize + 1, format, &raw mut again)
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos___vasprintf_chk(
    to: *mut *mut c_char,
    _level: c_int,
    format: *const c_char,
    arguments: *mut ArgumentList,
) -> c_int {
    // SAFETY: C's contract.
    unsafe { libos_vasprintf(to, format, arguments) }
}

/// Messages to the system log become lines of the process's log.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_vsyslog(
    _priority: c_int,
    format: *const c_char,
    arguments: *mut ArgumentList,
) {
    let mut line = [0u8; 2048];
    // SAFETY: C's contract; the buffer has that size, and a NUL at its end.
    let text = unsafe {
        vsnprintf(line.as_mut_ptr().cast(), line.len() - 1, format, arguments);
        bytes(line.as_ptr().cast())
    };
    let length = text.len();
    line[length] = b'\n';
    enter(|p| p.system.hooks.output(p.pid, crate::Stream::Error, &line[..=length]));
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos___vsyslog_chk(
    priority: c_int,
    _level: c_int,
    format: *const c_char,
    arguments: *mut ArgumentList,
) {
    // SAFETY: C's contract.
    unsafe { libos_vsyslog(priority, format, arguments) }
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_openlog(_name: *const c_char, _option: c_int, _facility: c_int) {}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_closelog() {}
