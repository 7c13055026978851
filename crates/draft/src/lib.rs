//! The interface of the libpglite draft, written once: memory area, file transport, REPL, start-up packets and authentication, over
//! any session that takes bytes and gives bytes.
//!
//! [`Host`] has the draft's functions; [`Connection`] is one client on a [`Backend`], for whoever brings its own transport.
#![warn(missing_docs)]

mod account;
mod auth;
mod backend;
mod cma;
mod configuration;
mod connection;
mod files;
mod host;
mod message;
mod parameters;
mod repl;
mod reply;
mod startup;

pub use account::literal;
pub use backend::{Backend, Ended, Profile};
pub use cma::Cma;
pub use connection::{Connection, Output, Trust};
pub use host::{Engine, Host, IDB_CALLED, IDB_FAILED, IDB_HASDB, IDB_HASUSER, IDB_OK};
pub use message::{columns, error, field, message, messages, query};
pub use parameters::{Encryption, Parameters};
pub use startup::{Packet, Startup, packet_length, read as read_packet};
