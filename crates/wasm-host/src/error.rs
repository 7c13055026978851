//! What can go wrong.

use std::path::{Path, PathBuf};

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was to be done with it.
        what: &'static str,
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Somebody has the data directory.
    #[error("{} is in use by another session", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A directory that this engine cannot use.
    #[error("{} cannot be opened by the WebAssembly engine: {reason}", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// A cluster of a PostgreSQL for another kind of machine, such as the native engine.
    #[error("{} was made by a PostgreSQL for a 64-bit machine, such as the native engine: move the data with pg_dumpall from that engine and psql into this one", path.display())]
    OtherEngine {
        /// The directory.
        path: PathBuf,
    },
    /// The session has not begun, and this is what PostgreSQL said.
    #[error("no session in {}: {log}", path.display())]
    Startup {
        /// The directory.
        path: PathBuf,
        /// The last of its log.
        log: String,
    },
    /// The session has ended. Empty where it has told why.
    #[error("the session has ended{0}")]
    Ended(String),
    /// The engine.
    #[error("WebAssembly: {0}")]
    Engine(String),
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn at(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        move |source| Error::File { what, path: path.into(), source }
    }
}

impl From<wasmtime::Error> for Error {
    fn from(error: wasmtime::Error) -> Error {
        Error::Engine(format!("{error:#}"))
    }
}
