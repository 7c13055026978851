//! PostgreSQL's client programs, run inside the process on a machine of their own.
//!
//! It shows them the host's files, as any program of the user sees them, and PostgreSQL's own below [`PREFIX`]: the programs
//! that they look for and start are those that are linked in. A server of this process is reached through the folder of its sockets.

use crate::error::{Error, Result};
use crate::machine::{PROGRAMS, SOCKETS, identity};
use crate::program;
use crate::resources::{PREFIX, Resources};
use crate::server::Server;
use libos::{Builder, Child, Hooks, Program, Spawn, Status, Stdio, Stream, System};
use postgres_sys::Opaque;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// Programs that are linked in, by their names.
#[derive(Clone, Debug)]
pub struct Programs {
    list: &'static [(&'static str, &'static Opaque)],
    prefix: String,
}

impl Programs {
    /// Programs of the compiler pass.
    pub fn new(list: &'static [(&'static str, &'static Opaque)]) -> Programs {
        Programs { list, prefix: PREFIX.into() }
    }

    /// As if they were those of an installation of PostgreSQL: they believe to be in `prefix/bin`, and find there what is not linked
    /// in, their share files and other modules.
    #[must_use]
    pub fn installed_at(self, prefix: &str) -> Programs {
        Programs { prefix: prefix.into(), ..self }
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, Program)> {
        let servers = PROGRAMS.iter().filter_map(|name| Some((*name, Resources::program(name)?)));
        servers.chain(self.list.iter().map(|(name, descriptor)| (*name, program::from(descriptor))))
    }

    fn path(&self, name: &str) -> String {
        format!("{}/bin/{name}", self.prefix)
    }
}

/// A client program that runs inside the process. Dropping it ends the program.
pub struct Client {
    child: Child,
    system: Arc<System>,
}

impl Client {
    /// Starts the program of this name. It has the caller's environment and working directory, and of its own what
    /// `environment` says; where nothing in its arguments names another server, it connects to `server`.
    ///
    /// # Errors
    /// [`Error::Option`] for a program that is not linked in, [`Error::Forked`] in a fork of the process that made the server.
    pub fn start(
        resources: &Resources,
        programs: Programs,
        server: Option<&Server>,
        name: &str,
        arguments: Vec<String>,
        environment: &[String],
        stdio: [Stdio; 3],
    ) -> Result<Client> {
        if let Some(server) = server {
            server.machine.check_fork()?;
        }
        if programs.all().all(|(known, _)| known != name) {
            return Err(Error::Option(format!("this build has no program {name}")));
        }
        let system = machine(resources, &programs, server)?;
        let path = programs.path(name);
        let mut all = vec![path.clone()];
        all.extend(arguments);
        let directory = std::env::current_dir().ok().and_then(|d| d.to_str().map(str::to_owned));
        let child = system
            .spawn(Spawn {
                program: path,
                arguments: all,
                environment: variables(server, environment),
                directory: directory.unwrap_or_else(|| "/".into()),
                stdio,
                umask: umask(),
                // What others find in its lock file.
                pid: (name == "postgres").then(|| i32::try_from(std::process::id()).ok()).flatten(),
            })
            .map_err(|e| Error::io("start a process", e))?;
        Ok(Client { child, system })
    }

    /// Sends it a signal: `SIGINT` cancels what psql does, as Ctrl-C would.
    ///
    /// # Errors
    /// [`Error::Io`] when it has ended.
    pub fn kill(&self, signal: i32) -> Result<()> {
        self.child.kill(signal).map_err(|e| Error::io("signal the program", e))
    }

    /// Waits for its end.
    pub fn wait(&self) -> Status {
        self.child.wait()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.system.shutdown();
    }
}

fn machine(resources: &Resources, programs: &Programs, server: Option<&Server>) -> Result<Arc<System>> {
    let tree = vfs::Namespace::new(identity());
    let lay = |at: &str, e: vfs::Errno| Error::io(&format!("lay out {at}"), e);
    let read_write = vfs::Access::ReadWrite;
    let root = vfs::HostFs::open(Path::new("/")).map_err(|e| lay("/", e))?;
    tree.mount(b"/", root, read_write).map_err(|e| lay("/", e))?;
    tree.mount(PREFIX.as_bytes(), resources.share.clone(), vfs::Access::ReadOnly).map_err(|e| lay(PREFIX, e))?;
    if let Some(server) = server {
        let sockets = server.machine.sockets.clone();
        tree.mount(SOCKETS.as_bytes(), sockets, read_write).map_err(|e| lay(SOCKETS, e))?;
    }
    let mut builder = Builder::new(tree)
        .policy(libos::Policy { network: true, programs: true })
        .forks(true)
        .module_directory(&format!("{}/lib/postgresql", programs.prefix))
        .user(&user_name());
    for (name, program) in programs.all() {
        builder = builder.program(&programs.path(name), program);
    }
    builder.build(Silent).map_err(|e| Error::io("make the virtual machine", e))
}

/// The host's user, whose name is that of the role by default.
fn user_name() -> String {
    let named =
        ["USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok()).find(|name| !name.is_empty());
    let root = rustix::process::geteuid().is_root();
    named.unwrap_or_else(|| if root { "root".into() } else { "user".into() })
}

/// The host process's mask for new files. To ask the kernel for it would be to change it.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("Umask:")?.trim(), 8).ok());
    mask.unwrap_or(0o077)
}

/// `own` variables, then those that say which server is meant, then the caller's: each name once.
fn variables(server: Option<&Server>, own: &[String]) -> Vec<String> {
    let mut variables = own.to_vec();
    if let Some(server) = server {
        variables.extend([format!("PGHOST={SOCKETS}"), format!("PGPORT={}", server.port())]);
    }
    let inherited = std::env::vars_os()
        .filter_map(|(name, value)| Some(format!("{}={}", name.into_string().ok()?, value.into_string().ok()?)));
    variables.extend(inherited);
    let mut seen = HashSet::new();
    variables.retain(|v| seen.insert(v.split_once('=').map_or(v.as_str(), |(name, _)| name).to_owned()));
    variables
}

/// A client's streams are the caller's; there is nothing to report.
struct Silent;

impl Hooks for Silent {
    fn output(&self, _pid: i32, _stream: Stream, _bytes: &[u8]) {}
}
