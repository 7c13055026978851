//! `privatize`: the compiler pass as a command.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use privatize::{Error, Unit};

/// Links a program from LLVM bitcode and makes its mutable globals private to each process.
#[derive(Parser)]
struct Arguments {
    /// The unit's description; docs/privatization.md explains it
    #[arg(long)]
    unit: PathBuf,
    /// Where the bitcode goes
    #[arg(long)]
    output: PathBuf,
    /// Where figures go, as JSON
    #[arg(long)]
    report: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments.unit, &arguments.output, arguments.report.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("privatize: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(unit: &Path, output: &Path, report: Option<&Path>) -> Result<(), Error> {
    let result = privatize::privatize(&Unit::load(unit)?, output)?;
    if let Some(path) = report {
        let text = serde_json::to_string_pretty(&result).expect("a report is plain data");
        std::fs::write(path, text).map_err(|error| Error::Write(path.to_owned(), error))?;
    }
    Ok(())
}
