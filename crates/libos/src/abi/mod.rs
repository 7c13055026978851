//! The C functions that privatized programs call instead of the C library's: `libos_NAME` for each
//! `redirect NAME` in `names.txt`.
//!
//! Each does what its C namesake is documented to do, for the calling process. All share these rules:
//!
//! - Pointers come from the program and are as valid as C's contract of the function demands; a bad one faults in the
//!   program's name where the kernel would have said `EFAULT`.
//! - What takes a lock or allocates runs in a critical section (`current::enter`). What may call back into the program,
//!   block for long or never return does so outside of any, in a frame with nothing to drop.
//! - Functions that are variadic in C (`open`, `fcntl`) take their optional argument as an ordinary one: the Linux
//!   calling conventions pass both alike.

pub(crate) mod console;
pub(crate) mod environment;
pub(crate) mod fds;
pub(crate) mod files;
pub(crate) mod memory;
pub(crate) mod messages;
pub(crate) mod modules;
pub(crate) mod options;
pub(crate) mod paths;
pub(crate) mod poll;
pub(crate) mod print;
pub(crate) mod process;
pub(crate) mod shells;
pub(crate) mod signals;
pub(crate) mod sockets;
pub(crate) mod stock;
pub(crate) mod streams;
pub(crate) mod table;
pub(crate) mod threads;
pub(crate) mod time;
pub(crate) mod waits;

use libc::c_int;
use std::ffi::{CStr, c_char};
use std::fmt::{self, Write as _};

/// The bytes of a C string of the program.
///
/// # Safety
/// `s` is a C string that lives for the duration of the call.
pub(crate) unsafe fn bytes<'a>(s: *const c_char) -> &'a [u8] {
    // SAFETY: by the caller's promise.
    unsafe { CStr::from_ptr(s) }.to_bytes()
}

/// Text of bounded length, without memory that an end of the process in the middle would leave behind.
struct Line {
    text: [u8; 1024],
    length: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let room = &mut self.text[self.length..];
        let taken = s.len().min(room.len());
        room[..taken].copy_from_slice(&s.as_bytes()[..taken]);
        self.length += taken;
        Ok(())
    }
}

/// Writes a message to a descriptor, cut off where it is too long. Does not keep `errno`.
fn write_line(fd: c_int, message: fmt::Arguments<'_>) {
    let mut line = Line { text: [0; 1024], length: 0 };
    // It never fails.
    let _ = line.write_fmt(message);
    // SAFETY: a buffer of that length.
    unsafe { fds::libos_write(fd, line.text.as_ptr().cast(), line.length) };
}

/// A C string in a message.
struct Shown(*const c_char);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_null() {
            return f.write_str("?");
        }
        // SAFETY: those who make one pass a string of the program, or null.
        let bytes = unsafe { bytes(self.0) };
        bytes.utf8_chunks().try_for_each(|chunk| {
            f.write_str(chunk.valid())?;
            if chunk.invalid().is_empty() { Ok(()) } else { f.write_char('\u{fffd}') }
        })
    }
}
