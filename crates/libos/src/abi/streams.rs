//! Standard I/O: what opens, closes and flushes streams, or names the standard ones. The rest is the C library's.

use super::{Shown, bytes, write_line};
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
    // What is buffered goes out first, which may block: outside of the critical section.
    // SAFETY: C's contract.
    let flushed = unsafe { libc::fflush(file) };
    let error = current::errno();
    // SAFETY: C's contract.
    let closed = enter(|p| unsafe { stdio::close_stream(p, file) });
    if flushed != 0 {
        set_errno(error);
        return libc::EOF;
    }
    closed
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
pub(super) fn standard(name: &str) -> Option<*mut FILE> {
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
pub(crate) extern "C-unwind" fn libos_getchar() -> c_int {
    match standard("stdin") {
        // SAFETY: a stream of the process.
        Some(file) => unsafe { libc::fgetc(file) },
        None => {
            let mut byte = 0u8;
            // SAFETY: room for one byte.
            if unsafe { super::fds::libos_read(0, (&raw mut byte).cast(), 1) } == 1 { byte.into() } else { libc::EOF }
        }
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn libos_perror(prefix: *const c_char) {
    // SAFETY: the C library's own text.
    let text = Shown(unsafe { libc::strerror(current::errno()) });
    // SAFETY: C's contract: null or a string.
    if prefix.is_null() || unsafe { bytes(prefix) }.is_empty() {
        write_line(2, format_args!("{text}\n"));
    } else {
        write_line(2, format_args!("{}: {text}\n", Shown(prefix)));
    }
}
