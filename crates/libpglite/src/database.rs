//! An open database: a server inside this process.

use crate::builder::{Builder, Source};
use crate::credentials;
use crate::listener::Listener;
use engine::{Client, Error, Options, Programs, Resources, Result, Server, Stdio};
use std::fmt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_postgres::NoTls;

/// A PostgreSQL server inside this process, with its cluster.
///
/// It can be shared between threads. Dropping it shuts the server down; [`Database::close`] does so and tells how it went.
pub struct Database {
    // First: it stops accepting before the server goes.
    listener: Mutex<Option<Listener>>,
    server: Server,
    options: Options,
    password: Option<String>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("path", &self.path()).finish_non_exhaustive()
    }
}

/// Who connects to which database. The default is the superuser, in the database `postgres`.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Session {
    user: Option<String>,
    database: Option<String>,
    application: Option<String>,
    options: Option<String>,
}

impl Session {
    /// The superuser in the database `postgres`.
    pub fn new() -> Session {
        Session::default()
    }

    /// Connects as this role. No password is asked for: the process itself connects.
    pub fn user(mut self, user: impl Into<String>) -> Session {
        self.user = Some(user.into());
        self
    }

    /// Connects to this database.
    pub fn database(mut self, database: impl Into<String>) -> Session {
        self.database = Some(database.into());
        self
    }

    /// Sets `application_name`.
    pub fn application_name(mut self, name: impl Into<String>) -> Session {
        self.application = Some(name.into());
        self
    }

    /// Sets PostgreSQL's `options`, such as `-c search_path=app`.
    pub fn options(mut self, options: impl Into<String>) -> Session {
        self.options = Some(options.into());
        self
    }
}

impl Database {
    /// Opens the database in a directory; makes it where there is none, or where it is empty. `":memory:"` is a database in memory.
    ///
    /// # Errors
    /// Each [`Error`] names the cause and what to do. A directory that cannot be used is left as it was.
    pub fn open(source: impl Into<Source>) -> Result<Database> {
        Database::builder(source).open()
    }

