//! The interface, over a backend that is a script.

mod connection;
mod fake;
mod host;
mod pieces;
