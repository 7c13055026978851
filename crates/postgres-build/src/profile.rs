//! The profile of a server at work, which clang lays out code by: functions and branches, and how often they were taken. The
//! counters are the front end's, found by a function's name and the shape of its source, so they outlive new releases of both PostgreSQL and clang;
//! a function that has changed is compiled as if there were none.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::layout::Workspace;
use crate::{child, recipe, tools};

/// The level of zstd that the checkout's file is compressed with.
const LEVEL: i32 = 19;

/// The profile in the checkout: LLVM's text form, compressed.
pub fn file(workspace: &Workspace) -> PathBuf {
    workspace.root.join("crates/postgres-build/src/recipe/postgres.proftext.zst")
}

/// Merges what processes have written into the file at `kept`.
pub fn keep(raw: &[PathBuf], kept: &Path) -> Result<()> {
    let mut command = child::command(tools::llvm("llvm-profdata")?);
    command.args(["merge", "--text", "--output=-"]).args(raw);
    let text = child::output(&mut command)?;
    let bytes = zstd::bulk::compress(text.as_bytes(), LEVEL)?;
    std::fs::write(kept, bytes).with_context(|| format!("cannot write {}", kept.display()))
}

/// Writes the recipe's profile in the form that clang reads.
pub(crate) fn unpack(to: &Path) -> Result<()> {
    let context = || format!("cannot write {}", to.display());
    let text = to.with_extension("proftext");
    std::fs::write(&text, zstd::decode_all(recipe::PROFILE)?).with_context(context)?;
    let mut command = child::command(tools::llvm("llvm-profdata")?);
    command.arg("merge").arg("--output").arg(to).arg(&text);
    child::run(command).with_context(context)?;
    std::fs::remove_file(&text).with_context(context)
}
