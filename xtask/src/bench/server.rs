//! Servers that listen on a Unix socket: `pglite serve`, and stock ones.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use postgres_build::child;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};

/// No server takes longer to start or to stop, unless something is wrong.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs `task` on a thread of its own, whose processes have only this core.
pub(crate) fn on_core<T: Send + 'static>(
    core: Option<usize>,
    task: impl FnOnce() -> Result<T> + Send + 'static,
) -> JoinHandle<Result<T>> {
    std::thread::spawn(move || {
        if let Some(core) = core {
            let mut cores = CpuSet::new();
            cores.set(core);
            sched_setaffinity(None, &cores).context("cannot keep a thread on one core")?;
        }
        task()
    })
}

/// A running server.
pub(crate) struct Server {
    data: PathBuf,
    socket: PathBuf,
    /// Waits for its end.
    thread: Option<JoinHandle<Result<()>>>,
}

impl Server {
    /// Starts `command`, a server on `data` with its socket in `socket`, and waits until it is ready.
    pub(crate) fn start(command: Command, data: &Path, socket: &Path, core: Option<usize>) -> Result<Self> {
        let thread = on_core(core, move || child::run(command));
        let mut server = Self { data: data.into(), socket: socket.into(), thread: Some(thread) };
        let start = Instant::now();
        while !server.is_ready() {
            if server.has_ended() {
                server.join()?;
                bail!("the server on {} has ended while it started", data.display());
            }
            ensure!(start.elapsed() < LIMIT, "the server on {} does not become ready", data.display());
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    /// The folder of its socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Result<u32> {
        let line = self.lock_file().and_then(|text| text.lines().next()?.trim().parse().ok());
        line.with_context(|| format!("the server on {} has no postmaster.pid", self.data.display()))
    }

    /// Shuts it down and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.signal(Signal::INT)?;
        self.join()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        match i32::try_from(self.pid()?).ok().and_then(Pid::from_raw) {
            Some(pid) => kill_process(pid, signal).context("cannot stop a server"),
            None => bail!("postmaster.pid in {} makes no sense", self.data.display()),
        }
    }

    fn lock_file(&self) -> Option<String> {
        std::fs::read_to_string(self.data.join("postmaster.pid")).ok()
    }

    /// The last line of `postmaster.pid` says so, for all servers alike.
    fn is_ready(&self) -> bool {
        self.lock_file().is_some_and(|text| text.lines().nth(7).is_some_and(|state| state.trim() == "ready"))
    }

    fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn join(&mut self) -> Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result.with_context(|| format!("the server on {}", self.data.display())),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.has_ended() && self.signal(Signal::INT).is_ok() {
            // whatever else went wrong is the error to tell
            let _ = self.thread.take().map(JoinHandle::join);
        }
    }
}
