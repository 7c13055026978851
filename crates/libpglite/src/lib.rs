//! A real, unmodified PostgreSQL inside your program: no server to install, no child process, no container.
//!
//! ```no_run
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let db = libpglite::Database::open("my-data")?;
//!     let mut client = db.connect()?;
//!     let row = client.query_one("SELECT version()", &[])?;
//!     println!("{}", row.get::<_, String>(0));
//!     db.close()?;
//!     Ok(())
//! }
//! ```
//!
//! [`Database`] is the whole server: any number of sessions, background work, parallel query. [`Standalone`] is one session on
//! the caller's thread, with the lowest latency. Both keep an ordinary data directory, which a stock PostgreSQL of the same major version
//! opens as well. Clients are those of the `postgres` and `tokio-postgres` crates.
#![warn(missing_docs)]

mod builder;
mod credentials;
mod database;
mod listener;
mod resources;
#[cfg(feature = "wasm")]
mod sandbox;
mod standalone;

pub use builder::{Builder, Source};
pub use database::{Database, Session};
pub use engine::{Access, Engine, Error, Log, Message, Result, Severity};
pub use engine::{Client, Identity, Info, Programs, Status, Stdio};
pub use resources::{VERSION, postgres_version};
pub use standalone::{Canceller, Standalone};

/// Starts a program of `programs` inside this process, without a database of ours. The crate `libpglite-clients` has the programs, and
/// is the way to call this.
///
/// # Errors
/// [`Error::Option`] for a program that is not among them.
pub fn program(
    programs: Programs,
    name: &str,
    arguments: Vec<String>,
    environment: &[String],
    stdio: [Stdio; 3],
) -> Result<Client> {
    Client::start(resources::get()?, programs, None, name, arguments, environment, stdio)
}

/// Tells about a data directory without opening it.
///
/// # Errors
/// As for opening it: not a directory, not a cluster, another major version.
pub fn info(path: impl AsRef<std::path::Path>) -> Result<Info> {
    engine::info(path.as_ref(), postgres_version())
}

pub use postgres;
pub use tokio_postgres;
