//! What a measurement needs: the programs, the stock servers, folders for clusters, and somebody to run servers as.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use postgres_build::child;
use postgres_build::layout::{Cache, Workspace};
use postgres_build::progress::Progress;
use postgres_build::stock::{self, Flavour};
use rustix::thread::sched_getaffinity;
use serde_json::{Value, json};

use super::figure::{SIDES, Samples, Side, Values};
use super::server::{Server, on_core};
use crate::build;
use crate::folder::{Folder, copy, reachable};
use crate::user::{nobody, run_as};

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) quick: bool,
    pub(crate) rounds: Option<u32>,
}

impl Effort {
    /// `usual`, or `quick` where it is to be quick.
    pub(crate) fn of<T>(self, usual: T, quick: T) -> T {
        if self.quick { quick } else { usual }
    }

    fn rounds(self, usual: u32) -> u32 {
        self.rounds.unwrap_or(self.of(usual, 1))
    }
}

/// Everything that is needed.
pub(crate) struct Lab {
    pub(crate) progress: Progress,
    pub(crate) effort: Effort,
    /// The folder for clusters.
    pub(crate) disk: Folder,
    /// One on a file system in memory.
    pub(crate) memory: Option<Folder>,
    /// Paths of sockets must be short.
    sockets: Folder,
    bench: PathBuf,
    pglite: PathBuf,
    /// Where the stock servers are, for the user that runs them.
    stock: BTreeMap<Flavour, PathBuf>,
    pgbench: PathBuf,
    /// Whom stock servers run as, where we are root.
    user: Option<(u32, u32)>,
    /// The core of the measurements that have only one.
    pub(crate) core: usize,
    postgres_version: String,
    /// Cores that others kept busy when the run began.
    load: f64,
}

impl Lab {
    /// Builds everything, and makes a cluster.
    pub(crate) fn set_up(effort: Effort, directory: Option<&Path>) -> Result<Self> {
        let progress = Progress::new();
        let workspace = Workspace::compiled_from();
        let prepared = build::for_this_machine()?;
        let cache = Cache::from_environment()?;
        let mut stock = BTreeMap::new();
        for flavour in [Flavour::Gcc, Flavour::Clang] {
            stock.insert(flavour, stock::install(flavour, true, &cache, &progress)?);
        }
        let pgbench = stock[&Flavour::Gcc].join("bin/pgbench");
        let [bench, pglite] = build::programs(&workspace, &progress, "release", ["bench", "pglite"])?;
        let cores = sched_getaffinity(None).context("cannot tell the cores")?;
        let core = (0..1024).rev().find(|core| cores.is_set(*core)).context("this process has no core")?;
        let user = rustix::process::geteuid().is_root().then(nobody).transpose()?;

        let load = load()?;
        let disk = match directory {
            Some(directory) => directory.to_owned(),
            None => disk(&bench, user.is_some()),
        };
        let lab = Self {
            disk: Folder::create(&disk)?,
            memory: Some(Path::new("/dev/shm")).filter(|path| path.is_dir()).map(Folder::create).transpose()?,
            sockets: Folder::create(Path::new("/tmp"))?,
            progress,
            effort,
            bench,
            pglite,
            stock,
            pgbench,
            user,
            core,
            load,
            postgres_version: prepared.manifest.postgres_version.clone(),
        };
        if lab.load > 0.5 {
            lab.progress.note(&format!(
                "this machine is busy (load {:.1}): the figures will say more about what else it does than about servers",
                lab.load
            ));
        }
        lab.with_cluster()
    }

    /// Copies the stock servers to where their user can read them, and makes the cluster that all others are copies of.
    fn with_cluster(mut self) -> Result<Self> {
        if self.user.is_some() {
            let folder = self.disk.join("stock");
            for (flavour, path) in &mut self.stock {
                let copied = folder.join(format!("{flavour:?}"));
                copy(path, &copied, None)?;
                *path = copied;
            }
            ensure!(
                reachable(&folder),
                "{} cannot be reached by the user that runs the stock servers: name another folder with --directory",
                folder.display()
            );
        }
        let data = self.template();
        self.bench(&["make", text(&data)?], None)?;
        // pgbench would need a password otherwise; sessions of the process itself never do
        std::fs::write(data.join("pg_hba.conf"), "local all all trust\n").context("cannot write pg_hba.conf")?;
        Ok(self)
    }

    fn template(&self) -> PathBuf {
        self.disk.join("template")
    }

