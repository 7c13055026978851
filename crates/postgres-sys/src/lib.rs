#![doc = include_str!("../README.md")]

#[allow(missing_docs)]
mod built {
    include!(concat!(env!("OUT_DIR"), "/postgres.rs"));
}

/// The constant that describes a program, `struct privatized_program` of `docs/privatization.md`.
/// Only its address is known here; the library OS knows what is in it.
#[repr(C)]
#[derive(Debug)]
pub struct Opaque {
    _private: [u8; 0],
}

/// The program of this name, one of [`programs`].
pub fn program(name: &str) -> Option<&'static Opaque> {
    built::program(name)
}

/// The names of the programs that are linked in: the server `postgres`, and `initdb`. The others are a library of their own.
pub fn programs() -> &'static [&'static str] {
    built::PROGRAMS
}

/// The names of the loadable modules that are linked in, such as `plpgsql`.
pub fn modules() -> &'static [&'static str] {
    built::MODULES
}

/// PostgreSQL's version, such as `18.6`.
pub fn version() -> &'static str {
    built::VERSION
}

/// The bundle of share files, with paths below PostgreSQL's prefix:
/// `share/postgresql/postgres.bki`. It has empty placeholders for programs and modules:
/// `bin/initdb`, `lib/postgresql/plpgsql.so`.
pub fn share_bundle() -> &'static [u8] {
    built::SHARE
}

/// The bundle of the template cluster, with paths below the data directory; `None` where the
/// prepared build has none.
pub fn template_bundle() -> Option<&'static [u8]> {
    built::TEMPLATE
}
