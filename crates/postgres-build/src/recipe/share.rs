//! The bundle of share files.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use bundle::{WriteOptions, Writer};

use super::options::PREFIX;
use crate::child;
use crate::compile::Tree;

/// Files without which no server starts; a change of PostgreSQL's makefiles that loses one is
/// noticed here.
const ESSENTIAL: [&str; 8] = [
    "postgres.bki",
    "postgresql.conf.sample",
    "pg_hba.conf.sample",
    "information_schema.sql",
    "snowball_create.sql",
    "timezonesets/Default",
    "timezone/UTC",
    "extension/plpgsql.control",
];

/// Installs into `stage` by PostgreSQL's own makefiles, then packs everything of the share folder,
/// and an empty executable file for each program and module: they are looked for before they are
/// run or loaded, which the library OS does without reading them.
///
/// Paths are below [`PREFIX`]: `share/postgresql/postgres.bki`, `bin/postgres`,
/// `lib/postgresql/plpgsql.so`.
pub fn pack(
    tree: &Tree,
    stage: &Path,
    manifest: bundle::Manifest,
    programs: &[String],
    modules: &[String],
) -> Result<Vec<u8>> {
    if stage.exists() {
        std::fs::remove_dir_all(stage).with_context(|| format!("cannot remove {}", stage.display()))?;
    }
    let mut command = child::command("make");
    command.env("RECORD_LINKS", "1").arg("-C").arg(&tree.build).args(["-s", "install-world-bin"]);
    command.arg(format!("DESTDIR={}", stage.display()));
    child::run(command).context("cannot install PostgreSQL's share files")?;

    let root = stage.join(PREFIX.trim_start_matches('/'));
    // "postgresql" is left out by the makefiles where the prefix already has it
    let (share, library) = ("share/postgresql", "lib/postgresql");
    for file in ESSENTIAL {
        let path = root.join(share).join(file);
        ensure!(path.is_file(), "PostgreSQL's makefiles have not installed {}", path.display());
    }
    let mut writer = Writer::new(manifest);
    writer.add_tree(share, &root.join(share), &|path| {
        path.split_once('/').map_or(String::new(), |(folder, _)| folder.into())
    })?;
    let placeholders = programs.iter().map(|name| format!("bin/{name}"));
    for path in placeholders.chain(modules.iter().map(|name| format!("{library}/{name}.so"))) {
        writer.add_file(&path, 0o755, "", Vec::new())?;
    }
    Ok(writer.finish(&WriteOptions::default())?)
}
