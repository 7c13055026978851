//! The functions of the draft, over one backend: what `pglite_compat.h` and the WebAssembly builds export.

use crate::backend::{Backend, Profile};
use crate::cma::Cma;
use crate::configuration;
use crate::connection::{Connection, Trust};
use crate::files::Files;
use crate::message;
use crate::parameters::{Encryption, Parameters};
use crate::repl::{Repl, error_in};
use crate::reply::{self, Reply};
use std::io::Write;

/// Creating or resuming failed.
pub const IDB_FAILED: i32 = 0b0001;
/// The cluster was created.
pub const IDB_CALLED: i32 = 0b0010;
/// A cluster was found.
pub const IDB_HASDB: i32 = 0b0100;
/// The user exists.
pub const IDB_HASUSER: i32 = 0b1000;
/// What remains of a status that did not fail.
pub const IDB_OK: i32 = 0b1111_1110;

/// Makes backends.
pub trait Engine {
    /// What it makes.
    type Backend: Backend;

    /// Opens the cluster at [`Parameters::data`], making it with the superuser [`Parameters::SUPERUSER`] where there is none.
    /// No session has begun then. Says whether it was made.
    ///
    /// # Errors
    /// Why not; what was there is as it was.
    fn open(&mut self, parameters: &Parameters) -> Result<(Self::Backend, bool), String>;
}

/// Where the cluster is.
enum Stage<B> {
    Closed,
    /// Open, with a session of the superuser.
    Ready(Connection<B>),
    /// `pgl_backend` was called.
    Running(Connection<B>),
}

/// All state of the interface.
pub struct Host<E: Engine, W> {
    engine: E,
    parameters: Parameters,
    cma: Cma,
    files: Files,
    stage: Stage<E::Backend>,
    repl: Repl,
    output: W,
    wire: bool,
    replies_to_memory: bool,
    /// Length of the query in the memory area.
    length: usize,
    /// The last length was impossible: there is an error for a reply already.
    rejected: bool,
    read: i32,
    channel: i32,
}

/// What one call of [`Host::one`] works on.
enum Input {
    Memory(usize),
    File(Vec<u8>),
    Nothing,
}

impl<E: Engine, W: Write> Host<E, W> {
    /// Begins; nothing is opened yet. The REPL prints to `output`.
    ///
    /// # Errors
    /// When there is no memory for the memory area.
    pub fn new(engine: E, parameters: Parameters, output: W) -> Result<Host<E, W>, String> {
        let cma = Cma::new(parameters.cma)
            .ok_or_else(|| format!("there is no memory for a memory area of {} bytes", parameters.cma))?;
        Ok(Host::with_area(engine, parameters, output, cma))
    }

    /// As [`Host::new`], with a memory area that is there already.
    pub fn with_area(engine: E, parameters: Parameters, output: W, cma: Cma) -> Host<E, W> {
        Host {
            engine,
            files: Files::new(&parameters.data),
            repl: Repl::new(parameters.color),
            parameters,
            cma,
            stage: Stage::Closed,
            output,
            wire: true,
            replies_to_memory: false,
            length: 0,
            rejected: false,
            read: 0,
            channel: 0,
        }
    }

    /// The environment of now, where nothing is open that began with another. The memory area stays what it is.
    pub fn renew(&mut self, parameters: Parameters) {
        let data = parameters.data.clone();
        self.repl = Repl::new(parameters.color);
        if matches!(self.stage, Stage::Closed) {
            self.parameters = parameters;
            self.files = Files::new(&data);
        } else {
            // The cluster is open where it is; the session can be another.
            self.parameters = Parameters {
                prefix: self.parameters.prefix.clone(),
                data: self.parameters.data.clone(),
                configuration: self.parameters.configuration.clone(),
                ..parameters
            };
        }
    }

    /// `pgl_initdb`: the bits, and the reason where it failed.
    pub fn initdb(&mut self) -> (i32, Option<String>) {
        match self.open() {
            Ok(bits) => (bits, None),
            Err(text) => (IDB_FAILED, Some(text)),
        }
    }

