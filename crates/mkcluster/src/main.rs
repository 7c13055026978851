//! Makes the template cluster of a prepared build, with PostgreSQL's own `initdb`, in-process. A step of `cargo xtask build`.

mod wal;

use anyhow::{Context, Result};
use clap::Parser;
use engine::Resources;
use std::path::PathBuf;

#[derive(Parser)]
#[command(about)]
struct Arguments {
    /// The prepared build that this program is linked with
    #[arg(long)]
    prepared: PathBuf,
    /// The folder in which `cluster` is made
    #[arg(long)]
    output: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let resources = Resources::new(postgres_sys::share_bundle(), None)
        .with_context(|| format!("cannot use the prepared build in {}", arguments.prepared.display()))?;
    let cluster = arguments.output.join("cluster");
    engine::make_template(&resources, &cluster)?;
    wal::trim(&cluster)
}
