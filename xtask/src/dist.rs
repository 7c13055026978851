//! `cargo xtask dist`.

use anyhow::{Result, bail};

/// There is nothing to run yet.
pub(crate) fn run() -> Result<()> {
    bail!("a release is not built yet")
}
