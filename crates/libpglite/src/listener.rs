//! The private socket of a database, for clients that can only connect by address (the `postgres` crate).
//!
//! It has an abstract name: no file is left behind, whatever happens. Only this very process is let in: the
//! kernel says who connects.

use engine::{Acceptor, Error, Result};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::sockopt::socket_peercred;
use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

pub(crate) struct Listener {
    name: String,
    owner: u32,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn failed(source: std::io::Error) -> Error {
    Error::Io { context: format!("cannot open the private socket: {source}"), source }
}

impl Listener {
    pub(crate) const PORT: u16 = 5432;

    pub(crate) fn new(acceptor: Acceptor) -> Result<Listener> {
        let mut random = [0; 16];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).map_err(|e| failed(e.into()))?;
        let name = format!("libpglite-{:032x}", u128::from_ne_bytes(random));
        let listener = UnixListener::bind_addr(&address(&name).map_err(failed)?).map_err(failed)?;
        // A program may have closed its standard streams: their numbers are not for us.
        let listener = UnixListener::from(fcntl_dupfd_cloexec(&listener, 3).map_err(|e| failed(e.into()))?);
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = stop.clone();
        let thread = std::thread::Builder::new()
            .name("pglite-accept".into())
            .spawn(move || {
                for stream in listener.incoming() {
                    if stopping.load(Ordering::SeqCst) {
                        break;
                    }
                    // A stranger is hung up on, and so is everybody when the server has ended.
                    if let Ok(stream) = stream
                        && is_this_process(&stream)
                    {
                        let _ = acceptor.hand_over(stream.into(), true);
                    }
                }
            })
            .map_err(failed)?;
        Ok(Listener { name, owner: std::process::id(), stop, thread: Some(thread) })
    }

    /// What the `postgres` crate takes as the folder of a Unix socket.
    pub(crate) fn host(&self) -> OsString {
        OsString::from_vec([b"\0", self.name.as_bytes()].concat())
    }
}

fn address(name: &str) -> std::io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("{name}/.s.PGSQL.{}", Listener::PORT))
}

fn is_this_process(stream: &UnixStream) -> bool {
    socket_peercred(stream).is_ok_and(|peer| peer.pid == rustix::process::getpid())
}

impl Drop for Listener {
    fn drop(&mut self) {
        if std::process::id() != self.owner {
            // In a fork the thread is not there to be stopped.
            std::mem::forget(self.thread.take());
            return;
        }
        self.stop.store(true, Ordering::SeqCst);
        // One more connection wakes the thread.
        let woken = address(&self.name).and_then(|a| UnixStream::connect_addr(&a)).is_ok();
        if let Some(thread) = self.thread.take()
            && woken
        {
            let _ = thread.join();
        }
    }
}
