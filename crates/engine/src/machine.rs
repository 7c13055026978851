//! A virtual machine for one cluster: its file tree, programs, policy and log.
//!
//! What its processes see: the data directory at its own path (or [`MEMORY`]), PostgreSQL's files below
//! [`PREFIX`], a folder for sockets that only this process can reach, four devices, and what the policy grants.

use crate::error::{Error, Result};
use crate::log::{Log, Recent};
use crate::options::{Access, Location, Options};
use crate::resources::{PREFIX, Resources};
use libos::{Builder, Child, Hooks, Spawn, Status, Stdio, Stream, System};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The data directory of a database in memory.
pub(crate) const MEMORY: &str = "/memory/data";

/// Where sockets are that only this process can reach.
pub(crate) const SOCKETS: &str = "/pglite/run";

/// The port in the name of that socket.
pub(crate) const PORT: u16 = 5432;

/// Names of the programs that processes can start.
pub(crate) const PROGRAMS: &[&str] = &["postgres", "initdb"];

/// What processes report: log lines, and the postmaster's state.
pub(crate) struct Reports {
    log: Log,
    pub(crate) recent: Recent,
    state: Mutex<String>,
    /// Beginnings of lines, by process: programs other than the server write in pieces.
    pieces: Mutex<HashMap<i32, Vec<u8>>>,
}

impl Reports {
    /// The state that the postmaster last told.
    pub(crate) fn state(&self) -> String {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn message(&self, pid: i32, text: &str) {
        let text = text.trim_end();
        if !text.is_empty() {
            self.recent.push(text);
            self.log.text(pid, text);
        }
    }
}

struct Hook(Arc<Reports>, Arc<std::sync::Condvar>, Arc<Mutex<()>>);

impl Hooks for Hook {
    fn output(&self, pid: i32, _stream: Stream, bytes: &[u8]) {
        let mut pieces = self.0.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = match pieces.remove(&pid) {
            Some(mut begun) => {
                begun.extend_from_slice(bytes);
                begun
            }
            None => bytes.to_vec(),
        };
        if whole.ends_with(b"\n") {
            drop(pieces);
            self.0.message(pid, &String::from_utf8_lossy(&whole));
        } else {
            pieces.insert(pid, whole);
        }
    }

    fn event(&self, _pid: i32, name: &str, value: &str) {
        if name == "postmaster-status" {
            let _guard = self.2.lock().unwrap_or_else(PoisonError::into_inner);
            *self.0.state.lock().unwrap_or_else(PoisonError::into_inner) = value.trim().to_owned();
            self.1.notify_all();
        }
    }

    fn fault(&self, pid: i32, signal: i32, address: usize) {
        self.0.message(pid, &format!("FATAL:  process {pid} was ended by signal {signal} at address {address:#x}"));
    }
}

/// The machine of one open cluster.
pub(crate) struct Machine {
    pub(crate) system: Arc<System>,
    data: String,
    pub(crate) reports: Arc<Reports>,
    changed: Arc<std::sync::Condvar>,
    change: Arc<Mutex<()>>,
    /// `PATH` of the processes.
    search: String,
    pub(crate) sockets: Arc<vfs::MemoryFs>,
    /// The port in the names of the sockets, once a server runs.
    pub(crate) port: std::sync::OnceLock<u16>,
}

/// The tree that a cluster in memory lives in.
pub(crate) type MemoryTree = Arc<vfs::MemoryFs>;

impl Machine {
    /// Makes the machine. `directory` is the existing data directory, or `None` for `memory`.
    pub(crate) fn new(
        resources: &Resources,
        options: &Options,
        directory: Option<&Path>,
        memory: &MemoryTree,
    ) -> Result<Machine> {
        let tree = vfs::Namespace::new(identity());
        let lay = |at: &str, e: vfs::Errno| Error::io(&format!("lay out {at}"), e);

        let read_write = vfs::Access::ReadWrite;
        tree.mount(PREFIX.as_bytes(), resources.share.clone(), vfs::Access::ReadOnly).map_err(|e| lay(PREFIX, e))?;
        let sockets = vfs::MemoryFs::new(None);
        tree.mount(SOCKETS.as_bytes(), sockets.clone(), read_write).map_err(|e| lay(SOCKETS, e))?;
        let data = match directory {
            Some(path) => {
                let text = path.to_str().ok_or_else(|| {
                    Error::Option(format!("{} is not valid UTF-8; PostgreSQL needs a path that is", path.display()))
                })?;
                let host = vfs::HostFs::open(path).map_err(|e| Error::at(path, "open", e))?;
                tree.mount(text.as_bytes(), host, read_write).map_err(|e| Error::at(path, "mount", e))?;
                text.to_owned()
            }
            None => {
                tree.mount(MEMORY.as_bytes(), memory.clone(), read_write).map_err(|e| lay(MEMORY, e))?;
                // PostgreSQL insists that nobody else can look in.
                tree.chmod(&tree.root(), MEMORY.as_bytes(), 0o700).map_err(|e| lay(MEMORY, e))?;
                MEMORY.to_owned()
            }
        };
        for device in ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"] {
            tree.grant(device.as_bytes(), read_write).map_err(|e| lay(device, e))?;
        }
        for (path, access) in grants(options)? {
            let access = match access {
                Access::Read => vfs::Access::ReadOnly,
                Access::ReadWrite => read_write,
            };
            tree.grant(path.as_os_str().as_bytes(), access).map_err(|e| Error::at(&path, "allow", e))?;
        }

