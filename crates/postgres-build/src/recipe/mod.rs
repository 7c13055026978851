//! What decides the content of a prepared build. Everything in this folder is part of its key: a
//! change means a new build.

pub mod codegen;
pub mod glue;
pub mod libraries;
pub mod options;
pub mod share;
pub mod unit;

/// The stand-in for the compiler that records links; `@COMPILER@` is to be replaced.
pub const RECORDER: &str = include_str!("recorder.sh");

/// What the server does how often, see the module `profile`.
pub const PROFILE: &[u8] = include_bytes!("postgres.proftext.zst");
