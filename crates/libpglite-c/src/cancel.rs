//! Cancelling from any thread and from a signal handler: there, only `write` is called. A thread of ours does the rest.
//!
//! Relies on: a write of eight bytes to a pipe is whole or not at all.

use gateway::Cancel;
use libpglite::Database;
use rustix::pipe::{PipeFlags, pipe_with};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, Weak};

/// What is to be cancelled.
pub(crate) enum Target {
    Local(Cancel),
    /// A session of a server: its process id and key.
    Server(Weak<Database>, Vec<u8>),
}

impl Target {
    /// Cancels now. When it returns the signal is on its way, and none will follow.
    fn cancel(&self) {
        match self {
            Target::Local(cancel) => cancel.cancel(),
            Target::Server(database, key) => {
                let Some(database) = database.upgrade() else { return };
                let packet = [b"\x04\xd2\x16\x2e", key.as_slice()].concat();
                let length = (packet.len() as u32 + 4).to_be_bytes();
                // A server that has ended has nothing to cancel.
                if let Ok(mut stream) = database.stream() {
                    let sent = stream.write_all(&[&length[..], &packet].concat());
                    // It hangs up when it has done it.
                    let _ = sent.and_then(|()| stream.read(&mut [0]));
                }
            }
        }
    }
}

static WRITER: OnceLock<OwnedFd> = OnceLock::new();
static TARGETS: Mutex<Option<HashMap<u64, Target>>> = Mutex::new(None);
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The number of a session, by which it can be cancelled until this is dropped.
pub(crate) struct Registered(u64);

/// Registers a session.
///
/// # Errors
/// When there is no pipe or thread to be had.
pub(crate) fn register(target: Target) -> std::io::Result<Registered> {
    let mut targets = TARGETS.lock().unwrap_or_else(PoisonError::into_inner);
    if WRITER.get().is_none() {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::fs::fcntl_setfl(&write, rustix::fs::OFlags::NONBLOCK)?;
        std::thread::Builder::new().name("pglite-cancel".into()).spawn(move || work(read.into()))?;
        let _ = WRITER.set(write);
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    targets.get_or_insert_default().insert(number, target);
    Ok(Registered(number))
}

impl Registered {
    /// Safe in signal handlers.
    pub(crate) fn cancel(&self) {
        if let Some(writer) = WRITER.get() {
            // A full pipe has requests enough.
            let _ = rustix::io::write(writer.as_fd(), &self.0.to_ne_bytes());
        }
    }
}

impl Registered {
    /// Cancels what a server's session does, and waits until that is done. A standalone session that answers does nothing any more.
    pub(crate) fn stop(&self) {
        let targets = TARGETS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target @ Target::Server(..)) = targets.as_ref().and_then(|targets| targets.get(&self.0)) {
            target.cancel();
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some(targets) = &mut *TARGETS.lock().unwrap_or_else(PoisonError::into_inner) {
            targets.remove(&self.0);
        }
    }
}

fn work(mut requests: File) {
    let mut number = [0; 8];
    while requests.read_exact(&mut number).is_ok() {
        let targets = TARGETS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = targets.as_ref().and_then(|targets| targets.get(&u64::from_ne_bytes(number))) {
            target.cancel();
        }
    }
}
