//! The engine: clusters, servers, standalone sessions, and how they are configured.
//!
//! It knows PostgreSQL, and nothing of drivers: connections are streams that speak the wire protocol. `libpglite` is the
//! interface for programs.

mod client;
mod cluster;
mod error;
mod log;
mod machine;
mod open;
mod options;
mod program;
mod resources;
mod server;
mod settling;
mod shared_memory;
mod standalone;

pub use client::{Client, Programs};
pub use cluster::{Engine, Info, info, look};
pub use error::{Error, Result};
pub use libos::{Status, Stdio};
pub use log::{Log, Message, Severity};
pub use open::make_template;
pub use options::{Access, Creation, Listen, Location, Options, Policy};
pub use resources::Resources;
pub use server::{Acceptor, Server, check_setting};
pub use standalone::{Canceller, Identity, Standalone};
