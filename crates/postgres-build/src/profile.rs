//! The profile of a server at work, which clang lays out code by: functions and branches, and how often they were taken. The
//! counters are the front end's, found by a function's name and the shape of its source, so they outlive new releases of both PostgreSQL and clang;
//! a function that has changed is compiled as if there were none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::layout::Workspace;
use crate::{child, recipe, tools};

/// The level of zstd that the checkout's file is compressed with.
const LEVEL: i32 = 19;

/// A function of which no part was run more often takes no part in the work to speak of: three quarters of all functions have 0.15 % of the counts.
const SELDOM: u64 = 10_000;

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

/// The functions that take no part in the work to speak of are to be small: lines for LLVM's option `-forceattrs-csv-path`. It knows them by their
/// names in the program, so of static functions with one name all have to be such.
pub(crate) fn seldom_used() -> Result<String> {
    let text = String::from_utf8(zstd::decode_all(recipe::PROFILE)?).context("the profile is no text")?;
    let functions = most_counts(&text).into_iter().filter(|(_, most)| *most <= SELDOM);
    Ok(functions.map(|(name, _)| format!("{name},minsize\n{name},optsize\n")).collect())
}

/// The highest count in each function of a profile's text.
fn most_counts(text: &str) -> BTreeMap<&str, u64> {
    let mut all = BTreeMap::new();
    for record in text.split("\n\n") {
        let mut lines = record.lines().filter(|line| !line.starts_with(['#', ':']));
        let Some(name) = lines.next() else { continue };
        // before a static function's name is its file
        let name = name.rsplit_once(':').map_or(name, |(_, name)| name);
        let most = all.entry(name).or_default();
        // behind the hash and the number of counts
        *most = lines.skip(2).filter_map(|line| line.parse().ok()).fold(*most, u64::max);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_count_of_functions_with_one_name() {
        let text = ":fe\na.c:f\n# Func Hash:\n99999\n# Num Counters:\n2\n# Counter Values:\n3\n7\n\n\
                    b.c:f\n# Func Hash:\n1\n# Num Counters:\n1\n# Counter Values:\n5\n\n\
                    g\n# Func Hash:\n1\n# Num Counters:\n1\n# Counter Values:\n0\n\n";
        assert_eq!(most_counts(text).into_iter().collect::<Vec<_>>(), [("f", 7), ("g", 0)]);
    }

    #[test]
    fn the_executor_is_often_used_and_recovery_is_not() {
        let seldom = seldom_used().unwrap();
        let has = |name: &str| seldom.lines().any(|line| line == format!("{name},minsize"));
        assert!(has("StartupXLOG") && !has("ExecInterpExpr") && !has("heap_getnextslot"));
    }
}
