#![doc = include_str!("../README.md")]

use libpglite::{Client, Database, Programs, Result, Stdio};

include!(concat!(env!("OUT_DIR"), "/clients.rs"));

/// The programs of this crate.
pub fn programs() -> Programs {
    Programs::new(PROGRAMS)
}

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    PROGRAMS.iter().map(|(name, _)| *name)
}

/// Starts a program with arguments as in a shell, without `argv[0]`. It sees the host's files, and has the caller's environment and
/// working directory. With a `database`, that is what it connects to where its arguments name no other server; without one, what
/// stock PostgreSQL's program would connect to. `environment` are `NAME=value` strings that win over the caller's.
///
/// # Errors
/// [`Option`](libpglite::Error::Option) for a program that is not one of [`names`], [`Ended`](libpglite::Error::Ended) when the
/// database's server has ended.
pub fn start(
    database: Option<&Database>,
    name: &str,
    arguments: impl IntoIterator<Item = String>,
    environment: &[String],
    stdio: [Stdio; 3],
) -> Result<Client> {
    let arguments = arguments.into_iter().collect();
    match database {
        Some(database) => database.program(programs(), name, arguments, environment, stdio),
        None => libpglite::program(programs(), name, arguments, environment, stdio),
    }
}

/// Starts a program as [`start`] does without a database. To it, and to those that it starts, it is that of an installation of PostgreSQL in
/// `prefix`, where its share files are.
///
/// # Errors
/// As [`start`].
pub fn start_installed(
    prefix: &str,
    name: &str,
    arguments: impl IntoIterator<Item = String>,
    stdio: [Stdio; 3],
) -> Result<Client> {
    libpglite::program(programs().installed_at(prefix), name, arguments.into_iter().collect(), &[], stdio)
}