        let reports = Arc::new(Reports {
            log: options.log.clone(),
            recent: Recent::default(),
            state: Mutex::default(),
            pieces: Mutex::default(),
        });
        let changed = Arc::new(std::sync::Condvar::new());
        let change = Arc::new(Mutex::new(()));
        let policy = libos::Policy {
            network: options.policy.network || !options.listen.addresses.is_empty(),
            programs: options.policy.programs,
        };
        let mut builder = Builder::new(tree)
            .policy(policy)
            .module_directory(&format!("{PREFIX}/lib/postgresql"))
            .user(&user_name())
            // Which locales the host has is not the cluster's business.
            .answer("locale -a", "C\nPOSIX\n");
        for name in PROGRAMS {
            if let Some(program) = Resources::program(name) {
                builder = builder.program(&format!("{PREFIX}/bin/{name}"), program);
            }
        }
        let hook = Hook(reports.clone(), changed.clone(), change.clone());
        let system = builder.build(hook).map_err(|e| Error::io("make the virtual machine", e))?;
        Ok(Machine {
            system,
            data,
            reports,
            changed,
            change,
            search: search_path(options),
            sockets,
            port: std::sync::OnceLock::new(),
        })
    }

    /// The data directory, as processes see it.
    pub(crate) fn data(&self) -> &str {
        &self.data
    }

    /// What the processes said that explains a failure.
    pub(crate) fn reasons(&self) -> String {
        self.reports.recent.reasons()
    }

    /// Whether this process is still the one that made the machine.
    pub(crate) fn check_fork(&self) -> Result<()> {
        if self.system.is_lost() { Err(Error::Forked) } else { Ok(()) }
    }

    /// The files by which a server tells its children what they need to know mean nothing to anybody else: they stay in memory, and
    /// no tool that reads the directory meets them.
    pub(crate) fn keep_exec_files_in_memory(&self) -> Result<()> {
        let (tree, read_write) = (self.system.namespace(), vfs::Access::ReadWrite);
        let lay = |at: &str, e: vfs::Errno| Error::io(&format!("lay out {at}"), e);
        let at = format!("{}/pgsql_tmp", self.data);
        tree.mount(at.as_bytes(), vfs::MemoryFs::new(None), read_write).map_err(|e| lay(&at, e))?;
        let at = format!("{}/global", self.data);
        let names = [&b"config_exec_params"[..], b"config_exec_params.new"];
        tree.mount_entries(at.as_bytes(), &*vfs::MemoryFs::new(None), &names, read_write).map_err(|e| lay(&at, e))
    }

    pub(crate) fn command(&self, program: &str, arguments: Vec<String>, environment: &[String]) -> Spawn {
        let path = format!("{PREFIX}/bin/{program}");
        let mut all = vec![path.clone()];
        all.extend(arguments);
        let mut variables =
            vec![format!("PATH={}", self.search), "LC_ALL=C".into(), "TZ=UTC".into(), format!("PGHOST={SOCKETS}")];
        variables.extend_from_slice(environment);
        Spawn {
            program: path,
            arguments: all,
            environment: variables,
            directory: "/".into(),
            stdio: [Stdio::Null, Stdio::Log, Stdio::Log],
            umask: 0o077,
            pid: None,
        }
    }

