//! `pglite`: a whole PostgreSQL in one program, from the command line.

mod arguments;
mod commands;
mod programs;

use arguments::{Command, Request};
use libpglite::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match programs::called_by_name() {
        Some(program) => programs::run_alone(program),
        None => match arguments::parse() {
            Request::Program(program, run) => programs::run(program, run),
            Request::Command(Command::Serve(a)) => commands::serve(a),
            Request::Command(Command::Init(a)) => commands::init(a),
            Request::Command(Command::Info(a)) => commands::info(a),
        },
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
        Error::NotACluster(_) | Error::NotADirectory(_) | Error::OtherVersion { .. } | Error::OtherEngine { .. } => 4,
        Error::Setting(_) | Error::Option(_) => 5,
        _ => 1,
    }
}
