//! `pglite`: a whole PostgreSQL in one program, from the command line.

mod arguments;
mod commands;

use arguments::{Arguments, Command};
use clap::Parser;
use libpglite::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Psql(a) => commands::psql(a),
        Command::Serve(a) => commands::serve(a),
        Command::Init(a) => commands::init(a),
        Command::Info(a) => commands::info(a),
    };
    result.unwrap_or_else(|error| {
        eprintln!("pglite: {error}");
        ExitCode::from(code(&error))
    })
}

/// What scripts can tell apart; `pglite --help` lists them.
fn code(error: &Error) -> u8 {
    match error {
        Error::InUse { .. } => 3,
        Error::NotACluster(_) | Error::NotADirectory(_) | Error::OtherVersion { .. } => 4,
        Error::Setting(_) | Error::Option(_) => 5,
        _ => 1,
    }
}
