//! How a database is opened.

use crate::database::Database;
use crate::resources;
use crate::standalone::Standalone;
use engine::{Access, Engine, Error, Location, Log, Message, Options, Result};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a database lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A directory; made where there is none.
    Directory(PathBuf),
    /// Memory: nothing touches the disk, and nothing stays.
    Memory,
}

impl<P: AsRef<Path>> From<P> for Source {
    /// `:memory:` is memory, all else a directory.
    fn from(path: P) -> Source {
        match path.as_ref() {
            path if path == Path::new(":memory:") => Source::Memory,
            path => Source::Directory(path.into()),
        }
    }
}

/// Collects what a [`Database`] or [`Standalone`] is opened with.
///
/// ```no_run
/// # fn main() -> libpglite::Result<()> {
/// let db = libpglite::Database::builder("my-data")
///     .setting("work_mem", "64MB")
///     .listen_socket("/tmp/my-app")
///     .open()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    pub(crate) options: Options,
    pub(crate) engine: Engine,
}

impl Builder {
    /// A database at `source`: a path, `":memory:"`, or a [`Source`].
    pub fn new(source: impl Into<Source>) -> Builder {
        let location = match source.into() {
            Source::Directory(path) => Location::Directory(path),
            Source::Memory => Location::Memory,
        };
        Builder { options: Options::new(location), engine: Engine::default() }
    }

    /// What runs the database; [`Engine::Native`] by default.
    ///
    /// [`Engine::Wasm`] is PostgreSQL as a WebAssembly module, in a sandbox: SQL, even a superuser's, and even a bug in PostgreSQL or an extension, can
    /// touch nothing but the data directory and the directories of [`Builder::allow_path`]. It is there with the feature `wasm` of this crate, and has one
    /// session: [`Builder::open_standalone`]. A database in memory is a folder in `/dev/shm`, or else the temporary folder, which is removed with the session.
    /// Its directories and those of the native engine cannot be exchanged.
    ///
    /// The module is embedded, unpacked and compiled once into `$XDG_CACHE_HOME/libpglite/run` (`~/.cache`), which takes some seconds. The environment's
    /// `PGLITE_WASM` names a folder with another one.
    ///
    /// ```no_run
    /// # fn main() -> libpglite::Result<()> {
    /// use libpglite::{Database, Engine};
    /// let mut session = Database::builder("my-data").engine(Engine::Wasm).open_standalone()?;
    /// let reply = session.simple_query("SELECT version()")?;
    /// # Ok(()) }
    /// ```
    pub fn engine(mut self, engine: Engine) -> Builder {
        self.engine = engine;
        self
    }

    /// Sets one of PostgreSQL's settings for as long as the database is open. It wins over `postgresql.conf`.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Builder {
        self.options.settings.insert(name.into(), value.into());
        self
    }

    /// The superuser's name; `postgres` by default. It is made with the cluster, and is who [`Database::connect`] connects as.
    pub fn user(mut self, name: impl Into<String>) -> Builder {
        self.options.user = name.into();
        self
    }

    /// The superuser's password, for those who connect through a listener. It is set when the cluster is made. Without one, a cluster
    /// that gets a listener also gets a random password, kept in the file `libpglite.password` of the data directory.
    pub fn password(mut self, password: impl Into<String>) -> Builder {
        self.options.password = Some(password.into());
        self
    }

    /// Lets other programs connect through a Unix socket in this folder, which exists.
    pub fn listen_socket(mut self, folder: impl Into<PathBuf>) -> Builder {
        self.options.listen.sockets.push(folder.into());
        self
    }

    /// Lets other programs connect by TCP to this address.
    pub fn listen_tcp(mut self, address: SocketAddr) -> Builder {
        self.options.listen.addresses.push(address);
        self
    }

    /// The port in the name of the Unix socket; 5432, or that of the TCP address, by default.
    pub fn port(mut self, port: u16) -> Builder {
        self.options.listen.port = Some(port);
        self
    }

    /// Lets SQL reach a file or directory of the host: tablespaces, `COPY` to and from files.
    pub fn allow_path(mut self, path: impl Into<PathBuf>, access: Access) -> Builder {
        self.options.policy.paths.push((path.into(), access));
        self
    }

    /// Lets SQL open network connections: `postgres_fdw`, `dblink`, subscriptions.
    pub fn allow_network(mut self, allow: bool) -> Builder {
        self.options.policy.network = allow;
        self
    }

    /// Lets SQL start programs of the host: `COPY ... PROGRAM`, `archive_command`. A superuser can then do all that the
    /// calling process may.
    pub fn allow_programs(mut self, allow: bool) -> Builder {
        self.options.policy.programs = allow;
        self
    }

    /// Sends the server's log to `f` instead of `tracing`. It is called on the server's threads.
    pub fn log(mut self, f: impl Fn(&Message<'_>) + Send + Sync + 'static) -> Builder {
        self.options.log = Log::Callback(Arc::new(f));
        self
    }

    /// Drops the server's log.
    pub fn no_log(mut self) -> Builder {
        self.options.log = Log::Discard;
        self
    }

    /// Encoding of a new cluster; `UTF8` by default. Any other is made by PostgreSQL's `initdb`, which takes about a second.
    pub fn encoding(mut self, encoding: impl Into<String>) -> Builder {
        self.options.creation.encoding = Some(encoding.into());
        self
    }

    /// Locale of a new cluster, one that the host has; `C.UTF-8`, independent of the host, by default. Takes `initdb`.
    pub fn locale(mut self, locale: impl Into<String>) -> Builder {
        self.options.creation.locale = Some(locale.into());
        self.options.creation.locale_provider.get_or_insert_with(|| "libc".into());
        self
    }

    /// An option of `initdb` for a new cluster, as on its command line: `--no-data-checksums`, say. Takes `initdb`.
    pub fn initdb_option(mut self, option: impl Into<String>) -> Builder {
        self.options.creation.initdb.push(option.into());
        self
    }

    /// Opens only what is there: an error instead of a new cluster.
    pub fn existing_only(mut self) -> Builder {
        self.options.existing_only = true;
        self
    }

    /// Opens the database as a whole server.
    ///
    /// # Errors
    /// Each [`engine::Error`] names the cause and what to do. A directory that cannot be used is left as it was. [`engine::Error::Option`] for
    /// [`Engine::Wasm`], which has no server.
    pub fn open(self) -> Result<Database> {
        if self.engine == Engine::Wasm {
            return Err(Error::Option(
                "the WebAssembly engine has one session and no server: open it by `open_standalone`, or let clients take turns on it \
                 with the crate `gateway` (`pglite serve --standalone --engine wasm`)"
                    .into(),
            ));
        }
        Database::start(resources::get()?, self.options)
    }

    /// Opens the database as one session, in the database `postgres`, on the caller's thread.
    ///
    /// # Errors
    /// As [`Builder::open`]; also where listeners were asked for, which a session cannot have.
    pub fn open_standalone(self) -> Result<Standalone> {
        self.open_standalone_in("postgres")
    }

    /// As [`Builder::open_standalone`], in another database of the cluster.
    ///
    /// # Errors
    /// As there; also where there is no such database.
    pub fn open_standalone_in(self, database: &str) -> Result<Standalone> {
        Standalone::start(self.engine, &self.options, database)
    }
}
