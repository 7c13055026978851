//! Standard I/O streams: `FILE`s of the C library whose bytes go through the process's own descriptors.
//!
//! Relies on: `fopencookie` streams belong to one process; they are closed, at the latest, when it ends.

use crate::current;
use crate::process::Process;
use libc::{FILE, c_char, c_int, c_void, off64_t, size_t, ssize_t};
use rustix::io::{Errno, Result};
use std::cell::Cell;
use std::collections::BTreeMap;

#[repr(C)]
struct CookieFunctions {
    read: unsafe extern "C-unwind" fn(*mut c_void, *mut c_char, size_t) -> ssize_t,
    write: unsafe extern "C-unwind" fn(*mut c_void, *const c_char, size_t) -> ssize_t,
    seek: unsafe extern "C-unwind" fn(*mut c_void, *mut off64_t, c_int) -> c_int,
    close: unsafe extern "C-unwind" fn(*mut c_void) -> c_int,
}

unsafe extern "C" {
    fn fopencookie(cookie: *mut c_void, mode: *const c_char, functions: CookieFunctions) -> *mut FILE;
    fn __fsetlocking(file: *mut FILE, kind: c_int) -> c_int;
}

/// Of `<stdio_ext.h>`: the C library's functions do not lock the stream.
const FSETLOCKING_BYCALLER: c_int = 2;

/// The open streams of a process, with their descriptors. The address of the latter is the stream's cookie.
#[derive(Default)]
pub(crate) struct Files {
    open: BTreeMap<usize, Box<Cell<i32>>>,
}

impl Files {
    pub(crate) fn fd(&self, file: *mut FILE) -> Option<i32> {
        self.open.get(&(file as usize)).map(|fd| fd.get())
    }

    pub(crate) fn forget(&mut self, file: *mut FILE) {
        self.open.remove(&(file as usize));
    }

    /// Lets the stream go on with another descriptor.
    pub(crate) fn set_fd(&self, file: *mut FILE, fd: i32) {
        if let Some(own) = self.open.get(&(file as usize)) {
            own.set(fd);
        }
    }

    /// The stream behind `last`, in the order of their addresses; the first one behind null.
    pub(crate) fn next(&self, last: *mut FILE) -> Option<*mut FILE> {
        self.open.range(last as usize + 1..).next().map(|(file, _)| *file as *mut FILE)
    }

    /// Closes what the process left open. Nothing is flushed: it ended without `exit`, or `exit` has done so.
    pub(crate) fn reclaim(&mut self) {
        for (file, _fd) in std::mem::take(&mut self.open) {
            // SAFETY: a stream of this process, which uses it no more. On a thread without a process the
            // functions below answer that all went well, so that what is buffered is dropped.
            unsafe { libc::fclose(file as *mut FILE) };
        }
    }
}

/// A stream over `fd`. It does not own the descriptor until `fclose` is called on it.
pub(crate) fn open(p: &Process, fd: i32, mode: &std::ffi::CStr) -> Result<*mut FILE> {
    let functions = CookieFunctions { read, write, seek, close };
    let own = Box::new(Cell::new(fd));
    // SAFETY: the cookie lives until the stream is closed, by `forget` or `reclaim`.
    let file = unsafe { fopencookie(own.as_ptr().cast(), mode.as_ptr(), functions) };
    if file.is_null() {
        return Err(Errno::from_raw_os_error(current::errno()));
    }
    // One thread uses it. A process that ends inside the C library, from a signal handler, must not leave it locked:
    // `reclaim` would wait for that lock for ever, while it holds the one of all streams of the host.
    // SAFETY: a fresh stream.
    unsafe { __fsetlocking(file, FSETLOCKING_BYCALLER) };
    p.local.files.borrow_mut().open.insert(file as usize, own);
    Ok(file)
}

/// Fills `stdin`, `stdout` and `stderr`, where the program uses them.
pub(crate) fn open_standard(p: &Process) {
    for (fd, name, mode) in [(0, "stdin", c"r"), (1, "stdout", c"w"), (2, "stderr", c"w")] {
        let Some(slot) = p.libc_datum::<*mut FILE>(name) else { continue };
        if let Ok(file) = open(p, fd, mode) {
            let line_buffered = fd == 1 && crate::abi::fds::is_terminal(p, fd);
            // SAFETY: a fresh stream, and the process's own variable.
            unsafe {
                if fd == 2 {
                    libc::setvbuf(file, std::ptr::null_mut(), libc::_IONBF, 0);
                } else if line_buffered {
                    libc::setvbuf(file, std::ptr::null_mut(), libc::_IOLBF, 0);
                }
                *slot = file;
            }
        }
    }
}

fn fd_of(cookie: *mut c_void) -> i32 {
    // SAFETY: `open` made it, and the stream is open.
    unsafe { *cookie.cast::<i32>() }
}

unsafe extern "C-unwind" fn read(cookie: *mut c_void, buffer: *mut c_char, size: size_t) -> ssize_t {
    if current::get().is_none() {
        return 0;
    }
    // SAFETY: the C library passes a buffer of that size.
    unsafe { crate::abi::fds::libos_read(fd_of(cookie), buffer.cast(), size) }
}

unsafe extern "C-unwind" fn write(cookie: *mut c_void, buffer: *const c_char, size: size_t) -> ssize_t {
    if current::get().is_none() {
        return size as ssize_t;
    }
    let mut done = 0;
    while done < size {
        // SAFETY: as above.
        let n = unsafe { crate::abi::fds::libos_write(fd_of(cookie), buffer.add(done).cast(), size - done) };
        if n < 0 {
            // A cookie's write function says 0 for an error, and never less.
            return done as ssize_t;
        }
        done += n as usize;
    }
    done as ssize_t
}

unsafe extern "C-unwind" fn seek(cookie: *mut c_void, offset: *mut off64_t, whence: c_int) -> c_int {
    if current::get().is_none() {
        return 0;
    }
    // SAFETY: the C library passes a valid offset.
    unsafe {
        let at = crate::abi::fds::libos_lseek(fd_of(cookie), *offset, whence);
        if at < 0 {
            return -1;
        }
        *offset = at;
    }
    0
}

unsafe extern "C-unwind" fn close(cookie: *mut c_void) -> c_int {
    if current::get().is_none() {
        return 0;
    }
    crate::abi::fds::libos_close(fd_of(cookie))
}
