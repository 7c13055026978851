//! Single measurements: `bench WHAT ...` prints one line of JSON. `cargo xtask bench` runs it in pairs and makes the table.

mod bulk;
mod footprint;
mod latency;
mod mix;
mod opening;
mod server;
mod wire;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// What a measurement gives: numbers by name.
type Figures = Vec<(&'static str, f64)>;

#[derive(Parser)]
#[command(about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a cluster and close it: what the measurements of an existing cluster begin with
    Make(opening::Make),
    /// Open a database up to its first result; a new cluster where the directory is empty
    Open(opening::Open),
    /// Start a stock server up to its first result, after `initdb` where that is given
    Start(opening::Start),
    /// Run statements, on any server
    Run(server::Run),
    /// `SELECT 1` in a standalone session
    Standalone(latency::Standalone),
    /// A mix of queries in a standalone session, of a new cluster: the least time of each in microseconds
    Mix(latency::Mix),
    /// `SELECT 1` in a session of a server
    Session(latency::Session),
    /// New sessions to their first result
    Connect(latency::Connect),
    /// COPY, an aggregate, an index
    Bulk(bulk::Bulk),
    /// Memory of an open database
    Memory(footprint::Memory),
    /// What is left behind by opening and closing again and again
    Opens(footprint::Opens),
    /// What is left behind by sessions
    Sessions(footprint::Sessions),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(figures) => {
            let figures = figures.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
            println!("{}", serde_json::Value::Object(figures.collect()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<Figures> {
    match command {
        Command::Make(arguments) => arguments.run(),
        Command::Open(arguments) => arguments.run(),
        Command::Start(arguments) => arguments.run(),
        Command::Run(arguments) => arguments.run(),
        Command::Standalone(arguments) => arguments.run(),
        Command::Mix(arguments) => arguments.run(),
        Command::Session(arguments) => arguments.run(),
        Command::Connect(arguments) => arguments.run(),
        Command::Bulk(arguments) => arguments.run(),
        Command::Memory(arguments) => arguments.run(),
        Command::Opens(arguments) => arguments.run(),
        Command::Sessions(arguments) => arguments.run(),
    }
}
