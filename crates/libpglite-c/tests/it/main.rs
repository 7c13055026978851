//! The C interface, as C programs see it.

mod headers;
mod hosts;
mod programs;
mod support;
mod symbols;
