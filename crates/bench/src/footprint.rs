//! What an open database costs, and what is left behind by closed ones.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libpglite::Database;

use crate::Figures;
use crate::wire::Session;

/// The kernel's "no such process", which the standard library has no name for.
const ESRCH: i32 = rustix::io::Errno::SRCH.raw_os_error();

/// What this process has.
struct Usage {
    /// Proportional set size, bytes.
    memory: f64,
    descriptors: f64,
    mappings: f64,
    threads: f64,
}

impl Usage {
    fn now() -> Result<Self> {
        Ok(Self {
            memory: proportional_set_size("self")?,
            descriptors: entries("/proc/self/fd")?,
            mappings: std::fs::read_to_string("/proc/self/maps").context("cannot read the mappings")?.lines().count()
                as f64,
            threads: entries("/proc/self/task")?,
        })
    }

    /// What there is now that was not there before; memory in MB.
    fn growth_since(&self, before: &Self) -> Figures {
        vec![
            ("memory", (self.memory - before.memory) / 1e6),
            ("descriptors", self.descriptors - before.descriptors),
            ("mappings", self.mappings - before.mappings),
            ("threads", self.threads - before.threads),
        ]
    }
}

fn entries(folder: &str) -> Result<f64> {
    let listing = std::fs::read_dir(folder).with_context(|| format!("cannot list {folder}"))?;
    Ok(listing.count() as f64)
}

/// In bytes. A process that has ended has nothing.
fn proportional_set_size(process: &str) -> Result<f64> {
    let path = format!("/proc/{process}/smaps_rollup");
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH) => return Ok(0.0),
        text => text.with_context(|| format!("cannot read {path}"))?,
    };
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    Ok(kilobytes.with_context(|| format!("{path} has no Pss"))? * 1024.0)
}

/// The first result of a database.
fn first_result(database: &Database) -> Result<()> {
    let mut session = Session::begin(database.stream()?)?;
    ensure!(session.value("SELECT 1")? == "1", "the result is wrong");
    session.end()
}

fn open(data: &Path) -> Result<Database> {
    Ok(Database::builder(data).no_log().existing_only().open()?)
}

/// Memory of a database, open and idle; or of other processes.
#[derive(clap::Args)]
pub(crate) struct Memory {
    /// The data directory, of an existing cluster
    #[arg(long, conflicts_with = "processes", required_unless_present = "processes")]
    data: Option<PathBuf>,
    /// Only add up what these processes have
    processes: Vec<u32>,
    /// Seconds until it counts as idle
    #[arg(long, default_value_t = 2)]
    settle: u64,
}

impl Memory {
    pub(crate) fn run(&self) -> Result<Figures> {
        let Some(data) = &self.data else {
            let mut total = 0.0;
            for process in &self.processes {
                total += proportional_set_size(&process.to_string())?;
            }
            return Ok(vec![("total", total / 1e6)]);
        };
        let before = proportional_set_size("self")?;
        let database = open(data)?;
        first_result(&database)?;
        std::thread::sleep(Duration::from_secs(self.settle));
        let after = proportional_set_size("self")?;
        database.close()?;
        Ok(vec![("database", (after - before) / 1e6), ("total", after / 1e6)])
    }
}

/// Opens and closes a database again and again.
#[derive(clap::Args)]
pub(crate) struct Opens {
    /// The data directory, of an existing cluster
    #[arg(long)]
    data: PathBuf,
    /// How often
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
}

impl Opens {
    pub(crate) fn run(&self) -> Result<Figures> {
        let times = |count: u32| -> Result<()> {
            for _ in 0..count {
                let database = open(&self.data)?;
                first_result(&database)?;
                database.close()?;
            }
            Ok(())
        };
        times(self.count.div_ceil(10))?;
        let before = Usage::now()?;
        times(self.count)?;
        Ok(Usage::now()?.growth_since(&before))
    }
}

/// Opens and ends sessions of one database again and again.
#[derive(clap::Args)]
pub(crate) struct Sessions {
    /// The data directory, of an existing cluster
    #[arg(long)]
    data: PathBuf,
    /// How often
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
}

impl Sessions {
    pub(crate) fn run(&self) -> Result<Figures> {
        let database = open(&self.data)?;
        let settle = || wait_for_quiet(&database);
        let times = |count: u32| (0..count).try_for_each(|_| first_result(&database));
        let idle = settle()?;
        let usage_after = |count: u32| {
            times(count)?;
            ensure!(settle()? <= idle, "sessions that have ended are still there");
            Usage::now()
        };
        let begin = usage_after(self.count.div_ceil(10))?;
        let middle = usage_after(self.count)?;
        let end = usage_after(self.count)?;
        database.close()?;
        // What a process in the background opens once, at its own time, is no growth: sessions would leave something each time.
        let batches = middle.growth_since(&begin).into_iter().zip(end.growth_since(&middle));
        Ok(batches.map(|((name, first), (_, second))| (name, first.min(second))).collect())
    }
}

/// Waits until no process has come or gone for half a second; their number.
fn wait_for_quiet(database: &Database) -> Result<usize> {
    let (mut count, mut since) = (database.process_count(), 0);
    for _ in 0..600 {
        std::thread::sleep(Duration::from_millis(50));
        let now = database.process_count();
        since = if now == count { since + 1 } else { 0 };
        count = now;
        if since == 10 {
            return Ok(count);
        }
    }
    anyhow::bail!("the number of processes does not settle")
}
