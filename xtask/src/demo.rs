//! `cargo xtask demo`.

use anyhow::{Result, bail};

/// There is nothing to run yet.
pub(crate) fn run() -> Result<()> {
    bail!("a demonstration is not built yet")
}
