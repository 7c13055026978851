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
mod standalone;

pub use builder::{Builder, Source};
pub use database::{Database, Session};
pub use engine::{Access, Error, Log, Message, Result, Severity};
pub use engine::{Child, Status, Stdio};
pub use resources::{VERSION, postgres_version};
pub use standalone::{Canceller, Standalone};

pub use postgres;
pub use tokio_postgres;
