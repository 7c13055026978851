//! How long it takes from nothing to the first result.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use libpglite::Database;
use rustix::process::{Pid, Signal, kill_process};

use crate::Figures;
use crate::server::connect;
use crate::wire::Session;

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// Makes a cluster and closes it.
#[derive(clap::Args)]
pub(crate) struct Make {
    /// Where
    data: PathBuf,
}

impl Make {
    pub(crate) fn run(&self) -> Result<Figures> {
        let database = Database::builder(&self.data).no_log().open()?;
        ensure!(database.is_new(), "{} is there already", self.data.display());
        database.close()?;
        Ok(Vec::new())
    }
}

/// Opens a database up to its first result.
#[derive(clap::Args)]
pub(crate) struct Open {
    /// The data directory
    data: PathBuf,
}

impl Open {
    pub(crate) fn run(&self) -> Result<Figures> {
        let start = Instant::now();
        let database = Database::builder(&self.data).no_log().open()?;
        let opened = milliseconds(start);
        let mut session = Session::begin(database.stream()?)?;
        ensure!(session.value("SELECT 1")? == "1", "the first result is wrong");
        let first = milliseconds(start);
        session.end()?;
        let start = Instant::now();
        database.close()?;
        Ok(vec![("first", first), ("open", opened), ("close", milliseconds(start))])
    }
}

/// Starts a stock server up to its first result, without `pg_ctl` and its waits of 100 ms.
#[derive(clap::Args)]
pub(crate) struct Start {
    /// The server
    #[arg(long)]
    postgres: PathBuf,
    /// Makes the cluster first
    #[arg(long, requires = "configuration")]
    initdb: Option<PathBuf>,
    /// What becomes the new cluster's postgresql.conf
    #[arg(long)]
    configuration: Option<PathBuf>,
    /// The data directory
    #[arg(long)]
    data: PathBuf,
    /// The folder for its socket
    #[arg(long)]
    socket: PathBuf,
    /// The user to run them as
    #[arg(long)]
    uid: Option<u32>,
    /// The group to run them as
    #[arg(long)]
    gid: Option<u32>,
}

/// No server takes longer, unless something is wrong.
const LIMIT: Duration = Duration::from_secs(60);

impl Start {
    pub(crate) fn run(&self) -> Result<Figures> {
        let start = Instant::now();
        if let Some(initdb) = &self.initdb {
            self.make(initdb)?;
        }
        let mut command = self.command(&self.postgres);
        command.args(["-c", "listen_addresses="]).arg("-c");
        command.arg(format!("unix_socket_directories={}", self.socket.display()));
        let mut server = Running(command.spawn().with_context(|| format!("cannot start {}", self.postgres.display()))?);
        let mut session = loop {
            match connect(&self.socket).map_err(Into::into).and_then(Session::begin) {
                Ok(session) => break session,
                Err(error) => server.check(start, &error)?,
            }
            std::thread::sleep(Duration::from_micros(200));
        };
        ensure!(session.value("SELECT 1")? == "1", "the first result is wrong");
        let first = milliseconds(start);
        session.end()?;
        let start = Instant::now();
        server.stop()?;
        Ok(vec![("first", first), ("close", milliseconds(start))])
    }

    fn make(&self, initdb: &Path) -> Result<()> {
        let mut command = self.command(initdb);
        // as the template cluster of libpglite is made
        command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--wal-segsize=1"]);
        command.args(["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]);
        let status = command.status().with_context(|| format!("cannot start {}", initdb.display()))?;
        ensure!(status.success(), "initdb failed: {status}");
        if let Some(configuration) = &self.configuration {
            let text =
                std::fs::read(configuration).with_context(|| format!("cannot read {}", configuration.display()))?;
            std::fs::write(self.data.join("postgresql.conf"), text).context("cannot write postgresql.conf")?;
        }
        Ok(())
    }

    fn command(&self, program: &Path) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(program);
        command.arg("-D").arg(&self.data).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(uid) = self.uid {
            command.uid(uid);
        }
        if let Some(gid) = self.gid {
            command.gid(gid);
        }
        command
    }
}

/// A server that does not outlive us.
struct Running(Child);

impl Running {
    /// After a connection that failed: an error where waiting is in vain.
    fn check(&mut self, start: Instant, error: &anyhow::Error) -> Result<()> {
        if let Some(status) = self.0.try_wait()? {
            bail!("the server has ended: {status}");
        }
        ensure!(start.elapsed() < LIMIT, "the server cannot be reached: {error:#}");
        Ok(())
    }

    /// A fast shutdown.
    fn stop(&mut self) -> Result<()> {
        if let Some(pid) = Pid::from_raw(self.0.id() as i32) {
            kill_process(pid, Signal::INT).context("cannot stop the server")?;
        }
        let status = self.0.wait()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // an immediate shutdown; it may have ended already
        if let (Ok(None), Some(pid)) = (self.0.try_wait(), Pid::from_raw(self.0.id() as i32)) {
            let _ = kill_process(pid, Signal::QUIT);
            let _ = self.0.wait();
        }
    }
}
