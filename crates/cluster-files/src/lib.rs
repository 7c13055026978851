//! What both engines know of a cluster's files: which engine it is for ([`control`]), the identifier of its own that a copy of the template gets
//! ([`identifier`]), and how far its making went ([`marker`]).
//!
//! Relies on the layout of PostgreSQL 18's `pg_control` and pages of the log, in little-endian byte order.

#![forbid(unsafe_code)]

pub mod control;
pub mod identifier;
pub mod marker;

pub use control::Engine;
