#![doc = include_str!("../README.md")]

mod backend;
mod cluster;
mod engine;
mod error;
mod files;
mod interrupts;
mod log;
mod making;
mod modules;
mod options;
mod sandbox;
mod session;
mod streams;

pub mod initdb;

pub use backend::Sandboxed;
pub use engine::Engine;
pub use error::{Error, Result};
pub use interrupts::Canceller;
pub use modules::Modules;
pub use options::Options;
pub use session::Session;
