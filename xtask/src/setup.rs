//! `cargo xtask setup`.

use anyhow::Result;
use postgres_build::progress::Progress;
use postgres_build::tools;

/// Installs what is missing, or says how.
pub(crate) fn run() -> Result<()> {
    tools::ensure(&Progress::new(), true)?;
    println!("all tools are there: {}", tools::llvm("clang")?.display());
    Ok(())
}
