//! Sockets in front of one standalone session: clients take turns, each gets a clean session.
//!
//! [`Local`] is a standalone session as [`draft`] wants it; [`Gateway`] has the sockets.

mod client;
mod credentials;
mod gateway;
mod listener;
mod local;
mod queue;
mod sync;

pub use gateway::{Gateway, Options};
pub use local::{Cancel, Local};
