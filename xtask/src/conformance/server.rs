//! Servers that the tests run against: `pglite serve`, and stock ones.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use postgres_build::child::Running;
use rustix::process::{Pid, Signal, kill_process};

/// No server takes longer to start or to stop, unless something is wrong.
const LIMIT: Duration = Duration::from_secs(60);

/// What a log never says of a server that is well.
const BAD_SIGNS: [&str; 5] = [
    "PANIC: ",
    "was terminated by signal",
    "was ended by signal",
    "panicked at",
    "terminating any other active server",
];

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    id: u32,
    log: PathBuf,
    /// Waits for its end.
    thread: Option<JoinHandle<Result<()>>>,
}

/// What a server holds of the machine, as `/proc` tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holdings {
    /// Resident memory, in KiB.
    pub(crate) resident: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl Server {
    /// Starts a server, and waits until `is_ready`. All that it prints is added to the file `log`.
    pub(crate) fn start(command: Command, is_ready: &dyn Fn() -> bool, log: &Path) -> Result<Self> {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let running = Running::start(command)?;
        let id = running.id();
        let thread = std::thread::spawn(move || {
            running.finish(&mut |line| {
                // a log that cannot be written is no reason to stop the server
                let _ = writeln!(file, "{line}");
            })
        });
        let mut server = Self { id, log: log.into(), thread: Some(thread) };
        let start = Instant::now();
        while !is_ready() {
            if server.has_ended() {
                server.join()?;
                bail!("the server has ended while it started; see {}", log.display());
            }
            ensure!(start.elapsed() < LIMIT, "the server does not become ready; see {}", log.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// What it holds now.
    pub(crate) fn holdings(&self) -> Result<Holdings> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id)).context("the server has ended")?;
        let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        let number = |name| value(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", self.id)).map_or(0, Iterator::count);
        Ok(Holdings { resident: number("VmRSS:"), descriptors, threads: number("Threads:") as usize })
    }

    /// Shuts it down and waits.
    ///
    /// # Errors
    /// When it does not end, or not as it should; when its log says that a process of it was ended by a fault.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.signal(Signal::INT);
        let start = Instant::now();
        while !self.has_ended() {
            if start.elapsed() > LIMIT {
                self.signal(Signal::KILL);
                bail!("the server did not shut down within {} s and was killed", LIMIT.as_secs());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.join()?;
        let text = std::fs::read(&self.log).with_context(|| format!("cannot read {}", self.log.display()))?;
        let text = String::from_utf8_lossy(&text);
        match text.lines().find(|line| BAD_SIGNS.iter().any(|sign| line.contains(sign))) {
            Some(line) => bail!("the server's log says: {line}"),
            None => Ok(()),
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.id).ok().and_then(Pid::from_raw)
            && !self.has_ended()
        {
            // it may have ended by itself
            let _ = kill_process(pid, signal);
        }
    }

    fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn join(&mut self) -> Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result.context("the server"),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        // whatever else went wrong is the error to tell
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The port in the name of every socket.
pub(crate) const PORT: &str = "5432";
