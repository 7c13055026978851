//! The server that is measured: a database of this process, or whatever listens on a Unix socket.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use anyhow::{Context, Result};
use libpglite::Database;
use libpglite::postgres::{Client, Config, NoTls};

use crate::Figures;
use crate::wire::Session;

/// Which server.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Where {
    /// A data directory, opened in this process
    #[arg(long)]
    data: Option<PathBuf>,
    /// The folder of a server's Unix socket
    #[arg(long)]
    socket: Option<PathBuf>,
}

/// An open server.
pub(crate) enum Server {
    /// In this process.
    Embedded(Box<Database>),
    /// Elsewhere; the folder of its socket.
    Outside(PathBuf),
}

impl Where {
    pub(crate) fn open(&self) -> Result<Server> {
        match (&self.data, &self.socket) {
            (Some(data), _) => Ok(Server::Embedded(Box::new(Database::builder(data).no_log().existing_only().open()?))),
            (None, Some(folder)) => Ok(Server::Outside(folder.clone())),
            (None, None) => unreachable!("the arguments name one"),
        }
    }
}

/// Connects to the socket in a folder.
pub(crate) fn connect(folder: &std::path::Path) -> std::io::Result<UnixStream> {
    UnixStream::connect(folder.join(".s.PGSQL.5432"))
}

impl Server {
    /// A new session.
    pub(crate) fn session(&self) -> Result<Session<UnixStream>> {
        let stream = match self {
            Server::Embedded(database) => database.stream()?,
            Server::Outside(folder) => {
                connect(folder).with_context(|| format!("cannot connect to the socket in {}", folder.display()))?
            }
        };
        Session::begin(stream)
    }

    /// A new session of the `postgres` crate's client.
    pub(crate) fn client(&self) -> Result<Client> {
        match self {
            Server::Embedded(database) => Ok(database.connect()?),
            Server::Outside(folder) => {
                Ok(Config::new().user("postgres").dbname("postgres").host_path(folder).connect(NoTls)?)
            }
        }
    }

    /// Closes a database of this process.
    pub(crate) fn close(self) -> Result<()> {
        match self {
            Server::Embedded(database) => Ok(database.close()?),
            Server::Outside(_) => Ok(()),
        }
    }
}

/// Runs statements.
#[derive(clap::Args)]
pub(crate) struct Run {
    #[command(flatten)]
    server: Where,
    /// Statements, one after the other
    #[arg(required = true)]
    sql: Vec<String>,
}

impl Run {
    pub(crate) fn run(&self) -> Result<Figures> {
        let server = self.server.open()?;
        let mut session = server.session()?;
        for sql in &self.sql {
            session.run(sql).with_context(|| sql.clone())?;
        }
        session.end()?;
        server.close()?;
        Ok(Vec::new())
    }
}
