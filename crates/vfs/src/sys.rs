//! What neither rustix nor safe Rust offers: zeroed C structures and two newer system calls.
//!
//! Relies on `libc::stat` and `libc::statvfs` being plain integers, for which all zero bytes are a value.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

/// Moves a descriptor out of the places of stdin, stdout and stderr, which the caller's program may have closed:
/// whoever prints there must not write into our file.
pub(crate) fn above_stdio(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        Ok(fd)
    } else {
        rustix::io::fcntl_dupfd_cloexec(&fd, libc::STDERR_FILENO + 1)
    }
}

pub(crate) fn blank_stat() -> libc::stat {
    // SAFETY: a structure of integers only.
    unsafe { std::mem::zeroed() }
}

pub(crate) fn blank_statvfs() -> libc::statvfs {
    // SAFETY: a structure of integers only.
    unsafe { std::mem::zeroed() }
}

/// `fchmodat2(fd, "", mode, AT_EMPTY_PATH)`, Linux 6.6: `fd` may be an `O_PATH` descriptor.
pub(crate) fn chmod_path_fd(fd: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    // SAFETY: the path is a constant C string; the kernel writes nothing.
    check(unsafe { libc::syscall(libc::SYS_fchmodat2, fd.as_raw_fd(), c"".as_ptr(), mode, libc::AT_EMPTY_PATH) })
}

/// `faccessat2(fd, "", mode, AT_EACCESS | AT_EMPTY_PATH)`, Linux 5.8: `fd` may be an `O_PATH` descriptor.
pub(crate) fn access_path_fd(fd: BorrowedFd<'_>, mode: c_int) -> Result<(), Errno> {
    // SAFETY: the path is a constant C string; the kernel writes nothing.
    check(unsafe {
        libc::syscall(libc::SYS_faccessat2, fd.as_raw_fd(), c"".as_ptr(), mode, libc::AT_EACCESS | libc::AT_EMPTY_PATH)
    })
}

fn check(result: libc::c_long) -> Result<(), Errno> {
    if result == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}
