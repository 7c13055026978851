//! Cargo's target folder for the programs that a build runs: the pass, and `mkcluster`.
//!
//! All checkouts share it, for their dependencies are the same. Cargo tells by the age of a file whether a crate is to be compiled
//! again, and by the file's place in its checkout which crate it is: what another checkout left there, it would take for this one's.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::layout::{Cache, Workspace};

/// The file that says whose crates are in the folder.
const CHECKOUT: &str = "checkout";

/// The folder, without the crates of another checkout.
pub(crate) fn folder(workspace: &Workspace, cache: &Cache) -> Result<PathBuf> {
    named(workspace, cache, "cargo", "release")
}

/// As [`folder`], with another name in the cache; `profile` is where cargo puts what it compiles, below it.
pub(crate) fn named(workspace: &Workspace, cache: &Cache, name: &str, profile: &str) -> Result<PathBuf> {
    let folder = cache.folder(name);
    let owner = folder.join(CHECKOUT);
    let root = workspace.root.as_os_str().as_encoded_bytes();
    if std::fs::read(&owner).is_ok_and(|known| known == root) {
        return Ok(folder);
    }
    let context = || format!("cannot prepare {}", folder.display());
    std::fs::create_dir_all(&folder).with_context(context)?;
    forget(&workspace.root.join("crates"), &folder.join(profile).join(".fingerprint")).with_context(context)?;
    std::fs::write(&owner, root).with_context(context)?;
    Ok(folder)
}

/// Removes the fingerprints of all crates that lie in `crates`, and of `xtask`.
fn forget(crates: &Path, fingerprints: &Path) -> std::io::Result<()> {
    let names = |folder: &Path| -> std::io::Result<Vec<String>> {
        match std::fs::read_dir(folder) {
            Ok(entries) => entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    };
    let mut crates = names(crates)?;
    crates.push("xtask".into());
    for name in names(fingerprints)? {
        // NAME-HASH
        if name.rsplit_once('-').is_some_and(|(name, _)| crates.iter().any(|ours| ours == name)) {
            std::fs::remove_dir_all(fingerprints.join(name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_another_checkout_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().join("cache"));
        let checkout = |name: &str| {
            std::fs::create_dir_all(dir.path().join(name).join("crates/engine")).unwrap();
            Workspace { root: dir.path().join(name) }
        };
        let (one, two) = (checkout("one"), checkout("two"));
        let built = |name: &str| folder(&one, &cache).unwrap().join("release/.fingerprint").join(name);
        std::fs::create_dir_all(built("engine-0123")).unwrap();
        std::fs::create_dir_all(built("engine-room-0123")).unwrap();
        folder(&one, &cache).unwrap();
        let there = |name: &str| cache.folder("cargo").join("release/.fingerprint").join(name).exists();
        assert!(there("engine-0123"));
        folder(&two, &cache).unwrap();
        assert!(!there("engine-0123") && there("engine-room-0123"));
    }
}
