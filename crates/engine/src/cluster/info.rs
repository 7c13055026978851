//! What can be told about a data directory without opening it.

use super::{Engine, Lock, State, inspect};
use crate::error::{Error, Result};
use cluster_files::control;
use std::fs;
use std::path::Path;

/// A data directory, looked at from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Major version of PostgreSQL.
    pub version: String,
    /// The engine that it is for.
    pub engine: Engine,
    /// The number that identifies the cluster and its standbys.
    pub system_identifier: u64,
    /// What the control file says: `shut down`, `in production` (also after a crash), ...
    pub state: &'static str,
    /// Who has it open, if anybody has.
    pub holder: Option<String>,
    /// Size of all its files, in bytes.
    pub size: u64,
    /// Number of databases, with the templates.
    pub databases: usize,
}

/// PostgreSQL's `DBState`, by number.
const STATES: [&str; 7] = [
    "starting up",
    "shut down",
    "shut down in recovery",
    "shutting down",
    "in crash recovery",
    "in archive recovery",
    "in production",
];

/// Looks at a data directory, whether it is open or not; changes nothing in it.
///
/// # Errors
/// As for opening it: [`Error::InUse`] while somebody makes it, [`Error::NotACluster`], [`Error::OtherVersion`], [`Error::NotADirectory`].
pub fn info(path: &Path, our_version: &str) -> Result<Info> {
    let file = path.join(control::PATH);
    if inspect(path, our_version, None)? != State::Cluster {
        // A new one may be in use before it is whole.
        match Lock::look(path) {
            Err(Error::InUse { .. }) if file.exists() => {}
            Err(e @ Error::InUse { .. }) => return Err(e),
            _ => return Err(Error::NotACluster(path.into())),
        }
    }
    let bytes = fs::read(&file).map_err(|e| Error::at(&file, "read", e))?;
    let state = bytes.get(16..20).and_then(|word| word.try_into().ok()).map_or(0, u32::from_le_bytes);
    let holder = match Lock::look(path) {
        Err(Error::InUse { holder, .. }) => Some(holder),
        _ => None,
    };
    let base = path.join("base");
    let databases = fs::read_dir(&base)
        .map_err(|e| Error::at(&base, "read", e))?
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .count();
    Ok(Info {
        version: our_version.split('.').next().unwrap_or(our_version).to_owned(),
        // Only a damaged one does not tell.
        engine: control::engine_of(&bytes).unwrap_or_default(),
        system_identifier: control::identifier(&bytes).unwrap_or_default(),
        state: STATES.get(state as usize).copied().unwrap_or("unknown"),
        holder,
        size: size(path),
        databases,
    })
}

/// Size of a tree; what vanishes meanwhile counts nothing.
fn size(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}
