//! The gateway: listeners, the session that they share, and its end.

use crate::client;
use crate::credentials;
use crate::listener::{Listener, Stream};
use crate::local::{Cancel, Local};
use crate::queue::Queue;
use draft::{Connection, Profile, Trust};
use libpglite::{Error, Result, Standalone};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// How often the threads that listen look whether they shall end, in seconds.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Where a gateway listens, and for whom.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Folders for Unix sockets; they exist.
    pub sockets: Vec<PathBuf>,
    /// TCP addresses.
    pub addresses: Vec<SocketAddr>,
    /// The port in the names of the Unix sockets; 5432 by default, or that of the first TCP address.
    pub port: Option<u16>,
    /// The superuser.
    pub user: String,
    /// The superuser's password, where it has none yet; by default a random one, kept in the data directory.
    pub password: Option<String>,
    /// Nobody is asked for a password: for sockets that only the owner can reach, and for tests.
    pub trust: bool,
    /// Who waits gets the turn of a client that has been idle outside of a transaction for a tenth of a second; that one is hung up on.
    /// psql's `\c` needs it, which opens a new connection before it closes the old one.
    pub handover: bool,
    /// Each client gets a new session, and never one that was cleaned: see [`Connection::set_reuse`].
    pub fresh: bool,
}

/// Process id and key of the client whose turn it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Current {
    pid: u32,
    key: [u8; 4],
}

impl Current {
    pub(crate) fn new((pid, key): (u32, [u8; 4])) -> Current {
        Current { pid, key }
    }
}

/// What all threads share.
pub(crate) struct Shared {
    connection: Mutex<Connection<Local>>,
    pub(crate) queue: Queue,
    pub(crate) trust: Trust,
    pub(crate) handover: bool,
    current: Mutex<Option<Current>>,
    running: Cancel,
    stopping: AtomicBool,
    clients: Mutex<HashMap<u64, Stream>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection<Local>> {
        locked(&self.connection)
    }

    pub(crate) fn set_current(&self, current: Option<Current>) {
        *locked(&self.current) = current;
    }

    /// A client's request to cancel. The lock is held, so that it cannot meet another client's statement.
    pub(crate) fn cancel(&self, pid: u32, key: &[u8]) {
        let current = locked(&self.current);
        if current.is_some_and(|current| current.pid == pid && current.key == key) {
            self.running.cancel();
        }
    }