    /// Opens a new database in memory: nothing touches the disk, and nothing stays.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn memory() -> Result<Database> {
        Database::open(Source::Memory)
    }

    /// Options for opening a database.
    pub fn builder(source: impl Into<Source>) -> Builder {
        Builder::new(source)
    }

    pub(crate) fn start(resources: &Resources, options: Options) -> Result<Database> {
        let server = Server::start(resources, &options)?;
        let mut database = Database { listener: Mutex::new(None), server, options, password: None };
        database.password = credentials::prepare(&database, &database.options)?;
        Ok(database)
    }

    /// The data directory.
    pub fn path(&self) -> &Path {
        self.server.path()
    }

    /// Whether this open made the cluster.
    pub fn is_new(&self) -> bool {
        self.server.is_new()
    }

    /// Opens a session of the superuser in the database `postgres`, for blocking code.
    ///
    /// # Errors
    /// [`Error::Ended`] when the server has ended, [`Error::Io`] when it refuses the session.
    pub fn connect(&self) -> Result<postgres::Client> {
        self.connect_with(&Session::new())
    }

    /// Opens a session, for blocking code.
    ///
    /// # Errors
    /// As [`Database::connect`].
    pub fn connect_with(&self, session: &Session) -> Result<postgres::Client> {
        let tokio = self.config(session);
        let mut config = postgres::Config::from(tokio);
        let (name, port) = self.private_socket()?;
        config.host_path(name).port(port);
        config.connect(postgres::NoTls).map_err(refused)
    }

    /// Opens a session of the superuser in the database `postgres`, for asynchronous code. Its connection runs as a task
    /// of the current tokio runtime, and ends when the client is dropped.
    ///
    /// # Errors
    /// As [`Database::connect`].
    ///
    /// # Panics
    /// Panics outside a tokio runtime with I/O enabled.
    pub async fn connect_async(&self) -> Result<tokio_postgres::Client> {
        self.connect_async_with(&Session::new()).await
    }

    /// Opens a session, for asynchronous code.
    ///
    /// # Errors
    /// As [`Database::connect`].
    ///
    /// # Panics
    /// As [`Database::connect_async`].
    pub async fn connect_async_with(&self, session: &Session) -> Result<tokio_postgres::Client> {
        let (client, connection) = self.connect_raw(session).await?;
        tokio::spawn(async move {
            // The client gets the error, if there is one, from its next call.
            let _ = connection.await;
        });
        Ok(client)
    }

    /// Opens a session whose connection the caller drives: for notifications (`LISTEN`) and notices.
    ///
    /// # Errors
    /// As [`Database::connect`].
    pub async fn connect_raw(
        &self,
        session: &Session,
    ) -> Result<(
        tokio_postgres::Client,
        tokio_postgres::Connection<tokio::net::UnixStream, tokio_postgres::tls::NoTlsStream>,
    )> {
        let stream = self.async_stream()?;
        self.config(session).connect_raw(stream, NoTls).await.map_err(refused)
    }

    /// Cancels what the session with this token does.
    ///
    /// # Errors
    /// As [`Database::connect`].
    pub async fn cancel(&self, token: &tokio_postgres::CancelToken) -> Result<()> {
        let stream = self.async_stream()?;
        token.cancel_query_raw(stream, NoTls).await.map_err(refused)
    }

    /// A new connection without a client: a stream that speaks PostgreSQL's wire protocol, version 3, trusted as any role.
    ///
    /// # Errors
    /// As [`Database::connect`].
    pub fn stream(&self) -> Result<UnixStream> {
        self.server.connect()
    }

    fn async_stream(&self) -> Result<tokio::net::UnixStream> {
        let stream = self.server.connect()?;
        stream
            .set_nonblocking(true)
            .and_then(|()| tokio::net::UnixStream::from_std(stream))
            .map_err(|source| Error::Io { context: format!("cannot make a socket asynchronous: {source}"), source })
    }

    fn config(&self, session: &Session) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.user(session.user.as_deref().unwrap_or(&self.options.user));
        config.dbname(session.database.as_deref().unwrap_or("postgres"));
        if let Some(name) = &session.application {
            config.application_name(name);
        }
        if let Some(options) = &session.options {
            config.options(options);
        }
        config
    }

    /// The socket that blocking clients of this process connect to; opened at its first use.
    fn private_socket(&self) -> Result<(std::ffi::OsString, u16)> {
        if self.server.has_ended() {
            return self.server.connect().map(|_| Default::default());
        }
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = match &mut *listener {
            Some(listener) => listener,
            none => none.insert(Listener::new(self.server.acceptor())?),
        };
        Ok((listener.host(), Listener::PORT))
    }

    /// A connection URI for other programs, with user and password.
    ///
    /// # Errors
    /// [`Error::Option`] where the database has no listener: see [`Builder::listen_socket`] and [`Builder::listen_tcp`].
    pub fn uri(&self) -> Result<String> {
        credentials::uri(&self.options, self.password.as_deref())
    }

    /// Starts one of PostgreSQL's own client programs inside this process. It sees the host's files, and has the caller's
    /// environment and working directory; where its arguments name no other server, it connects to this database.
    /// The crate `libpglite-clients` has the programs, and is the way to call this.
    ///
    /// # Errors
    /// [`Error::Option`] for a program that is not among `programs`; [`Error::Ended`] when the server has ended.
    pub fn program(
        &self,
        programs: Programs,
        name: &str,
        arguments: Vec<String>,
        environment: &[String],
        stdio: [Stdio; 3],
    ) -> Result<Client> {
        let mut variables = environment.to_vec();
        variables.extend([format!("PGUSER={}", self.options.user), "PGDATABASE=postgres".to_owned()]);
        Client::start(crate::resources::get()?, programs, Some(&self.server), name, arguments, &variables, stdio)
    }

    /// Whether the server has ended by itself, after a `SIGTERM` from SQL or a fault that it could not recover from.
    pub fn has_ended(&self) -> bool {
        self.server.has_ended()
    }

    /// Waits until the server ends, but no longer than `limit`; whether it has.
    pub fn wait(&self, limit: Duration) -> bool {
        self.server.wait(limit)
    }

    /// Number of PostgreSQL processes, each a thread: sessions and background work.
    pub fn process_count(&self) -> usize {
        self.server.process_count()
    }

    /// Shuts the database down: sessions end, all that was committed is on disk, the directory is free.
    ///
    /// # Errors
    /// [`Error::Ended`] with the server's last words when it did not end cleanly; the next open recovers.
    pub fn close(self) -> Result<()> {
        drop(self.listener);
        self.server.close()
    }
}

fn refused(error: tokio_postgres::Error) -> Error {
    let text = match error.as_db_error() {
        Some(error) => error.to_string(),
        None => error.to_string(),
    };
    Error::Io { context: format!("the server refused the session: {text}"), source: std::io::Error::other(error) }
}
