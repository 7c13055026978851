//! The whole server: a postmaster and its children, on threads of their own.

use crate::cluster::Lock;
use crate::error::{Error, Result};
use crate::machine::{Machine, PORT, SOCKETS};
use crate::open::{self, Opened};
use crate::options::Options;
use crate::resources::Resources;
use crate::settling::{Settling, Unsettled};
use libos::{Child, Spawn, Status, System};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// A running server. Dropping it is a fast shutdown.
pub struct Server {
    postmaster: Child,
    pub(crate) machine: Machine,
    path: PathBuf,
    created: bool,
    settling: Option<Settling>,
    // Last: the directory is free only when the machine is gone.
    _lock: Option<Lock>,
}

/// The settings that only the command line can give, then the user's.
fn arguments(machine: &Machine, options: &Options) -> Result<Vec<String>> {
    let listen = &options.listen;
    let port = port(options)?;
    let mut folders = vec![SOCKETS.to_owned()];
    for folder in &listen.sockets {
        let folder = std::fs::canonicalize(folder).map_err(|e| Error::at(folder, "listen in", e))?;
        folders.push(format!("\"{}\"", folder.display()));
    }
    let hosts: Vec<String> = listen.addresses.iter().map(|a| a.ip().to_string()).collect();
    let mut settings = vec![
        ("listen_addresses".to_owned(), hosts.join(",")),
        ("port".to_owned(), port.to_string()),
        ("unix_socket_directories".to_owned(), folders.join(",")),
    ];
    if let Some(files) = files_per_process() {
        settings.push(("max_files_per_process".to_owned(), files.to_string()));
    }
    settings.extend(options.settings.iter().map(|(k, v)| (k.clone(), v.clone())));
    let mut all = vec!["-D".to_owned(), machine.data().to_owned()];
    for (name, value) in settings {
        check_setting(&name)?;
        all.extend(["-c".to_owned(), format!("{name}={value}")]);
    }
    Ok(all)
}

/// Checks the name of a setting: one that would be read as something else.
///
/// # Errors
/// [`Error::Setting`] where it cannot be one.
pub fn check_setting(name: &str) -> Result<()> {
    let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'$'));
    if fits { Ok(()) } else { Err(Error::Setting(format!("\"{name}\" is not the name of a setting"))) }
}

/// All processes share the host's descriptors: where those are few, each gets few.
fn files_per_process() -> Option<u64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    (limit < 16_384).then(|| (limit / 16).clamp(64, 1000))
}

/// The port of all listeners.
pub(crate) fn port(options: &Options) -> Result<u16> {
    let listen = &options.listen;
    let mut ports: Vec<u16> = listen.port.into_iter().chain(listen.addresses.iter().map(|a| a.port())).collect();
    ports.dedup();
    match ports[..] {
        [] => Ok(PORT),
        [0] => Err(Error::Option("port 0 is not possible: PostgreSQL listens on a port that you name".into())),
        [port] => Ok(port),
        _ => Err(Error::Option(format!("all listeners of a database have one port, but these were named: {ports:?}"))),
    }
}

impl Server {
    /// Opens the cluster, making it where there is none, and starts the server.
    ///
    /// # Errors
    /// See [`Error`]: each names the cause and what to do. A directory in which no cluster could be made, or on which
    /// the server does not start the first time, is left as it was.
    pub fn start(resources: &Resources, options: &Options) -> Result<Server> {
        let Opened { machine, path, created, unsettled, lock } = open::open(resources, options)?;
        let is_new = created.is_some() || lock.is_none();
        match run(&machine, options, &path, unsettled) {
            Ok((postmaster, settling)) => {
                Ok(Server { postmaster, machine, path, created: is_new, settling, _lock: lock })
            }
            Err(e) => {
                drop(machine);
                if let Some(created) = created {
                    created.undo();
                }
                Err(e)
            }
        }
    }

    /// Whether the cluster was made by this open.
    pub fn is_new(&self) -> bool {
        self.created
    }

    /// The data directory, or where a database in memory believes to be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new connection to the server: a stream that speaks the wire protocol, trusted as any role.
    ///
    /// # Errors
    /// [`Error::Ended`] when the server has ended, [`Error::Forked`] in a fork of the process.
    pub fn connect(&self) -> Result<UnixStream> {
        self.machine.check_fork()?;
        self.machine.system.connect(&internal_socket(self.port())).map_err(|_| self.ended())
    }