    pub(crate) fn cancel_running(&self) {
        self.running.cancel();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

/// Sockets in front of one standalone session.
///
/// Dropping it sends the clients away and closes the database; [`Gateway::close`] does so and tells how it went.
pub struct Gateway {
    shared: Option<Arc<Shared>>,
    threads: Vec<JoinHandle<()>>,
    uri: String,
}

impl Gateway {
    /// Lets clients come to `session`.
    ///
    /// # Errors
    /// When a socket cannot be made, or the session does not begin.
    pub fn start(session: Standalone, options: &Options) -> Result<Gateway> {
        if options.sockets.is_empty() && options.addresses.is_empty() {
            return Err(Error::Option("the gateway has no socket: name a folder or an address".into()));
        }
        let failed = |what: String, source: std::io::Error| Error::Io { context: format!("{what}: {source}"), source };
        let port = options.port.or(options.addresses.first().map(SocketAddr::port)).unwrap_or(5432);
        let mut listeners = Vec::new();
        for address in &options.addresses {
            let listener = Listener::tcp(*address).map_err(|e| failed(format!("cannot listen on {address}"), e))?;
            listeners.push(listener);
        }
        for folder in &options.sockets {
            let path = folder.join(format!(".s.PGSQL.{port}"));
            let listener =
                Listener::unix(&path).map_err(|e| failed(format!("cannot listen at {}", path.display()), e))?;
            listeners.push(listener);
        }
        let path = session.path().to_owned();
        let local = Local::new(session);
        let running = local.cancel();
        let home = Profile { user: Some(options.user.clone()), database: "postgres".into(), parameters: Vec::new() };
        let mut connection = Connection::new(local, home).map_err(|log| Error::Startup { path: path.clone(), log })?;
        let password = if options.trust { None } else { credentials::prepare(&mut connection, &path, options)? };
        connection.set_reuse(!options.fresh);
        let addresses: Vec<SocketAddr> = listeners.iter().filter_map(Listener::address).collect();
        let uri = credentials::uri(options, port, addresses.first(), password.as_deref());
        let shared = Arc::new(Shared {
            connection: Mutex::new(connection),
            queue: Queue::default(),
            trust: if options.trust { Trust::Guest } else { Trust::Stranger },
            handover: options.handover,
            current: Mutex::new(None),
            running,
            stopping: AtomicBool::new(false),
            clients: Mutex::default(),
        });
        let mut gateway = Gateway { shared: Some(shared.clone()), threads: Vec::new(), uri };
        let thread = std::thread::Builder::new()
            .name("pglite-gateway".into())
            .spawn(move || listen(&shared, &listeners))
            .map_err(|e| failed("cannot start a thread".into(), e))?;
        gateway.threads.push(thread);
        Ok(gateway)
    }

    /// How clients reach it; with the password, where that is known.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Sends the clients away and closes the database.
    ///
    /// # Errors
    /// As [`Standalone::close`].
    pub fn close(mut self) -> Result<()> {
        self.stop()
    }

    fn stop(&mut self) -> Result<()> {
        let Some(shared) = self.shared.take() else { return Ok(()) };
        shared.stopping.store(true, Ordering::SeqCst);
        shared.queue.close();
        for thread in self.threads.drain(..) {
            // It has printed why it panicked.
            let _ = thread.join();
        }
        match Arc::try_unwrap(shared) {
            Ok(shared) => {
                let connection = shared.connection.into_inner().unwrap_or_else(PoisonError::into_inner);
                connection.into_backend().close()
            }
            Err(_) => unreachable!("all threads have ended"),
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Whoever wants to know closes it.
        let _ = self.stop();
    }
}

/// Takes clients until the gateway ends, then sees them off.
fn listen(shared: &Arc<Shared>, listeners: &[Listener]) {
    let mut clients: Vec<(u64, JoinHandle<()>)> = Vec::new();
    let mut number = 0;
    while !shared.is_stopping() {
        let mut fds: Vec<PollFd<'_>> = listeners.iter().map(|l| PollFd::new(l, PollFlags::IN)).collect();
        if poll(&mut fds, Some(&LOOK)).is_ok_and(|ready| ready > 0) {
            for listener in listeners {
                match listener.accept() {
                    Ok(Some(stream)) => {
                        number += 1;
                        clients.extend(begin(shared, number, stream).map(|thread| (number, thread)));
                    }
                    Ok(None) => {}
                    // No more descriptors, say: somebody may leave.
                    Err(_) => std::thread::sleep(std::time::Duration::from_millis(50)),
                }
            }
        }
        clients.retain(|(_, thread)| !thread.is_finished());
    }
    loop {
        for stream in locked(&shared.clients).values() {
            stream.shutdown(Shutdown::Read);
        }
        shared.cancel_running();
        clients.retain(|(_, thread)| !thread.is_finished());
        if clients.is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn begin(shared: &Arc<Shared>, number: u64, stream: Stream) -> Option<JoinHandle<()>> {
    let twin = stream.try_clone().ok()?;
    locked(&shared.clients).insert(number, twin);
    let own = shared.clone();
    let thread = std::thread::Builder::new().name("pglite-client".into()).spawn(move || {
        client::serve(&own, &stream);
        locked(&own.clients).remove(&number);
    });
    match thread {
        Ok(thread) => Some(thread),
        Err(_) => {
            locked(&shared.clients).remove(&number);
            None
        }
    }
}
