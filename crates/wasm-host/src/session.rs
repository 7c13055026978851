//! A session in its sandbox.

use crate::cluster::{self, Lock};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::interrupts::Canceller;
use crate::log::Log;
use crate::making::Making;
use crate::options::Options;
use crate::sandbox::{self, End, Program, Run};
use crate::streams::Console;
use std::fmt;
use std::path::Path;
use std::task::{Context, Poll, Waker};

/// One session without a server, in an instance of the module: it runs only inside the calls below, on the calling thread, and can be moved to
/// another between them.
///
/// It speaks PostgreSQL's wire protocol, version 3, without the start-up: bytes in, bytes out. When it is dropped without being closed, that is as if a
/// process had been killed: the next one recovers.
pub struct Session {
    engine: Engine,
    options: Options,
    running: Option<Running>,
    greeting: Vec<u8>,
    cancel: Canceller,
    making: Option<Making>,
    _lock: Lock,
}

struct Running {
    run: Run,
    console: Console,
    log: Log,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("path", &self.path()).finish_non_exhaustive()
    }
}

/// Where the module finds its data directory.
const DATA: &str = "/data";

impl Session {
    /// Opens the data directory, making it where there is none, and begins a session.
    ///
    /// # Errors
    /// [`Error::InUse`] where somebody has the directory; [`Error::OtherEngine`] and [`Error::Unusable`] where it is not for this engine;
    /// [`Error::Startup`] with PostgreSQL's words.
    pub fn open(engine: &Engine, options: &Options) -> Result<Session> {
        let (lock, making) = cluster::open(engine.modules(), &options.path)?;
        let mut session = Session {
            engine: engine.clone(),
            options: options.clone(),
            running: None,
            greeting: Vec::new(),
            cancel: Canceller::default(),
            making,
            _lock: lock,
        };
        session.begin(&[], &[])?;
        if let Some(making) = &session.making {
            making.cluster().session_has_begun();
        }
        Ok(session)
    }

    /// The data directory.
    pub fn path(&self) -> &Path {
        &self.options.path
    }

    /// What the session said when it began: parameter status messages up to `ReadyForQuery`.
    pub fn greeting(&self) -> &[u8] {
        &self.greeting
    }

    /// A handle that cancels statements. It stays good when another session begins.
    pub fn canceller(&self) -> Canceller {
        self.cancel.clone()
    }

    /// Ends the session with a checkpoint, and begins another in a new instance. `parameters` are those of a client's start-up packet, `server` settings
    /// that win over the options'. [`Session::greeting`] is what it said, also where it refused to begin.
    ///
    /// # Errors
    /// As [`Session::open`]. There is no session then, and another can be begun.
    pub fn restart(
        &mut self,
        user: Option<&str>,
        database: &str,
        parameters: &[(String, String)],
        server: &[(String, String)],
    ) -> Result<()> {
        self.stop();
        self.options.user = user.unwrap_or("postgres").into();
        self.options.database = database.into();
        self.begin(parameters, server)
    }

    fn begin(&mut self, parameters: &[(String, String)], server: &[(String, String)]) -> Result<()> {
        let options = &self.options;
        let mut arguments = vec!["/pglite/bin/postgres".to_owned()];
        for (name, value) in options.settings.iter().chain(server) {
            arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
        }
        let mut environment =
            vec![("PGDATA".to_owned(), DATA.to_owned()), ("PGDATABASE".into(), options.database.clone())];
        environment.push(("PGLITE_USER".into(), options.user.clone()));
        for (number, (name, value)) in (1..).zip(parameters) {
            environment.push((format!("PGLITE_SETTING_{number}"), format!("{name}={value}")));
        }
        let mut directories = vec![
            (self.engine.modules().root(), "/pglite".to_owned(), false),
            (options.path.clone(), DATA.to_owned(), true),
        ];
        directories.extend(options.mounts.iter().cloned());
        let (console, log) = (Console::default(), Log::new(options.log.clone()));
        let program = Program {
            arguments,
            environment,
            directories,
            console: console.clone(),
            log: log.clone(),
            cancel: self.cancel.clone(),
            // The second of the directories.
            making: self.making.as_ref().map(|making| (making.cluster().clone(), 1)),
        };
        let run = sandbox::prepare(&self.engine.0, program)?;
        self.running = Some(Running { run, console, log });
        let mut greeting = Vec::new();
        let result = self.drive(&mut |bytes| greeting.extend_from_slice(bytes));
        self.greeting = greeting;
        result.map_err(|error| match error {
            Error::Ended(log) => {
                let log = log.trim_start_matches([':', '\n']).to_owned();
                Error::Startup { path: self.options.path.clone(), log }
            }
            other => other,
        })
    }

    /// Gives the session `input`, any part of a stream of messages, and runs it until it wants more. What it says goes to `output`, in pieces.
    ///
    /// # Errors
    /// [`Error::Ended`] when the session has ended, or ends now: by a `FATAL` error, by `Terminate`, or by a trap, which costs the session and nothing
    /// else. What it said before went to `output`.
    pub fn exchange(&mut self, input: &[u8], mut output: impl FnMut(&[u8])) -> Result<()> {
        let Some(running) = &self.running else { return Err(Error::Ended(String::new())) };
        running.console.send(input);
        self.drive(&mut output)
    }

    /// Sends one simple query; the messages of the reply, up to and with `ReadyForQuery`.
    ///
    /// # Errors
    /// As [`Session::exchange`]. An SQL error is a message of the reply.
    pub fn simple_query(&mut self, sql: &str) -> Result<Vec<u8>> {
        let mut reply = Vec::new();
        self.exchange(&draft::query(sql), |bytes| reply.extend_from_slice(bytes))?;
        Ok(reply)
    }

    /// Runs until it wants input or ends.
    fn drive(&mut self, output: &mut dyn FnMut(&[u8])) -> Result<()> {
        let Some(running) = &mut self.running else { return Err(Error::Ended(String::new())) };
        // A cancel for what is over must not meet what comes.
        self.cancel.0.store(false, std::sync::atomic::Ordering::SeqCst);
        let end = loop {
            match running.run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(end) => break Some(end),
                Poll::Pending if running.console.is_waiting() => break None,
                // It has only let go for a moment.
                Poll::Pending => {}
            }
        };
        running.console.drain(output);
        let Some(end) = end else { return Ok(()) };
        let log = running.log.last();
        self.running = None;
        Err(Error::Ended(match end {
            End::Exited(_) if log.is_empty() => String::new(),
            End::Exited(_) => format!(":\n{log}"),
            End::Trapped(trap) => format!(": {trap}\n{log}"),
        }))
    }

    /// Ends the session with a checkpoint.
    ///
    /// # Errors
    /// [`Error::Ended`] when it did not end cleanly; the next open recovers.
    pub fn close(mut self) -> Result<()> {
        match self.stop() {
            None | Some(End::Exited(0)) => Ok(()),
            Some(End::Exited(status)) => Err(Error::Ended(format!(" with status {status}"))),
            Some(End::Trapped(trap)) => Err(Error::Ended(format!(": {trap}"))),
        }
    }

    fn stop(&mut self) -> Option<End> {
        let mut running = self.running.take()?;
        running.console.end_of_input();
        loop {
            if let Poll::Ready(end) = running.run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Some(end);
            }
        }
    }
}
