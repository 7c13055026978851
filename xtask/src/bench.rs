//! `cargo xtask bench`.

use anyhow::{Result, bail};

/// There is nothing to run yet.
pub(crate) fn run() -> Result<()> {
    bail!("a benchmark is not built yet")
}
