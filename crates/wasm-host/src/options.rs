//! What a session is opened with.

use crate::log::Sink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a session is, and who.
#[derive(Clone)]
pub struct Options {
    pub(crate) path: PathBuf,
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) mounts: Vec<(PathBuf, String, bool)>,
    pub(crate) log: Option<Sink>,
}

impl Options {
    /// A session of the superuser `postgres` in the database `postgres`, in the data directory at `path`, which is made where there is none.
    pub fn new(path: impl Into<PathBuf>) -> Options {
        Options {
            path: path.into(),
            user: "postgres".into(),
            database: "postgres".into(),
            settings: Vec::new(),
            mounts: Vec::new(),
            log: None,
        }
    }

    /// Another role.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>) -> Options {
        self.user = name.into();
        self
    }

    /// Another database.
    #[must_use]
    pub fn database(mut self, name: impl Into<String>) -> Options {
        self.database = name.into();
        self
    }

    /// One of PostgreSQL's settings, for as long as the session lives. It wins over `postgresql.conf`.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Options {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Lets SQL read a directory of the host, at this path, and write to it where it is `writable`.
    #[must_use]
    pub fn mount(mut self, host: impl AsRef<Path>, guest: impl Into<String>, writable: bool) -> Options {
        self.mounts.push((host.as_ref().into(), guest.into(), writable));
        self
    }

    /// Gives each line of the server's log to `f`.
    #[must_use]
    pub fn log(mut self, f: impl Fn(&str) + Send + Sync + 'static) -> Options {
        self.log = Some(Arc::new(f));
        self
    }
}
