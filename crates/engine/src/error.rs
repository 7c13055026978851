//! What can go wrong, and what to do about it.

use crate::cluster::Engine;
use std::io;
use std::path::{Path, PathBuf};

/// Why a database could not be opened, used or closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path is there, but is not a directory.
    #[error("{path} is not a directory; name a directory, or one that does not exist yet", path = .0.display())]
    NotADirectory(PathBuf),

    /// The directory holds something else.
    #[error(
        "{path} is not empty and is not a PostgreSQL data directory (it has no PG_VERSION); \
         name an empty directory, or one that does not exist yet", path = .0.display()
    )]
    NotACluster(PathBuf),

    /// The cluster is another major version's.
    #[error(
        "{path} was made by PostgreSQL {found}, this is PostgreSQL {ours}; dump it with PostgreSQL {found} \
         (pg_dumpall) and restore it into a new directory, or run pg_upgrade", path = .path.display()
    )]
    OtherVersion {
        /// The data directory.
        path: PathBuf,
        /// Its major version.
        found: String,
        /// Ours.
        ours: String,
    },

    /// The cluster is the other engine's.
    #[error(
        "{path} was made by {maker}, and {opener} cannot open it: the files differ. To move the data, name a new directory:  \
         pglite pg_dumpall {from}{path} | pglite psql {to}NEW-DIRECTORY", path = .path.display(),
        maker = maker(*.found), opener = opener(*.found), from = option(*.found), to = option(.found.other())
    )]
    OtherEngine {
        /// The data directory.
        path: PathBuf,
        /// The engine that it is for.
        found: Engine,
    },

    /// Somebody has the directory open.
    #[error("{path} is in use by {holder}; close it there first", path = .path.display())]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// Who has it, as well as we can tell.
        holder: String,
    },

    /// The directory cannot be written to.
    #[error(
        "{path} is on a read-only file system or may not be written to; PostgreSQL needs to write even to read: \
         make it writable, or copy it elsewhere", path = .0.display()
    )]
    ReadOnly(PathBuf),

    /// No room is left.
    #[error("no space is left on the file system of {path}: free some (a new database needs about 40 MB)", path = .0.display())]
    NoSpace(PathBuf),

    /// A setting that PostgreSQL does not have, or a value that it does not take.
    #[error("{0}; see https://www.postgresql.org/docs/18/runtime-config.html for the settings and their values")]
    Setting(String),

    /// An option of ours that cannot be.
    #[error("{0}")]
    Option(String),

    /// The server ended while it started.
    #[error("PostgreSQL did not start on {path}:\n{log}", path = .path.display())]
    Startup {
        /// The data directory.
        path: PathBuf,
        /// What it said.
        log: String,
    },

    /// `initdb` failed.
    #[error("a new cluster could not be made in {path}:\n{log}", path = .path.display())]
    Initdb {
        /// The data directory.
        path: PathBuf,
        /// What it said.
        log: String,
    },

    /// The files that belong to PostgreSQL are damaged.
    #[error("the bundle of PostgreSQL's files is damaged: build or download the program again")]
    Bundle(#[from] bundle::Error),

    /// The operating system refused.
    #[error("{context}")]
    Io {
        /// What we wanted.
        context: String,
        /// What it said.
        source: io::Error,
    },

    /// The server has ended.
    #[error("the server has ended{0}; open the database again: what was committed is there")]
    Ended(String),

    /// The calling process is a fork of the one that opened the database.
    #[error(
        "this process was forked from the one that opened the database, and the engine's threads did not come along; \
         open databases after fork(), or connect to a listener of the parent"
    )]
    Forked,
}

/// The result of what can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn maker(engine: Engine) -> &'static str {
    match engine {
        Engine::Native => "PostgreSQL for a 64-bit machine, as the native engine and ordinary servers are",
        Engine::Wasm => "PostgreSQL for a 32-bit machine, as the WebAssembly engine is",
    }
}

fn opener(found: Engine) -> &'static str {
    match found {
        Engine::Native => "the WebAssembly engine",
        Engine::Wasm => "the native engine",
    }
}

fn option(engine: Engine) -> &'static str {
    match engine {
        Engine::Native => "",
        Engine::Wasm => "--engine wasm ",
    }
}

impl Error {
    /// Why PostgreSQL did not start on `path`, from its log.
    pub fn from_log(log: String, path: &Path) -> Error {
        let message = |line: &str| line.split_once("FATAL:  ").map_or(line, |(_, rest)| rest).trim().to_owned();
        let setting = log.lines().find(|l| {
            l.contains("unrecognized configuration parameter")
                || l.contains("invalid value for parameter")
                || l.contains("is outside the valid range for parameter")
                || l.contains("cannot be changed")
        });
        if let Some(line) = setting {
            return Error::Setting(message(line));
        }
        if log.contains("No space left on device") {
            return Error::NoSpace(path.into());
        }
        if log.contains("Read-only file system") {
            return Error::ReadOnly(path.into());
        }
        Error::Startup { path: path.into(), log }
    }

    /// Wraps an operating system's error on `path`, naming the two causes that users can mend.
    pub(crate) fn at(path: &Path, what: &str, source: impl Into<io::Error>) -> Error {
        let source = source.into();
        match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly(path.into()),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::NoSpace(path.into()),
            _ => Error::Io { context: format!("cannot {what} {}: {source}", path.display()), source },
        }
    }

    pub(crate) fn io(what: &str, source: impl Into<io::Error>) -> Error {
        let source = source.into();
        Error::Io { context: format!("cannot {what}: {source}"), source }
    }
}
