//! `cargo xtask prepared`.

use std::path::PathBuf;

use anyhow::Result;

use crate::build;

/// Which archive to write.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The archive, FILE.tar.zst; its path is what PGLITE_PREBUILT wants
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// How hard to compress it
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(i32).range(1..=22))]
    level: i32,
}

/// Builds if need be, then packs.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let prepared = build::for_this_machine()?;
    prepared.archive(&arguments.output, arguments.level)?;
    println!("{} ({:.1} MB)", arguments.output.display(), build::megabytes(&arguments.output)?);
    Ok(())
}
