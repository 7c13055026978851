//! `fork` by the kernel's own, for systems that allow it: the child is another process of the host, which goes on from there with a
//! copy of everything, and of the threads has only the one that called.
//!
//! In the parent a thread waits for the child and is its place in the system's table: it can be signalled and waited for as
//! any other. In the child the system goes on with that one process, and so does its identity, but for the pid; at the process's end
//! the host process ends. Listening sockets inside the system are the parent's: the child asks it, by the *door*, to be let in.
//!
//! Relies on: what other threads of the host may hold at that moment is not needed in the child. Of the system that are the table
//! and the thread's lock, which are taken before; the C library cares for its own.

use crate::current::{errno, set_errno};
use crate::fd::above_standard;
use crate::process::{Process, Status};
use crate::system::System;
use rustix::io::{Errno, Result};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::ptr::null_mut;

/// Signals that the child's system hands on to its process.
const FORWARDED: [i32; 7] =
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2, libc::SIGALRM];

/// The two ends of a door: the parent's and the child's.
pub(crate) fn door() -> Result<(OwnedFd, OwnedFd)> {
    let (outer, inner) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok((above_standard(outer)?, above_standard(inner)?))
}

/// Connects to the listening socket at a virtual path, from the child.
pub(crate) fn connect(door: &OwnedFd, path: &[u8]) -> Result<OwnedFd> {
    let (ours, theirs) = UnixStream::pair().map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::MFILE))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    let sent: [BorrowedFd<'_>; 1] = [theirs.as_fd()];
    with.push(SendAncillaryMessage::ScmRights(&sent));
    sendmsg(door, &[IoSlice::new(path)], &mut with, SendFlags::NOSIGNAL)?;
    above_standard(ours.into())
}

/// Lets the child's connections in until it ends, then tells how it ended.
pub(crate) fn attend(system: &System, door: &OwnedFd, pid: i32) -> Status {
    let mut path = [0; 4096];
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut with = RecvAncillaryBuffer::new(&mut space);
        let got = match recvmsg(door, &mut [IoSliceMut::new(&mut path)], &mut with, RecvFlags::CMSG_CLOEXEC) {
            Ok(got) if got.bytes > 0 => got.bytes,
            Err(Errno::INTR) => continue,
            _ => break,
        };
        let sockets = with.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        });
        for socket in sockets.flatten() {
            // Who is not let in is hung up on.
            if let Ok(path) = str::from_utf8(&path[..got]) {
                let _ = system.hand_over(path, socket, true);
            }
        }
    }
    wait(pid)
}

/// Waits for a child of the host.
pub(crate) fn wait(pid: i32) -> Status {
    let mut status = 0;
    // SAFETY: a child that `fork` made; nobody else waits for it.
    while unsafe { libc::waitpid(pid, &mut status, 0) } < 0 {
        if errno() != libc::EINTR {
            return Status::Signaled(libc::SIGKILL);
        }
    }
    if libc::WIFEXITED(status) {
        Status::Exited(libc::WEXITSTATUS(status))
    } else {
        Status::Signaled(libc::WTERMSIG(status))
    }
}

/// Sends a signal to the child.
pub(crate) fn kill(pid: i32, signal: i32) {
    let before = errno();
    // SAFETY: a child of the host that has not been waited for.
    unsafe { libc::kill(pid, signal) };
    set_errno(before);
}

/// In the child: what the kernel sends to the host process is the program's from now on. Its other signals are blocked already.
pub(crate) fn forward_signals(p: &'static Process) {
    // SAFETY: a system call. Without its parent the child has nobody who would end it.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let forward = move || {
        // SAFETY: valid sets; these signals are blocked on all threads of the child.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            for signal in FORWARDED {
                libc::sigaddset(&mut set, signal);
            }
            let mut signal = 0;
            while libc::sigwait(&set, &mut signal) == 0 {
                p.post(signal);
            }
        }
    };
    // Without it the child cannot be interrupted, but does its work.
    let _ = std::thread::Builder::new().name("signals".into()).spawn(forward);
}

/// In the child: the program has ended, and so does the host process, without what the host has registered for its exit.
pub(crate) fn end(status: Status) -> ! {
    // SAFETY: system calls; nothing of this process is used any more.
    unsafe {
        let code = match status {
            Status::Exited(code) => code,
            Status::Signaled(signal) => {
                let mut set: libc::sigset_t = std::mem::zeroed();
                libc::sigemptyset(&mut set);
                libc::sigaddset(&mut set, signal);
                libc::signal(signal, libc::SIG_DFL);
                libc::raise(signal);
                libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, null_mut());
                128 + signal
            }
        };
        libc::_exit(code)
    }
}
