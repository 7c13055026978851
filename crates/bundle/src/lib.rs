#![doc = include_str!("../README.md")]

mod error;
mod format;
mod manifest;
mod reader;
mod writer;

pub use error::Error;
pub use manifest::Manifest;
pub use reader::{Bundle, Bytes, Content, Entries, Entry, EntryKind, FileRef};
pub use writer::{WriteOptions, Writer};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
