//! One `pglite serve` for one suite.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use postgres_build::child;
use rustix::process::{Pid, Signal, kill_process};

/// No server takes longer to start, unless something is wrong.
const LIMIT: Duration = Duration::from_secs(120);

/// A server with a new cluster, on a Unix socket and TCP.
pub(super) struct Server {
    folder: PathBuf,
    /// Its address by TCP, with user and password.
    pub(super) uri: String,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Server {
    /// Starts one in `folder`, which is not there yet, and waits until it is ready. What it prints goes to `log`.
    pub(super) fn start(pglite: &Path, folder: PathBuf, log: &Path) -> Result<Self> {
        let socket = folder.join("socket");
        std::fs::create_dir_all(&socket).with_context(|| format!("cannot create {}", socket.display()))?;
        let port = free_port()?;
        let mut command = child::command(pglite);
        command.arg("serve").arg(folder.join("data")).arg("--socket").arg(&socket);
        command.arg(format!("--listen=127.0.0.1:{port}")).arg("--set=max_connections=120");
        let mut log = std::fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let (sender, receiver) = channel();
        let thread = std::thread::spawn(move || {
            child::lines(command, &mut |line| {
                let _ = writeln!(log, "{line}");
                if let Some(uri) = line.strip_prefix("ready ") {
                    let _ = sender.send(uri.to_owned());
                }
            })
        });
        let mut server = Self { folder, uri: String::new(), thread: Some(thread) };
        match receiver.recv_timeout(LIMIT) {
            Ok(uri) => server.uri = over_tcp(&uri, port)?,
            Err(RecvTimeoutError::Timeout) => bail!("the server does not become ready"),
            Err(RecvTimeoutError::Disconnected) => {
                server.join()?;
                bail!("the server has ended while it started");
            }
        }
        Ok(server)
    }

    /// The folder of its Unix socket, whose port is that of TCP.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Shuts it down, and says whether it ended well.
    pub(super) fn stop(mut self) -> Result<()> {
        self.terminate()?;
        self.join()
    }

    fn terminate(&self) -> Result<()> {
        let file = self.folder.join("data/postmaster.pid");
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("the server has ended: no {}", file.display()))?;
        match text.lines().next().and_then(|line| Pid::from_raw(line.trim().parse().ok()?)) {
            Some(pid) => kill_process(pid, Signal::TERM).context("cannot stop the server"),
            None => bail!("{} makes no sense", file.display()),
        }
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
        if self.thread.is_some() && self.terminate().is_ok() {
            // whatever else went wrong is the error to tell
            let _ = self.join();
        }
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
    Ok(listener.local_addr()?.port())
}

/// The URI of the Unix socket, turned into that of TCP.
fn over_tcp(uri: &str, port: u16) -> Result<String> {
    let login = uri.strip_prefix("postgresql://").and_then(|rest| rest.split_once('@'));
    let (login, _) = login.with_context(|| format!("the server is ready with an unexpected URI: {uri}"))?;
    Ok(format!("postgresql://{login}@127.0.0.1:{port}/postgres"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_kept() {
        let uri = over_tcp("postgresql://me:p%40ss@/postgres?host=/tmp/x&port=6000", 6000).unwrap();
        assert_eq!(uri, "postgresql://me:p%40ss@127.0.0.1:6000/postgres");
        assert!(over_tcp("postgresql:///postgres", 6000).is_err());
    }
}