    pub(crate) fn start(&self, spawn: Spawn) -> Result<Child> {
        self.system.spawn(spawn).map_err(|e| Error::io("start a process", e))
    }

    /// Runs a program to its end.
    pub(crate) fn run(&self, program: &str, arguments: Vec<String>, environment: &[String]) -> Result<Status> {
        Ok(self.start(self.command(program, arguments, environment))?.wait())
    }

    /// Changes a file of the data directory, wherever that is.
    pub(crate) fn edit(&self, name: &str, change: impl FnOnce(String) -> String) -> Result<()> {
        let tree = self.system.namespace();
        let path = format!("{}/{name}", self.data);
        let open = |flags| tree.open(&tree.root(), path.as_bytes(), flags, 0).map_err(std::io::Error::from);
        let changed = open(libc::O_RDONLY).and_then(read).map(change);
        changed
            .and_then(|text| write(open(libc::O_WRONLY | libc::O_TRUNC)?, &text))
            .map_err(|e| Error::at(Path::new(&path), "change", e))
    }

    /// Waits until the postmaster is ready, or has ended: then its status.
    pub(crate) fn wait_ready(&self, postmaster: &Child) -> Option<Status> {
        let mut guard = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if matches!(self.reports.state().as_str(), "ready" | "standby") {
                return None;
            }
            if let Some(status) = postmaster.try_wait() {
                return Some(status);
            }
            // An end is not an event, so look again now and then.
            let limit = std::time::Duration::from_millis(20);
            guard = self.changed.wait_timeout(guard, limit).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // In a fork the threads are not ours to end.
        if self.check_fork().is_ok() {
            self.system.shutdown();
        }
    }
}

fn read(file: vfs::File) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    match file {
        vfs::File::Kernel(fd) => {
            std::fs::File::from(fd).read_to_end(&mut bytes)?;
        }
        vfs::File::Memory(file) => {
            bytes.resize(usize::try_from(file.stat().st_size).unwrap_or(0), 0);
            let length = file.read(&mut bytes)?;
            bytes.truncate(length);
        }
        vfs::File::Special(_) => return Err(std::io::ErrorKind::InvalidInput.into()),
    }
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

fn write(file: vfs::File, text: &str) -> std::io::Result<()> {
    match file {
        vfs::File::Kernel(fd) => std::fs::File::from(fd).write_all(text.as_bytes()),
        vfs::File::Memory(file) => file.write(text.as_bytes()).map(drop).map_err(Into::into),
        vfs::File::Special(_) => Err(std::io::ErrorKind::InvalidInput.into()),
    }
}

/// PostgreSQL refuses to run as root: it sees this user and group.
const ROOT_SHOWN_AS: u32 = 1000;

/// Who processes believe to be.
pub(crate) fn identity() -> vfs::Identity {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if uid == 0 { vfs::Identity::new(ROOT_SHOWN_AS, ROOT_SHOWN_AS) } else { vfs::Identity::new(uid, gid) }
}

/// The host's user, as PostgreSQL's `peer` method and error messages show it.
fn user_name() -> String {
    let name = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
    if name.is_empty() || name == "root" { "postgres".into() } else { name }
}

/// Where processes look for programs: those of the host only where they may start them.
fn search_path(options: &Options) -> String {
    let own = format!("{PREFIX}/bin");
    match std::env::var("PATH") {
        Ok(host) if options.policy.programs => format!("{own}:{host}"),
        _ => own,
    }
}

/// What the policy allows, and what the listeners need.
fn grants(options: &Options) -> Result<Vec<(PathBuf, Access)>> {
    let mut all = Vec::new();
    for (path, access) in &options.policy.paths {
        let path = std::fs::canonicalize(path).map_err(|e| Error::at(path, "allow", e))?;
        all.push((path, *access));
    }
    for folder in &options.listen.sockets {
        let folder = std::fs::canonicalize(folder).map_err(|e| Error::at(folder, "listen in", e))?;
        all.push((folder, Access::ReadWrite));
    }
    Ok(all)
}

/// The path of a location, made absolute without links; it must exist.
pub(crate) fn canonical(location: &Location) -> Result<Option<PathBuf>> {
    match location {
        Location::Memory => Ok(None),
        Location::Directory(path) => std::fs::canonicalize(path).map(Some).map_err(|e| Error::at(path, "find", e)),
    }
}
