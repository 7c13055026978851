//! Standard I/O streams: `FILE`s of the C library whose bytes go through the process's own descriptors.
//!
//! A stream is one process's, and nobody else's business. It is taken off the C library's list of all streams, so that the
//! host's `fflush(NULL)` and `exit` do not visit it: the process may be in the middle of using it, and what it has not
//! flushed is for it to write or lose. Nor does the C library lock it: a process that leaves a call by a jump, from
//! a signal handler, would leave the lock taken, and may go on in another thread. Its buffer is in the process's heap, so
//! that the C library allocates nothing while the program uses it.
//!
//! Relies on: `fopencookie` streams are closed, at the latest, when their process ends.

use crate::current;
use crate::process::Process;
use crate::thread;
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
    /// Takes a stream off the list of all; exported since ever, for code that was inlined into programs.
    fn _IO_un_link(file: *mut FILE);
}

/// Of `<stdio_ext.h>`: the C library's functions do not lock the stream.
const FSETLOCKING_BYCALLER: c_int = 2;
/// They do.
const FSETLOCKING_INTERNAL: c_int = 1;

/// As large as the C library's own, in bytes.
const BUFFER_SIZE: usize = libc::BUFSIZ as usize;

/// What the C library knows of a stream.
struct Cookie {
    owner: *const Process,
    fd: Cell<i32>,
}

/// An open stream.
struct Stream {
    cookie: Box<Cookie>,
    /// In the process's heap.
    buffer: *mut u8,
}

/// The open streams of a process.
#[derive(Default)]
pub(crate) struct Files {
    open: BTreeMap<usize, Stream>,
}

impl Files {
    pub(crate) fn fd(&self, file: *mut FILE) -> Option<i32> {
        self.open.get(&(file as usize)).map(|stream| stream.cookie.fd.get())
    }

    /// Lets the stream go on with another descriptor.
    pub(crate) fn set_fd(&self, file: *mut FILE, fd: i32) {
        if let Some(stream) = self.open.get(&(file as usize)) {
            stream.cookie.fd.set(fd);
        }
    }

    /// The stream behind `last`, in the order of their addresses; the first one behind null.
    pub(crate) fn next(&self, last: *mut FILE) -> Option<*mut FILE> {
        self.open.range(last as usize + 1..).next().map(|(file, _)| *file as *mut FILE)
    }

    /// Whether the C library locks the streams while it uses them, as several threads need it.
    pub(crate) fn set_locking(&self, on: bool) {
        let kind = if on { FSETLOCKING_INTERNAL } else { FSETLOCKING_BYCALLER };
        for file in self.open.keys() {
            // SAFETY: an open stream of this process.
            unsafe { __fsetlocking(*file as *mut FILE, kind) };
        }
    }

    /// Closes what the process left open. Nothing is flushed: it ended without `exit`, or `exit` has done so.
    pub(crate) fn reclaim(&mut self) {
        // A thread may have been ended in the middle of using one.
        self.set_locking(false);
        for (file, _stream) in std::mem::take(&mut self.open) {
            // SAFETY: a stream of this process, which uses it no more. The functions below refuse to write what is buffered
            // on a thread that does not run the process.
            unsafe { libc::fclose(file as *mut FILE) };
        }
    }
}

/// A stream over `fd`. It does not own the descriptor until `fclose` is called on it.
pub(crate) fn open(p: &Process, fd: i32, mode: &std::ffi::CStr) -> Result<*mut FILE> {
    let cookie = Box::new(Cookie { owner: p, fd: Cell::new(fd) });
    let buffer = p.local.heap.borrow_mut().malloc(BUFFER_SIZE);
    if buffer.is_null() {
        return Err(Errno::NOMEM);
    }
    let functions = CookieFunctions { read, write, seek, close };
    // SAFETY: the cookie lives until the stream is closed, by `close_stream` or `reclaim`.
    let file = unsafe { fopencookie(std::ptr::from_ref(&*cookie).cast_mut().cast(), mode.as_ptr(), functions) };
    if file.is_null() {
        let error = current::errno();
        // SAFETY: allocated above.
        unsafe { p.local.heap.borrow_mut().free(buffer) };
        return Err(Errno::from_raw_os_error(error));
    }
    // SAFETY: a fresh stream, and a buffer of that size which lives as long.
    unsafe {
        _IO_un_link(file);
        if !p.local.threads.several() {
            __fsetlocking(file, FSETLOCKING_BYCALLER);
        }
        libc::setvbuf(file, buffer.cast(), libc::_IOFBF, BUFFER_SIZE);
    }
    p.local.files.borrow_mut().open.insert(file as usize, Stream { cookie, buffer });
    Ok(file)
}

