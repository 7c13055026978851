//! Standard I/O: what opens, closes and flushes streams, or names the standard ones. The rest is the C library's.

use super::bytes;
use crate::current::{self, call, enter, set_errno};
use crate::stdio;
use libc::{FILE, c_char, c_int, mode_t};
use rustix::io::Errno;
use std::ffi::CStr;
use std::ptr::null_mut;

/// The flags of `open` for a mode of `fopen`.
fn flags(mode: &[u8]) -> Option<c_int> {
    let update = mode.contains(&b'+');
    let (access, extra) = match mode.first()? {
        b'r' => (libc::O_RDONLY, 0),
        b'w' => (libc::O_WRONLY, libc::O_CREAT | libc::O_TRUNC),
        b'a' => (libc::O_WRONLY, libc::O_CREAT | libc::O_APPEND),
        _ => return None,
    };
    let exclusive = if mode.contains(&b'x') { libc::O_EXCL } else { 0 };
    let on_exec = if mode.contains(&b'e') { libc::O_CLOEXEC } else { 0 };
    Some(if update { libc::O_RDWR } else { access } | extra | exclusive | on_exec)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_fopen(path: *const c_char, mode: *const c_char) -> *mut FILE {
    // SAFETY: C's contract.
    let Some(flags) = flags(unsafe { bytes(mode) }) else {
        set_errno(libc::EINVAL);
        return null_mut();
    };
    // SAFETY: C's contract.
    let fd = unsafe { super::paths::libos_open(path, flags, 0o666 as mode_t) };
    if fd < 0 {
        return null_mut();
    }
    // SAFETY: C's contract.
    let file = unsafe { libos_fdopen(fd, mode) };
    if file.is_null() {
        super::fds::libos_close(fd);
    }
    file
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_fdopen(fd: c_int, mode: *const c_char) -> *mut FILE {
    // SAFETY: C's contract.
    let mode = unsafe { CStr::from_ptr(mode) };
    call(|p| {
        p.local.fds.borrow().object(fd)?;
        stdio::open(p, fd, mode)
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_freopen(
    path: *const c_char,
    mode: *const c_char,
    file: *mut FILE,
) -> *mut FILE {
    let Some(fd) = enter(|p| p.local.files.borrow().fd(file)) else {
        set_errno(libc::EBADF);
        return null_mut();
    };
    // SAFETY: C's contract.
    let Some(flags) = flags(unsafe { bytes(mode) }) else {
        set_errno(libc::EINVAL);
        return null_mut();
    };
    // SAFETY: C's contract.
    unsafe {
        libc::fflush(file);
        let new = super::paths::libos_open(path, flags, 0o666 as mode_t);
        if new < 0 {
            return null_mut();
        }
        if (0..3).contains(&fd) {
            super::fds::libos_dup2(new, fd);
            super::fds::libos_close(new);
        } else {
            super::fds::libos_close(fd);
            enter(|p| p.local.files.borrow().set_fd(file, new));
        }
        libc::clearerr(file);
    }
    file
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_fclose(file: *mut FILE) -> c_int {
    // The C library takes a lock of all streams: no handler may jump out of it. Nothing in it blocks for long.
    enter(|p| {
        // SAFETY: C's contract. The stream's close function finds the descriptor in its cookie.
        let result = unsafe { libc::fclose(file) };
        p.local.files.borrow_mut().forget(file);
        result
    })
}

#[inline(never)]
fn next_file(last: *mut FILE) -> Option<*mut FILE> {
    enter(|p| p.local.files.borrow().next(last))
}

#[inline(never)]
pub(crate) fn flush_all() {
    let mut last = null_mut();
    while let Some(file) = next_file(last) {
        // SAFETY: streams of the process; flushing may block, so it is outside of critical sections.
        unsafe { libc::fflush(file) };
        last = file;
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_fflush(file: *mut FILE) -> c_int {
    if file.is_null() {
        flush_all();
        return 0;
    }
    // SAFETY: C's contract.
    unsafe { libc::fflush(file) }
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_fileno(file: *mut FILE) -> c_int {
    call(|p| p.local.files.borrow().fd(file).ok_or(Errno::BADF))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_tmpfile() -> *mut FILE {
    let fd = call(|p| {
        // SAFETY: a fresh descriptor.
        let fd = unsafe { crate::fd::own(libc::memfd_create(c"tmpfile".as_ptr(), libc::MFD_CLOEXEC)) }?;
        Ok(p.local.fds.borrow_mut().insert(crate::fd::Object::kernel(fd), false))
    });
    // SAFETY: a constant mode.
    if fd < 0 { null_mut() } else { unsafe { libos_fdopen(fd, c"w+".as_ptr()) } }
}

/// The process's own stream behind the C library's variable `name`.
fn standard(name: &str) -> Option<*mut FILE> {
    // SAFETY: the process's own variable.
    current::process().libc_datum::<*mut FILE>(name).map(|slot| unsafe { *slot }).filter(|file| !file.is_null())
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_puts(text: *const c_char) -> c_int {
    match standard("stdout") {
        // SAFETY: C's contract.
        Some(out) => unsafe { if libc::fputs(text, out) < 0 { libc::EOF } else { libc::fputc(b'\n'.into(), out) } },
        // SAFETY: C's contract. A program that never names stdout has no buffer to keep in step with.
        None => unsafe {
            let length = libc::strlen(text);
            super::fds::libos_write(1, text.cast(), length);
            super::fds::libos_write(1, c"\n".as_ptr().cast(), 1) as c_int
        },
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_putchar(character: c_int) -> c_int {
    match standard("stdout") {
        // SAFETY: a stream of the process.
        Some(out) => unsafe { libc::fputc(character, out) },
        None => {
            let byte = character as u8;
            // SAFETY: one byte.
            if unsafe { super::fds::libos_write(1, (&raw const byte).cast(), 1) } == 1 {
                byte.into()
            } else {
                libc::EOF
            }
        }
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_perror(prefix: *const c_char) {
    let error = current::errno();
    // SAFETY: C's contract: null or a string.
    let prefix = if prefix.is_null() { c"" } else { unsafe { CStr::from_ptr(prefix) } };
    let mut line = [0u8; 1024];
    let separator = if prefix.is_empty() { c"" } else { c": " };
    // SAFETY: C strings, and a buffer of that size.
    let length = unsafe {
        let text = libc::strerror(error);
        let (to, most) = (line.as_mut_ptr().cast(), line.len());
        libc::snprintf(to, most, c"%s%s%s\n".as_ptr(), prefix.as_ptr(), separator.as_ptr(), text)
    };
    let length = (length.max(0) as usize).min(line.len() - 1);
    // SAFETY: a buffer of that length.
    unsafe { super::fds::libos_write(2, line.as_ptr().cast(), length) };
}

/// Messages to the system log become lines of the process's log. At most four arguments, integers or pointers, are taken.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_syslog(
    _priority: c_int,
    format: *const c_char,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
) {
    let mut line = [0u8; 2048];
    // SAFETY: C's contract for the format and its arguments; the buffer has that size.
    let length = unsafe { libc::snprintf(line.as_mut_ptr().cast(), line.len(), format, a, b, c, d) };
    enter(|p| {
        let length = (length.max(0) as usize).min(line.len() - 1);
        line[length] = b'\n';
        p.system.hooks.output(p.pid, crate::Stream::Error, &line[..=length]);
    });
}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_openlog(_name: *const c_char, _option: c_int, _facility: c_int) {}

#[unsafe(no_mangle)]
pub(crate) extern "C-unwind" fn libos_closelog() {}
