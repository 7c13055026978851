//! `cargo xtask bench`: libpglite against stock servers of the same source, in interleaved rounds. `docs/benchmarks.md`
//! tells what is measured and how.

mod dump;
mod figure;
mod groups;
mod lab;
mod report;
mod server;

use std::path::PathBuf;

use anyhow::{Result, bail};

use lab::{Effort, Lab};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write all figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only these groups: open-new, reopen, standalone, session, connect, pgbench, bulk, dump, memory, growth
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
    /// How often each comparison is made
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Everything once and small: shows that it works, in about two minutes
    #[arg(long)]
    quick: bool,
    /// A folder for the clusters on disk [default: the target folder]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Measures, prints a table, and writes the figures.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let groups = groups::chosen(&arguments.only)?;
    if let Some(folder) = arguments.json.as_ref().and_then(|file| file.parent())
        && !folder.as_os_str().is_empty()
        && !folder.is_dir()
    {
        bail!("there is no folder {} for the figures", folder.display());
    }
    let effort = Effort { quick: arguments.quick, rounds: arguments.rounds };
    let lab = Lab::set_up(effort, arguments.directory.as_deref())?;
    let mut figures = Vec::new();
    for group in groups {
        figures.extend((group.measure)(&lab)?);
    }
    print!("\n{}", report::table(&figures));
    println!("\n{}", report::LEGEND);
    match &arguments.json {
        Some(file) => report::write(&figures, &lab, file),
        None => Ok(()),
    }
}