    /// A handle that hands connections over without keeping the server open.
    pub fn acceptor(&self) -> Acceptor {
        Acceptor { system: Arc::downgrade(&self.machine.system), socket: internal_socket(self.port()) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.machine.port.get().copied().unwrap_or(PORT)
    }

    fn ended(&self) -> Error {
        let reasons = if self.postmaster.try_wait().is_some() { self.machine.reasons() } else { String::new() };
        Error::Ended(if reasons.is_empty() { String::new() } else { format!(":\n{reasons}") })
    }

    /// Whether the server has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.postmaster.try_wait().is_some()
    }

    /// Waits until the server ends, but no longer than `limit`; whether it has.
    pub fn wait(&self, limit: Duration) -> bool {
        self.postmaster.wait_until(Some(Instant::now() + limit)).is_some()
    }

    /// Number of PostgreSQL processes.
    pub fn process_count(&self) -> usize {
        self.machine.system.process_count()
    }

    /// Shuts the server down (fast: sessions are ended, what is committed is on disk).
    ///
    /// # Errors
    /// [`Error::Ended`] with the server's last words when it did not end cleanly; the next open recovers. What the disk said
    /// where it did not take a new cluster.
    pub fn close(mut self) -> Result<()> {
        self.machine.check_fork()?;
        let status = self.stop();
        self.settling.as_mut().map_or(Ok(()), Settling::finish)?;
        match status {
            Status::Exited(0) => Ok(()),
            _ => Err(self.ended()),
        }
    }

    fn stop(&self) -> Status {
        // It may have ended already.
        let _ = self.postmaster.kill(libc::SIGINT);
        self.postmaster.wait()
    }
}

/// Hands connections to a server, for as long as there is one.
pub struct Acceptor {
    system: Weak<System>,
    socket: String,
}

impl Acceptor {
    /// Hands the server a connection that the caller accepted. `trusted`: whoever is at the other end may be any role;
    /// otherwise `pg_hba.conf` decides, as for a Unix socket.
    ///
    /// # Errors
    /// [`Error::Ended`] when the server has ended.
    pub fn hand_over(&self, socket: OwnedFd, trusted: bool) -> Result<()> {
        let ended = || Error::Ended(String::new());
        let system = self.system.upgrade().ok_or_else(ended)?;
        system.hand_over(&self.socket, socket, trusted).map_err(|_| ended())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.machine.check_fork().is_ok() {
            self.stop();
        }
    }
}

fn internal_socket(port: u16) -> String {
    format!("{SOCKETS}/.s.PGSQL.{port}")
}

/// Starts the postmaster and waits until it is ready. Then a new cluster begins to be made durable.
fn run(
    machine: &Machine,
    options: &Options,
    path: &Path,
    unsettled: Option<Unsettled>,
) -> Result<(Child, Option<Settling>)> {
    machine.keep_exec_files_in_memory()?;
    let _ = machine.port.set(port(options)?);
    let spawn = Spawn {
        pid: i32::try_from(std::process::id()).ok(),
        ..machine.command("postgres", arguments(machine, options)?, &[])
    };
    let postmaster = machine.start(spawn)?;
    if machine.wait_ready(&postmaster).is_some() {
        return Err(startup_error(machine, path));
    }
    match settle(unsettled, options) {
        Ok(settling) => Ok((postmaster, settling)),
        Err(e) => {
            let _ = postmaster.kill(libc::SIGINT);
            postmaster.wait();
            Err(e)
        }
    }
}

/// Begins to make a new cluster durable, as far as the user's settings want it to be.
pub(crate) fn settle(unsettled: Option<Unsettled>, options: &Options) -> Result<Option<Settling>> {
    let Some(unsettled) = unsettled else { return Ok(None) };
    if !options.wants_sync() {
        return unsettled.waive().map(|()| None);
    }
    let mut settling = unsettled.settle()?;
    // `open_sync` and `open_datasync` make durable by writing, where nothing can be made to wait.
    if options.setting("wal_sync_method").is_some() {
        settling.finish()?;
    }
    Ok(Some(settling))
}

/// The server's own words, sorted into our errors where they say what the user did.
pub(crate) fn startup_error(machine: &Machine, path: &Path) -> Error {
    Error::from_log(machine.reasons(), path)
}
