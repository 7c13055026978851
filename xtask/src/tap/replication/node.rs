//! A server of a replication: a data directory, and whose server runs on it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use postgres_build::child;

use crate::conformance::server::Server;
use crate::tap::lab::Lab;
use crate::user;

/// Nothing takes longer, unless something is wrong.
const LIMIT: Duration = Duration::from_secs(120);

/// Everybody on this machine is trusted: who may connect is not what is tested.
const RULES: &str = "host all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n";

/// For every server.
const SETTINGS: [(&str, &str); 6] = [
    ("fsync", "off"),
    ("wal_level", "logical"),
    ("wal_keep_size", "128MB"),
    ("max_prepared_transactions", "4"),
    // so that big transactions are streamed before they commit
    ("logical_decoding_work_mem", "64kB"),
    ("log_min_messages", "log"),
];

/// Whose programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// `pglite serve`, and what `pglite` has of PostgreSQL's programs.
    Ours,
    Stock,
}

impl Holder {
    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Stock => "stock",
        }
    }
}

/// A server that may be running.
pub(crate) struct Node<'a> {
    lab: &'a Lab,
    pub(crate) holder: Holder,
    folder: PathBuf,
    pub(crate) data: PathBuf,
    port: u16,
    server: Option<Server>,
}

impl<'a> Node<'a> {
    /// A server that has no data yet, in a folder of the lab's.
    pub(crate) fn new(lab: &'a Lab, holder: Holder, folder: PathBuf) -> Result<Self> {
        lab.make_folder(&folder)?;
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).context("there is no free port")?.port();
        Ok(Self { lab, holder, data: folder.join("data"), folder, port, server: None })
    }

    /// Makes a new cluster: from our template, or with a stock `initdb`.
    pub(crate) fn initialize(&self) -> Result<()> {
        let mut command = match self.holder {
            Holder::Ours => self.command("pglite"),
            Holder::Stock => self.command("initdb"),
        };
        match self.holder {
            Holder::Ours => command.arg("init").arg(&self.data),
            Holder::Stock => command.args(["--no-sync", "--username=postgres", "--pgdata"]).arg(&self.data),
        };
        child::run(command)?;
        let rules = self.data.join("pg_hba.conf");
        std::fs::write(&rules, RULES).with_context(|| format!("cannot write {}", rules.display()))
    }

    /// Makes it a copy of another one that is running, which it is going to follow.
    pub(crate) fn copy_from(&self, primary: &Node<'_>, slot: &str) -> Result<()> {
        let mut command = self.command("pg_basebackup");
        command.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--create-slot", "--slot", slot]);
        command.arg("--pgdata").arg(&self.data).arg("--dbname").arg(primary.address());
        child::run(command)
    }

    /// Makes it, stopped, follow a server that was copied from it and has been promoted meanwhile.
    pub(crate) fn rewind_to(&self, primary: &Node<'_>) -> Result<()> {
        let mut command = self.command("pg_rewind");
        command.args(["--write-recovery-conf", "--no-sync", "--target-pgdata"]).arg(&self.data);
        command.arg("--source-server").arg(primary.address());
        child::run(command)
    }

    pub(crate) fn start(&mut self) -> Result<()> {
        let port = self.port;
        let mut command = match self.holder {
            Holder::Ours => self.command("pglite"),
            Holder::Stock => self.command("postgres"),
        };
        match self.holder {
            Holder::Ours => {
                // what the standby and the subscription need of the policy, and no more
                command.args(["serve", "--verbose", "--allow-network", &format!("--listen=127.0.0.1:{port}")]);
                command.args(SETTINGS.map(|(name, value)| format!("--set={name}={value}")));
                command.arg(&self.data);
            }
            Holder::Stock => {
                command.arg("-D").arg(&self.data).args([
                    "-c",
                    "listen_addresses=127.0.0.1",
                    "-c",
                    "unix_socket_directories=",
                ]);
                command.args(["-p", &port.to_string()]);
                command.args(SETTINGS.map(|(name, value)| format!("-c{name}={value}")));
            }
        }
        let is_ready = || {
            let mut command = self.stock("pg_isready");
            command.args(["--quiet", "--dbname", &self.address()]).status().is_ok_and(|status| status.success())
        };
        let log = self.lab.work.join(format!("replication-{}.log", self.port));
        let server = Server::start(command, &is_ready, &log)?;
        self.server = Some(server);
        Ok(())
    }

    pub(crate) fn stop(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), Server::stop)
    }

    /// How others connect to it.
    pub(crate) fn address(&self) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname=postgres", self.port)
    }

    /// A program of its holder's.
    fn command(&self, name: &str) -> Command {
        match self.holder {
            Holder::Ours => self.prepare(child::command(self.lab.installation.join("bin").join(name))),
            Holder::Stock => self.stock(name),
        }
    }

    fn stock(&self, name: &str) -> Command {
        self.prepare(child::command(self.lab.stock.join("bin").join(name)))
    }

    fn prepare(&self, mut command: Command) -> Command {
        command.current_dir(&self.folder).env("HOME", &self.folder).env("LD_LIBRARY_PATH", self.lab.stock.join("lib"));
        user::run_as(&mut command, self.lab.user);
        command
    }

    /// Runs SQL; what it prints, unaligned.
    pub(crate) fn sql(&self, sql: &str) -> Result<String> {
        let mut command = self.stock("psql");
        command.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, "-d", &self.address()]);
        Ok(child::output(&mut command)?.trim_end().to_owned())
    }

    /// Waits until a query says `t`.
    pub(crate) fn until(&self, query: &str) -> Result<()> {
        let start = Instant::now();
        while self.sql(query)? != "t" {
            ensure!(start.elapsed() < LIMIT, "{}: this does not become true: {query}", self.holder.name());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Runs a stock program of PostgreSQL against it; what it prints.
    pub(crate) fn tool(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.stock(name);
        // not a connection string: pg_amcheck and pgbench want a database there
        command.args(["--host=127.0.0.1", "--username=postgres", "--port", &self.port.to_string()]).args(arguments);
        child::output(&mut command)
    }
}