    /// The postgresql.conf that all sides have.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.template().join("postgresql.conf")
    }

    /// An empty directory for a side's cluster. Nothing else waits for the disk afterwards.
    pub(crate) fn empty(&self, folder: &Folder, side: Side) -> Result<PathBuf> {
        let path = folder.join("new");
        if path.exists() {
            std::fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        std::fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700))?;
        if let (Side::Stock(_), Some((uid, gid))) = (side, self.user) {
            std::os::unix::fs::chown(&path, Some(uid), Some(gid))?;
        }
        rustix::fs::sync();
        Ok(path)
    }

    /// A copy of the cluster for each side, byte for byte the same. It is prepared first, through libpglite, by `prepare`.
    pub(crate) fn clusters(&self, prepare: impl FnOnce(&Server) -> Result<()>) -> Result<Clusters<'_>> {
        let mut paths = BTreeMap::new();
        for side in SIDES {
            paths.insert(side, self.disk.join(&format!("data-{}", short_name(side))));
        }
        let clusters = Clusters { lab: self, paths };
        copy(&self.template(), &clusters.paths[&Side::Ours], None)?;
        let server = clusters.serve(Side::Ours, None)?;
        prepare(&server)?;
        server.stop()?;
        for (_, path) in clusters.paths.iter().filter(|(side, _)| **side != Side::Ours) {
            copy(&clusters.paths[&Side::Ours], path, self.user)?;
        }
        rustix::fs::sync();
        Ok(clusters)
    }

    /// Runs a measurement of the program `bench`, all of it on `core` where there is one.
    pub(crate) fn bench(&self, arguments: &[&str], core: Option<usize>) -> Result<Values> {
        let mut command = child::command(&self.bench);
        command.args(arguments);
        self.measure(command, core)
    }

    /// Runs a program whose last line is a JSON object of numbers.
    fn measure(&self, command: Command, core: Option<usize>) -> Result<Values> {
        let thread = on_core(core, move || {
            let mut last = String::new();
            child::lines(command, &mut |line| last = line.to_owned())?;
            serde_json::from_str(&last).with_context(|| format!("these are no figures: {last}"))
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Measures the start of a stock server; a new cluster's where `new`.
    pub(crate) fn start(&self, flavour: Flavour, data: &Path, new: bool) -> Result<Values> {
        let socket = self.socket(Side::Stock(flavour))?;
        let bin = self.stock[&flavour].join("bin");
        let mut command = child::command(&self.bench);
        command.arg("start").arg("--postgres").arg(bin.join("postgres")).arg("--data").arg(data);
        command.arg("--socket").arg(socket).env("LD_LIBRARY_PATH", self.stock[&flavour].join("lib"));
        if new {
            command.arg("--initdb").arg(bin.join("initdb")).arg("--configuration").arg(self.configuration());
        }
        if let Some((uid, gid)) = self.user {
            command.args(["--uid", &uid.to_string(), "--gid", &gid.to_string()]);
        }
        self.measure(command, None)
    }

    /// A `pgbench`, the same for all servers.
    pub(crate) fn pgbench(&self, server: &Server) -> Command {
        let mut command = child::command(&self.pgbench);
        command.arg("-h").arg(server.socket()).args(["-U", "postgres", "postgres"]);
        command
    }

    /// A side's client program, which finds the server that runs on that side by itself.
    pub(crate) fn program(&self, side: Side, name: &str) -> Result<Command> {
        let mut command = match side {
            Side::Ours => {
                let mut command = child::command(&self.pglite);
                command.arg(name);
                command
            }
            Side::Stock(flavour) => {
                let mut command = child::command(self.stock[&flavour].join("bin").join(name));
                command.env("LD_LIBRARY_PATH", self.stock[&flavour].join("lib"));
                command
            }
        };
        command.env("PGHOST", self.socket(side)?).env("PGUSER", "postgres");
        Ok(command)
    }

    /// A client program of ours that opens the database in `data`.
    pub(crate) fn program_in(&self, data: &Path, name: &str) -> Command {
        let mut command = child::command(&self.pglite);
        command.arg(name).arg(data);
        command
    }

    fn socket(&self, side: Side) -> Result<PathBuf> {
        let path = self.sockets.join(short_name(side));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        if let (Side::Stock(_), Some((uid, gid))) = (side, self.user) {
            std::os::unix::fs::chown(&path, Some(uid), Some(gid))?;
        }
        Ok(path)
    }

    /// Measures in rounds, each side in turn.
    pub(crate) fn rounds(
        &self,
        title: &str,
        usual: u32,
        sides: &[Side],
        mut measure: impl FnMut(Side) -> Result<Values>,
    ) -> Result<Samples> {
        let rounds = self.effort.rounds(usual);
        let mut step = self.progress.step(title, u64::from(rounds) * sides.len() as u64);
        let mut samples = Samples::default();
        for _ in 0..rounds {
            for side in sides {
                samples.add(*side, measure(*side).with_context(|| format!("{title}: {}", full_name(*side)))?);
                step.advance();
            }
        }
        step.finish("");
        Ok(samples)
    }

    /// What was measured where, for the file of figures.
    pub(crate) fn describe(&self) -> Result<Value> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo");
        let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let cores = sched_getaffinity(None).context("cannot tell the cores")?.count();
        Ok(json!({
            "libpglite": env!("CARGO_PKG_VERSION"),
            "postgres": self.postgres_version,
            "quick": self.effort.quick,
            "load": self.load,
            "machine": {
                "processor": processor.map(|(_, name)| name),
                "cores": cores,
                "kernel": read("/proc/sys/kernel/osrelease").trim(),
            },
        }))
    }
}

/// The clusters of a group of measurements. They are removed when it is dropped.
pub(crate) struct Clusters<'a> {
    lab: &'a Lab,
    paths: BTreeMap<Side, PathBuf>,
}