    fn open(&mut self) -> Result<i32, String> {
        let mut bits = IDB_HASDB;
        if let Stage::Closed = self.stage {
            let (backend, created) = self.engine.open(&self.parameters)?;
            if created {
                bits = IDB_CALLED;
            }
            let home = Profile { user: None, database: "template1".into(), parameters: Vec::new() };
            let mut connection = Connection::new(backend, home)?;
            if created {
                set_password(&mut connection, &self.parameters)?;
            }
            self.files = Files::new(&self.parameters.data);
            self.stage = Stage::Ready(connection);
        }
        if let Stage::Ready(connection) | Stage::Running(connection) = &mut self.stage
            && has_user(connection, &self.parameters.user)
        {
            bits |= IDB_HASUSER;
        }
        Ok(bits)
    }

    /// `pg_conf`.
    ///
    /// # Errors
    /// Why the value could not be set.
    pub fn conf(&mut self, name: &str, value: Option<&str>) -> Result<(), String> {
        if let Stage::Running(_) = self.stage {
            return Err("the backend runs already; settings are made before it begins".into());
        }
        if let Some(folder) = self.parameters.configuration.parent() {
            std::fs::create_dir_all(folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        }
        configuration::set(&self.parameters.configuration, name, value)
    }

    /// `pgl_backend`: begins the session of `PGUSER` in `PGDATABASE`, with `PREFIX/postgresql.conf`.
    ///
    /// # Errors
    /// Why not. The cluster is closed then where it was open.
    pub fn backend(&mut self) -> Result<(), String> {
        let settings = configuration::read(&self.parameters.configuration)?;
        let connection = match std::mem::replace(&mut self.stage, Stage::Closed) {
            Stage::Ready(connection) => connection,
            Stage::Running(connection) => {
                self.stage = Stage::Running(connection);
                return Err("the backend runs already; pgl_shutdown frees it".into());
            }
            Stage::Closed => {
                return Err("there is no cluster yet; call pgl_initdb first".into());
            }
        };
        let p = &self.parameters;
        let parameter = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let home = Profile {
            user: Some(p.user.clone()),
            database: p.database.clone(),
            parameters: vec![parameter("client_encoding", &p.encoding), parameter("TimeZone", &p.time_zone)],
        };
        let mut backend = connection.into_backend();
        backend.configure(&settings);
        self.stage = Stage::Running(Connection::new(backend, home)?);
        Ok(())
    }

    /// `pgl_shutdown`: frees the backend and closes the cluster. `pgl_initdb` opens it again.
    ///
    /// # Errors
    /// What went wrong; what was committed is safe.
    pub fn shutdown(&mut self) -> Result<(), String> {
        self.repl.clear();
        (self.length, self.rejected, self.read, self.channel) = (0, false, 0, 0);
        match std::mem::replace(&mut self.stage, Stage::Closed) {
            Stage::Ready(connection) | Stage::Running(connection) => connection.close(),
            Stage::Closed => Ok(()),
        }
    }

    /// `use_wire`.
    pub fn use_wire(&mut self, on: bool) {
        self.wire = on;
    }

    /// `use_cma`.
    pub fn use_cma(&mut self, on: bool) {
        self.replies_to_memory = on;
    }

    /// `interactive_write`.
    pub fn write(&mut self, length: i32) {
        self.read = 0;
        match usize::try_from(length) {
            Ok(length) if length <= self.cma.longest() => {
                self.length = length;
                self.rejected = false;
            }
            _ => {
                self.length = 0;
                self.rejected = true;
                let text = format!("a query in the memory area has 0 to {} bytes, not {length}", self.cma.longest());
                self.refuse(0, "22023", &text);
            }
        }
    }

    /// `interactive_read`.
    pub fn read(&self) -> i32 {
        self.read
    }

    /// `get_channel`: negative: the last reply went to a file; 0: to the standard output; else its place in the memory area.
    pub fn channel(&self) -> i32 {
        self.channel
    }

    /// Where the REPL prints.
    pub fn output(&self) -> &W {
        &self.output
    }

    /// The memory area.
    pub fn cma(&self) -> &Cma {
        &self.cma
    }

    /// `pgl_closed`, whose name says the opposite: whether a client is connected.
    pub fn has_client(&self) -> bool {
        matches!(&self.stage, Stage::Running(connection) if connection.has_client())
    }

    /// `clear_error`: gives up what an error may have left half done: an incomplete message, a statement without its end. An open
    /// transaction that has failed is rolled back.
    pub fn clear_error(&mut self) {
        self.repl.clear();
        if let Stage::Running(connection) = &mut self.stage {
            connection.clear_error();
        }
    }

    /// `interactive_one`.
    pub fn one(&mut self) {
        if std::mem::take(&mut self.rejected) {
            return;
        }
        self.read = 0;
        let input = match std::mem::take(&mut self.length) {
            0 => match self.files.take_input() {
                Ok(Some(bytes)) => Input::File(bytes),
                Ok(None) => Input::Nothing,
                Err(e) => {
                    self.refuse(0, "58030", &format!("the input file could not be read: {e}"));
                    return;
                }
            },
            length => Input::Memory(length),
        };
        if self.wire { self.wire(input) } else { self.text(input) }
    }

    fn wire(&mut self, input: Input) {
        let length = if let Input::Memory(length) = input { length } else { 0 };
        let to_memory = self.replies_to_memory || !matches!(input, Input::File(_));
        let Stage::Running(connection) = &mut self.stage else {
            self.reject(to_memory, length);
            return;
        };
        let (query, place) = self.cma.split(length);
        let bytes = match &input {
            Input::Memory(_) => query,
            Input::File(bytes) => bytes.as_slice(),
            Input::Nothing => b"",
        };
        let mut reply = match to_memory {
            true => Reply::memory(place, &mut self.files),
            false => Reply::File(self.files.reply()),
        };
        connection.receive(bytes, &mut |bytes| reply.write(bytes));
        self.read = reply.finish();
        self.channel = if to_memory { reply::offset(length) } else { -1 };
    }

    fn text(&mut self, input: Input) {
        self.channel = 0;
        let bytes = match input {
            // Bytes behind a zero are not part of the text.
            Input::Memory(length) => self.cma.split(length).0.split(|b| *b == 0).next().unwrap_or_default().to_vec(),
            Input::File(bytes) => bytes,
            Input::Nothing => self.cma.take_text(),
        };
        let result = match &mut self.stage {
            Stage::Running(connection) => self.repl.run(connection, &bytes, &mut self.output),
            _ => writeln!(self.output, "ERROR:  {NOT_RUNNING}"),
        };
        if let Err(e) = result.and_then(|()| self.output.flush()) {
            eprintln!("pglite: the reply could not be printed: {e}");
        }
    }

    /// The reply of a call that comes too early.
    fn reject(&mut self, to_memory: bool, length: usize) {
        if to_memory {
            self.refuse(length, "55000", NOT_RUNNING);
        } else {
            let mut reply = Reply::File(self.files.reply());
            reply.write(&message::error("ERROR", "55000", NOT_RUNNING));
            reply.finish();
            self.channel = -1;
        }
    }

    /// Replies with an error to a query of this length, without a backend.
    fn refuse(&mut self, length: usize, sqlstate: &str, text: &str) {
        if !self.wire {
            self.channel = 0;
            let _ = writeln!(self.output, "ERROR:  {text}").and_then(|()| self.output.flush());
            return;
        }
        let (_, place) = self.cma.split(length);
        let mut reply = Reply::memory(place, &mut self.files);
        reply.write(&message::error("ERROR", sqlstate, text));
        self.read = reply.finish();
        self.channel = reply::offset(length);
    }
}

const NOT_RUNNING: &str = "there is no backend: call pgl_initdb and pgl_backend first";

fn has_user<B: Backend>(connection: &mut Connection<B>, user: &str) -> bool {
    let sql = format!("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = {}", crate::account::literal(user));
    message::messages(&connection.query(&sql)).any(|(kind, _)| kind == b'D')
}

fn set_password<B: Backend>(connection: &mut Connection<B>, parameters: &Parameters) -> Result<(), String> {
    let encryption = match parameters.encryption {
        Encryption::Md5 => "md5",
        Encryption::Scram => "scram-sha-256",
    };
    let password = crate::account::literal(&parameters.password);
    // The statement must not reach the log, and md5 is what was asked for.
    let sql = format!(
        "SET log_statement = none; SET log_min_duration_statement = -1; SET md5_password_warnings = off; \
         SET password_encryption = '{encryption}'; ALTER ROLE {} PASSWORD {password}",
        Parameters::SUPERUSER
    );
    let reply = connection.query(&sql);
    connection.begin(Trust::Host);
    error_in(&reply).map_or(Ok(()), |text| Err(format!("the superuser's password could not be set: {text}")))
}
