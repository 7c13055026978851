//! Listening sockets of the library OS: a path inside the system that processes listen on, and anybody of the
//! same host process can connect to, without the kernel's file tree.
//!
//! The listener's descriptor is an eventfd that counts waiting connections, so that `epoll` works; `accept` takes the
//! next one. A connection is one end of a socket pair, or any stream socket that the host accepted itself.

use crate::fd::Object;
use crate::system::System;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, Result};
use std::collections::{HashSet, VecDeque};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

/// A path that a process listens on.
pub(crate) struct Listener {
    waiting: Mutex<Waiting>,
    ready: OwnedFd,
}

#[derive(Default)]
struct Waiting {
    queue: VecDeque<Connection>,
    closed: bool,
}

/// A connection that waits to be accepted.
pub(crate) struct Connection {
    pub(crate) socket: OwnedFd,
    /// Whether the other end is this process itself.
    pub(crate) internal: bool,
}

/// Which of a system's sockets are connections of the host process with itself.
#[derive(Default)]
pub(crate) struct Sockets {
    internal: Mutex<HashSet<i32>>,
}

impl Sockets {
    fn set(&self) -> std::sync::MutexGuard<'_, HashSet<i32>> {
        self.internal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn mark(&self, fd: i32, internal: bool) {
        if internal {
            self.set().insert(fd);
        } else {
            self.set().remove(&fd);
        }
    }

    /// An owner of the descriptor lets go; the number may mean another socket when it was the last.
    pub(crate) fn closing(&self, fd: i32, object: &Object) {
        if let Object::Kernel(kernel) = object
            && Arc::strong_count(kernel) == 1
        {
            self.set().remove(&fd);
        }
    }

    pub(crate) fn is_internal(&self, fd: i32) -> bool {
        self.set().contains(&fd)
    }
}

impl Listener {
    /// A new listener, and the descriptor by which its process sees it.
    pub(crate) fn new() -> Result<(Arc<Listener>, OwnedFd)> {
        let ready = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE)?;
        let ready = crate::fd::above_standard(ready)?;
        let own = rustix::io::fcntl_dupfd_cloexec(&ready, 3)?;
        Ok((Arc::new(Listener { waiting: Mutex::default(), ready }), own))
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, connection: Connection) -> Result<()> {
        let mut waiting = self.waiting();
        if waiting.closed {
            return Err(Errno::CONNREFUSED);
        }
        // Under the lock, so that the count is that of the queue.
        rustix::io::write(&self.ready, &1u64.to_ne_bytes())?;
        waiting.queue.push_back(connection);
        Ok(())
    }

    /// Takes the next connection; `EAGAIN` when none waits.
    pub(crate) fn accept(&self) -> Result<Connection> {
        let mut waiting = self.waiting();
        let connection = waiting.queue.pop_front().ok_or(Errno::AGAIN)?;
        // Counted, so this does not block whatever the descriptor's mode is.
        rustix::io::read(&self.ready, &mut [0; 8])?;
        Ok(connection)
    }

    /// Connects: the caller's end of a new connection.
    pub(crate) fn connect(&self) -> Result<OwnedFd> {
        let (ours, theirs) = UnixStream::pair().map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::MFILE))?;
        let ours = crate::fd::above_standard(ours.into())?;
        let theirs = crate::fd::above_standard(theirs.into())?;
        self.push(Connection { socket: theirs, internal: true })?;
        Ok(ours)
    }

    /// Refuses what waits and whoever comes later.
    pub(crate) fn close(&self) {
        let mut waiting = self.waiting();
        waiting.closed = true;
        waiting.queue.clear();
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

impl System {
    fn listener(&self, path: &str) -> Result<Arc<Listener>> {
        self.check_ours()?;
        let node = self.namespace.special(&self.namespace.root(), path.as_bytes())?.ok_or(Errno::CONNREFUSED)?;
        node.object.downcast::<Listener>().map_err(|_| Errno::CONNREFUSED)
    }

    /// Connects to the listening socket at a virtual path.
    ///
    /// # Errors
    /// `ENOENT` where nobody has bound the path, `ECONNREFUSED` where the listener is gone.
    pub fn connect(&self, path: &str) -> Result<UnixStream> {
        Ok(UnixStream::from(self.listener(path)?.connect()?))
    }

    /// Hands a stream socket that the host accepted itself to the listener at a virtual path.
    /// `trusted`: the other end is this process itself.
    ///
    /// # Errors
    /// As [`System::connect`].
    pub fn hand_over(&self, path: &str, socket: OwnedFd, trusted: bool) -> Result<()> {
        let socket = crate::fd::above_standard(socket)?;
        self.listener(path)?.push(Connection { socket, internal: trusted })
    }
}

/// What `accept` stores as the peer's address: a Unix socket without a name.
pub(crate) fn unnamed() -> libc::sockaddr_un {
    // SAFETY: plain data.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    address
}

/// Puts `with` in the place of the kernel descriptor `fd`, keeping its number and its blocking mode.
pub(crate) fn become_other(fd: i32, with: &OwnedFd) -> Result<()> {
    // SAFETY: system calls on descriptors that the process owns.
    unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        if flags >= 0 {
            let own = libc::fcntl(with.as_raw_fd(), libc::F_GETFL);
            libc::fcntl(with.as_raw_fd(), libc::F_SETFL, own & !libc::O_NONBLOCK | flags & libc::O_NONBLOCK);
        }
        if libc::dup3(with.as_raw_fd(), fd, libc::O_CLOEXEC) < 0 {
            return Err(Errno::from_raw_os_error(crate::current::errno()));
        }
    }
    Ok(())
}