/// `fclose`, in a critical section. Nothing is buffered: it was flushed, or lost where that failed.
///
/// # Safety
/// `file` is an open stream of the process.
pub(crate) unsafe fn close_stream(p: &Process, file: *mut FILE) -> c_int {
    let stream = p.local.files.borrow_mut().open.remove(&(file as usize));
    // SAFETY: by the caller's promise. The close function finds the descriptor in the cookie.
    let result = unsafe { libc::fclose(file) };
    if let Some(stream) = stream {
        // SAFETY: allocated by `open`, and the stream is gone.
        unsafe { p.local.heap.borrow_mut().free(stream.buffer) };
    }
    result
}

/// Fills `stdin`, `stdout` and `stderr`, where the program uses them.
pub(crate) fn open_standard(p: &Process) {
    for (fd, name, mode) in [(0, "stdin", c"r"), (1, "stdout", c"w"), (2, "stderr", c"w")] {
        let Some(slot) = p.libc_datum::<*mut FILE>(name) else { continue };
        if let Ok(file) = open(p, fd, mode) {
            let line_buffered = fd == 1 && crate::abi::fds::is_terminal(p, fd);
            // SAFETY: a fresh stream, and the process's own variable. Without a buffer the call only sets the mode.
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

/// The cookie, if the calling thread runs the stream's process: to everybody else the stream is not there.
fn own<'a>(cookie: *mut c_void) -> Option<&'a Cookie> {
    // SAFETY: `open` made it, and the stream is open.
    let cookie = unsafe { &*cookie.cast::<Cookie>() };
    if current::get().is_some_and(|p| std::ptr::eq(p, cookie.owner)) {
        return Some(cookie);
    }
    current::set_errno(libc::EBADF);
    None
}

/// What one of several threads does while the C library has locked the stream for it.
fn held<R>(f: impl FnOnce() -> R) -> R {
    match thread::helper() {
        Some(helper) => helper.hold(f),
        None => f(),
    }
}

unsafe extern "C-unwind" fn read(cookie: *mut c_void, buffer: *mut c_char, size: size_t) -> ssize_t {
    match own(cookie) {
        // SAFETY: the C library passes a buffer of that size.
        Some(own) => held(|| unsafe { crate::abi::fds::libos_read(own.fd.get(), buffer.cast(), size) }),
        None => -1,
    }
}

unsafe extern "C-unwind" fn write(cookie: *mut c_void, buffer: *const c_char, size: size_t) -> ssize_t {
    // A cookie's write function says 0 for an error, and never less.
    let Some(own) = own(cookie) else { return 0 };
    let mut done = 0;
    while done < size {
        // SAFETY: as above.
        let n = held(|| unsafe { crate::abi::fds::libos_write(own.fd.get(), buffer.add(done).cast(), size - done) });
        if n < 0 {
            break;
        }
        done += n as usize;
    }
    done as ssize_t
}

unsafe extern "C-unwind" fn seek(cookie: *mut c_void, offset: *mut off64_t, whence: c_int) -> c_int {
    let Some(own) = own(cookie) else { return -1 };
    // SAFETY: the C library passes a valid offset.
    unsafe {
        let at = crate::abi::fds::libos_lseek(own.fd.get(), *offset, whence);
        if at < 0 {
            return -1;
        }
        *offset = at;
    }
    0
}

unsafe extern "C-unwind" fn close(cookie: *mut c_void) -> c_int {
    match own(cookie) {
        Some(own) => crate::abi::fds::libos_close(own.fd.get()),
        None => -1,
    }
}
