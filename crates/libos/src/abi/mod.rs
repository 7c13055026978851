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
pub(crate) mod memory;
pub(crate) mod messages;
pub(crate) mod modules;
pub(crate) mod options;
pub(crate) mod paths;
pub(crate) mod process;
pub(crate) mod shells;
pub(crate) mod signals;
pub(crate) mod sockets;
pub(crate) mod streams;
pub(crate) mod table;
pub(crate) mod time;
pub(crate) mod waits;

use std::ffi::{CStr, c_char};

/// The bytes of a C string of the program.
///
/// # Safety
/// `s` is a C string that lives for the duration of the call.
pub(crate) unsafe fn bytes<'a>(s: *const c_char) -> &'a [u8] {
    // SAFETY: by the caller's promise.
    unsafe { CStr::from_ptr(s) }.to_bytes()
}
