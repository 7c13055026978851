//! A standalone session: `postgres --single` on a coroutine of the caller's thread, speaking the wire protocol.

use crate::cluster::Lock;
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::open::{self, Opened};
use crate::options::Options;
use crate::resources::Resources;
use crate::server::{check_setting, settle, startup_error};
use crate::settling::Settling;
use libos::{Coroutine, Handle, Spawn, Status};
use std::path::{Path, PathBuf};

mod restart;

pub use restart::Identity;

/// One session, with nothing in the background. It runs only inside [`Standalone::exchange`], on the calling thread;
/// between calls it may move to another.
pub struct Standalone {
    process: Option<Coroutine>,
    machine: Machine,
    path: PathBuf,
    options: Options,
    greeting: Vec<u8>,
    settling: Option<Settling>,
    _lock: Option<Lock>,
}

/// Cancels what a standalone session does, from any thread.
#[derive(Clone)]
pub struct Canceller(Handle);

impl Canceller {
    /// Cancels the statement that runs; nothing happens where none does.
    pub fn cancel(&self) {
        self.0.kill(libc::SIGINT);
    }
}

impl Standalone {
    /// Opens the cluster, making it where there is none, and begins a session in `database`.
    ///
    /// # Errors
    /// As [`crate::Server::start`]; [`Error::Option`] for listeners, which a session cannot have.
    pub fn start(resources: &Resources, options: &Options, database: &str) -> Result<Standalone> {
        if !options.listen.is_empty() {
            return Err(Error::Option("a standalone session has no listeners: open a server for that".into()));
        }
        let Opened { machine, path, created, unsettled, lock } = open::open(resources, options)?;
        let mut greeting = Vec::new();
        let begun = begin(&machine, options, &Identity::superuser(database), &path, &mut greeting)
            .and_then(|process| Ok((process, settle(unsettled, options)?)));
        match begun {
            Ok((process, settling)) => {
                let options = options.clone();
                Ok(Standalone { process: Some(process), machine, path, options, greeting, settling, _lock: lock })
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

    /// The data directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the session said when it began: parameter status messages and `ReadyForQuery`, as a server sends them
    /// after authentication.
    pub fn greeting(&self) -> &[u8] {
        &self.greeting
    }

    /// Gives the session `input`, any part of a stream of messages, and runs it until it wants more; what it says
    /// goes to `output` as it comes.
    ///
    /// # Errors
    /// [`Error::Ended`] when the session has ended, or ends now: what it said before went to `output`.
    pub fn exchange(&mut self, input: &[u8], mut output: impl FnMut(&[u8])) -> Result<()> {
        self.machine.check_fork()?;
        let Some(process) = self.process.as_mut() else {
            return Err(Error::Ended(String::new()));
        };
        process.send(input);
        let status = drive(process, &mut output);
        match status {
            None => Ok(()),
            Some(_) => {
                self.process = None;
                let reasons = self.machine.reasons();
                Err(Error::Ended(if reasons.is_empty() { String::new() } else { format!(":\n{reasons}") }))
            }
        }
    }

    /// A handle that cancels statements.
    ///
    /// # Errors
    /// [`Error::Ended`] when the session has ended.
    pub fn canceller(&self) -> Result<Canceller> {
        self.process.as_ref().map(|p| Canceller(p.handle())).ok_or(Error::Ended(String::new()))
    }

    /// Ends the session with a checkpoint.
    ///
    /// # Errors
    /// [`Error::Ended`] with PostgreSQL's last words when it did not end cleanly; the next open recovers. What the disk said
    /// where it did not take a new cluster.
    pub fn close(mut self) -> Result<()> {
        self.machine.check_fork()?;
        let status = self.stop();
        self.settling.as_mut().map_or(Ok(()), Settling::finish)?;
        match status {
            Some(Status::Exited(0)) | None => Ok(()),
            Some(_) => Err(Error::Ended(format!(":\n{}", self.machine.reasons()))),
        }
    }

    fn stop(&mut self) -> Option<Status> {
        let mut process = self.process.take()?;
        process.end_of_input();
        drive(&mut process, &mut |_| ())
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        if self.machine.check_fork().is_ok() {
            self.stop();
        } else if let Some(process) = self.process.take() {
            // Its stack belongs to the parent.
            std::mem::forget(process);
        }
    }
}

/// Runs the process until it wants input or ends.
fn drive(process: &mut Coroutine, output: &mut impl FnMut(&[u8])) -> Option<Status> {
    loop {
        let status = process.resume();
        process.drain(&mut *output);
        if status.is_some() || process.wants_input() {
            return status;
        }
    }
}

fn begin(
    machine: &Machine,
    options: &Options,
    identity: &Identity,
    path: &Path,
    greeting: &mut Vec<u8>,
) -> Result<Coroutine> {
    let mut arguments = vec!["--single".to_owned(), "-D".to_owned(), machine.data().to_owned()];
    let fixed = [("exit_on_error".to_owned(), "off".to_owned())];
    for (name, value) in fixed.into_iter().chain(options.settings.clone()) {
        check_setting(&name)?;
        arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
    }
    // A name that begins with a dash is no option.
    arguments.extend(["--".to_owned(), identity.database.clone()]);
    let spawn = Spawn {
        pid: i32::try_from(std::process::id()).ok(),
        ..machine.command("postgres", arguments, &identity.environment())
    };
    let mut process = machine.system.spawn_coroutine(spawn).map_err(|e| Error::io("start a session", e))?;
    match drive(&mut process, &mut |bytes: &[u8]| greeting.extend_from_slice(bytes)) {
        None => Ok(process),
        Some(_) => Err(startup_error(machine, path)),
    }
}
