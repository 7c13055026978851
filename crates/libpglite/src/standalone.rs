//! One session on the caller's thread.

use crate::resources;
#[cfg(feature = "wasm")]
use crate::sandbox::Sandboxed;
use engine::{Engine, Identity, Options, Result};
use std::fmt;
use std::path::Path;

/// A session without a server: it runs inside the calls below, on the calling thread, and nowhere else.
///
/// It speaks PostgreSQL's wire protocol, version 3, without the start-up: bytes in, bytes out. It can move between threads, and one
/// thread at a time uses it. Nothing happens in the background: no autovacuum, and a checkpoint only when it is closed or asked for.
///
/// With [`Engine::Wasm`] it runs in a sandbox. Dropping such a session is as if its process had been killed: the next one recovers.
pub struct Standalone(Kind);

#[cfg_attr(feature = "wasm", expect(clippy::large_enum_variant, reason = "the usual one is large, and seldom moved"))]
enum Kind {
    Native(engine::Standalone),
    #[cfg(feature = "wasm")]
    Wasm(Box<Sandboxed>),
}

impl fmt::Debug for Standalone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standalone").field("path", &self.path()).finish_non_exhaustive()
    }
}

/// Cancels what a standalone session does, from any thread.
#[derive(Clone)]
pub struct Canceller(Cancel);

#[derive(Clone)]
enum Cancel {
    Native(engine::Canceller),
    #[cfg(feature = "wasm")]
    Wasm(wasm_host::Canceller),
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Canceller")
    }
}

impl Canceller {
    /// Cancels the statement that runs; nothing happens where none does.
    pub fn cancel(&self) {
        match &self.0 {
            Cancel::Native(canceller) => canceller.cancel(),
            #[cfg(feature = "wasm")]
            Cancel::Wasm(canceller) => canceller.cancel(),
        }
    }
}

impl Standalone {
    pub(crate) fn start(engine: Engine, options: &Options, database: &str) -> Result<Standalone> {
        match engine {
            Engine::Native => {
                engine::Standalone::start(resources::get()?, options, database).map(|s| Standalone(Kind::Native(s)))
            }
            #[cfg(feature = "wasm")]
            Engine::Wasm => Sandboxed::start(options, database).map(|s| Standalone(Kind::Wasm(Box::new(s)))),
            #[cfg(not(feature = "wasm"))]
            Engine::Wasm => Err(engine::Error::Option(
                "this program was built without the WebAssembly engine: build it with the feature `wasm` of libpglite, \
                 or open the database with the native engine"
                    .into(),
            )),
        }
    }

    /// The data directory.
    pub fn path(&self) -> &Path {
        match &self.0 {
            Kind::Native(session) => session.path(),
            #[cfg(feature = "wasm")]
            Kind::Wasm(session) => session.path(),
        }
    }

    /// What the session said when it began, as a server does after authentication: parameter status messages and `ReadyForQuery`.
    pub fn greeting(&self) -> &[u8] {
        match &self.0 {
            Kind::Native(session) => session.greeting(),
            #[cfg(feature = "wasm")]
            Kind::Wasm(session) => session.greeting(),
        }
    }

    /// Ends the session, with a checkpoint, and begins another one on the same database: as another role, in another database of the
    /// cluster, with other settings. `server` are settings that win over those of [`Builder::setting`](crate::Builder::setting).
    /// [`Standalone::greeting`] is what the new session said, also where it refused to begin.
    ///
    /// # Errors
    /// As [`Builder::open_standalone`](crate::Builder::open_standalone); there is no session then, and another may be begun.
    pub fn restart(&mut self, identity: &Identity, server: &[(String, String)]) -> Result<()> {
        match &mut self.0 {
            Kind::Native(session) => session.restart(identity, server),
            #[cfg(feature = "wasm")]
            Kind::Wasm(session) => session.restart(identity, server),
        }
    }

    /// Gives the session `input`, any part of a stream of messages, and runs it until it wants more. What it says goes to `output`, in
    /// pieces, as it comes.
    ///
    /// # Errors
    /// [`engine::Error::Ended`] when the session has ended, or ends now (a `FATAL` error, or `Terminate`).
    pub fn exchange(&mut self, input: &[u8], output: impl FnMut(&[u8])) -> Result<()> {
        match &mut self.0 {
            Kind::Native(session) => session.exchange(input, output),
            #[cfg(feature = "wasm")]
            Kind::Wasm(session) => session.exchange(input, output),
        }
    }

    /// Sends one simple query, and returns the messages of the reply, up to and with `ReadyForQuery`.
    ///
    /// # Errors
    /// As [`Standalone::exchange`]. An SQL error is a message of the reply.
    pub fn simple_query(&mut self, sql: &str) -> Result<Vec<u8>> {
        let mut message = Vec::with_capacity(sql.len() + 6);
        message.push(b'Q');
        message.extend_from_slice(&(sql.len() as u32 + 5).to_be_bytes());
        message.extend_from_slice(sql.as_bytes());
        message.push(0);
        let mut reply = Vec::new();
        self.exchange(&message, |bytes| reply.extend_from_slice(bytes))?;
        Ok(reply)
    }

    /// A handle that cancels statements.
    ///
    /// # Errors
    /// [`engine::Error::Ended`] when the session has ended.
    pub fn canceller(&self) -> Result<Canceller> {
        match &self.0 {
            Kind::Native(session) => session.canceller().map(|canceller| Canceller(Cancel::Native(canceller))),
            #[cfg(feature = "wasm")]
            Kind::Wasm(session) => Ok(Canceller(Cancel::Wasm(session.canceller()))),
        }
    }

    /// Ends the session with a checkpoint.
    ///
    /// # Errors
    /// [`engine::Error::Ended`] with PostgreSQL's last words when it did not end cleanly; the next open recovers.
    pub fn close(self) -> Result<()> {
        match self.0 {
            Kind::Native(session) => session.close(),
            #[cfg(feature = "wasm")]
            Kind::Wasm(session) => session.close(),
        }
    }
}