impl Clusters<'_> {
    /// A side's data directory.
    pub(crate) fn path(&self, side: Side) -> &Path {
        &self.paths[&side]
    }

    /// A server on a side's cluster.
    pub(crate) fn serve(&self, side: Side, core: Option<usize>) -> Result<Server> {
        // what one side leaves to autovacuum must not be done while another one is measured
        const SETTINGS: [&str; 1] = ["autovacuum=off"];
        let (lab, data, socket) = (self.lab, self.path(side), self.lab.socket(side)?);
        let mut command = match side {
            Side::Ours => {
                let mut command = child::command(&lab.pglite);
                command.arg("serve").args(SETTINGS.map(|setting| format!("--set={setting}")));
                command.arg("--socket").arg(&socket).arg(data);
                command
            }
            Side::Stock(flavour) => {
                let mut command = child::command(lab.stock[&flavour].join("bin/postgres"));
                command.env("LD_LIBRARY_PATH", lab.stock[&flavour].join("lib")).arg("-D").arg(data);
                command.args(SETTINGS.map(|setting| format!("-c{setting}"))).arg("-clisten_addresses=");
                command.arg(format!("-cunix_socket_directories={}", socket.display()));
                run_as(&mut command, lab.user);
                command
            }
        };
        command.current_dir("/");
        Server::start(command, data, &socket, core)
    }

    /// Servers of these sides.
    pub(crate) fn serve_all(&self, sides: &[Side], core: Option<usize>) -> Result<BTreeMap<Side, Server>> {
        sides.iter().map(|side| Ok((*side, self.serve(*side, core)?))).collect()
    }
}

impl Drop for Clusters<'_> {
    fn drop(&mut self) {
        for path in self.paths.values() {
            // the folder that they are in is removed as well, later
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

/// The word for a side in paths.
fn short_name(side: Side) -> &'static str {
    match side {
        Side::Ours => "ours",
        Side::Stock(Flavour::Gcc) => "gcc",
        Side::Stock(Flavour::Clang) => "clang",
        Side::Stock(Flavour::Instrumented) => "instrumented",
    }
}

fn full_name(side: Side) -> &'static str {
    match side {
        Side::Ours => "libpglite",
        Side::Stock(flavour) => flavour.name(),
    }
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not valid UTF-8", path.display()))
}

/// How many cores are busy, while we wait for half a second.
fn load() -> Result<f64> {
    let idle = || -> Result<f64> {
        let text = std::fs::read_to_string("/proc/uptime").context("cannot read /proc/uptime")?;
        text.split_whitespace().nth(1).and_then(|idle| idle.parse().ok()).context("/proc/uptime makes no sense")
    };
    let (start, before) = (Instant::now(), idle()?);
    std::thread::sleep(Duration::from_millis(500));
    let share = (idle()? - before) / start.elapsed().as_secs_f64();
    let cores = std::fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let cores = cores.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count();
    Ok((cores as f64 - share).max(0.0))
}

/// The folder of the build, or one for temporary files where another user cannot reach that.
fn disk(program: &Path, for_another_user: bool) -> PathBuf {
    // target/release/bench
    let target = program.ancestors().nth(2).unwrap_or(Path::new("/"));
    if for_another_user && !reachable(target) { std::env::temp_dir() } else { target.to_owned() }
}
