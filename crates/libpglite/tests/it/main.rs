//! The library as a program uses it: whole databases, in one test binary, for each copy links all of PostgreSQL.
//!
//! Tests run on threads of one process, many databases at once. Those that look at the state of the whole
//! process run it again, for themselves alone: see [`support::isolated`].

mod bad_input;
mod caller;
mod crashes;
mod creation;
mod features;
mod forked;
mod lifecycle;
mod listeners;
mod memory;
mod policy;
mod replication;
mod sessions;
mod standalone;
mod support;
