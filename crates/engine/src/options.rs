//! What a database is opened with.

use crate::log::Log;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where a cluster lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A directory of the host.
    Directory(PathBuf),
    /// Memory: nothing touches the disk, and nothing stays.
    Memory,
}

/// Access to a path of the host outside of the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Files can be read.
    Read,
    /// Files can be read and written.
    ReadWrite,
}

/// What SQL, even a superuser's, may reach outside the data directory. All is denied by default.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Files or directories, with all that is in them.
    pub paths: Vec<(PathBuf, Access)>,
    /// Internet sockets, and Unix sockets outside the allowed paths: `postgres_fdw`, `dblink`, replication.
    pub network: bool,
    /// Programs of the host: `COPY ... TO PROGRAM`, `archive_command`.
    pub programs: bool,
}

/// How a new cluster is made, where it differs from the template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Creation {
    /// `initdb --encoding`.
    pub encoding: Option<String>,
    /// `initdb --locale`.
    pub locale: Option<String>,
    /// `initdb --locale-provider`.
    pub locale_provider: Option<String>,
    /// More options of `initdb`, as on its command line.
    pub initdb: Vec<String>,
}

impl Creation {
    /// Whether the template will do.
    pub(crate) fn is_default(&self) -> bool {
        *self == Creation::default()
    }
}

/// Where other programs can connect.
#[derive(Clone, Debug, Default)]
pub struct Listen {
    /// Folders for Unix sockets.
    pub sockets: Vec<PathBuf>,
    /// TCP addresses. All must have one port.
    pub addresses: Vec<SocketAddr>,
    /// The port, also in the name of a Unix socket; 5432 where it is `None`.
    pub port: Option<u16>,
}

impl Listen {
    /// Whether anybody can connect from outside.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty() && self.addresses.is_empty()
    }
}

/// All that a database is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the cluster is.
    pub location: Location,
    /// PostgreSQL's settings by name: they win over `postgresql.conf`.
    pub settings: BTreeMap<String, String>,
    /// The superuser's name, for a new cluster and for sessions.
    pub user: String,
    /// The superuser's password, for a new cluster.
    pub password: Option<String>,
    /// How a new cluster is made.
    pub creation: Creation,
    /// Where other programs can connect.
    pub listen: Listen,
    /// What SQL may reach outside.
    pub policy: Policy,
    /// Where log lines go.
    pub log: Log,
    /// Fails where there is no cluster yet, instead of making one.
    pub existing_only: bool,
}

impl Options {
    /// The defaults for a cluster at `location`.
    pub fn new(location: Location) -> Options {
        Options {
            location,
            settings: BTreeMap::new(),
            user: "postgres".into(),
            password: None,
            creation: Creation::default(),
            listen: Listen::default(),
            policy: Policy::default(),
            log: Log::default(),
            existing_only: false,
        }
    }

    /// The value that was given for a setting.
    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().rev().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether anything is to be made durable: `fsync` is not turned off.
    pub(crate) fn wants_sync(&self) -> bool {
        let off =
            |value: &str| ["off", "of", "false", "no", "0"].iter().any(|no| no.eq_ignore_ascii_case(value.trim()));
        !self.setting("fsync").is_some_and(off)
    }
}
