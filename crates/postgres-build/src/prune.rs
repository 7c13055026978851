//! Keeps the cache from growing for ever.

use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::layout::Cache;

/// What is kept of each folder: the entries used last.
const KEPT: [(&str, usize); 5] = [("prepared", 4), ("objects", 8), ("trees", 2), ("wasm", 3), ("wasm-trees", 2)];

/// Removes what has not been used for the longest time.
pub fn prune(cache: &Cache) -> Result<()> {
    KEPT.iter().try_for_each(|(folder, kept)| prune_folder(&cache.folder(folder), *kept))
}

/// Notes that an entry of the cache is in use.
pub fn touch(path: &Path) {
    // a cache that cannot be written is still good to read
    if let Ok(file) = std::fs::File::open(path) {
        let _ = file.set_modified(SystemTime::now());
    }
}

fn prune_folder(folder: &Path, kept: usize) -> Result<()> {
    let Ok(listing) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    let mut entries: Vec<_> =
        listing.flatten().filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    entries.sort();
    let excess = entries.len().saturating_sub(kept);
    for (_, path) in entries.drain(..excess) {
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_entries_used_last_stay() {
        let dir = tempfile::tempdir().unwrap();
        for age in 0..5u64 {
            let path = dir.path().join(age.to_string());
            std::fs::create_dir(&path).unwrap();
            let time = SystemTime::now() - Duration::from_secs(1000 * (age + 1));
            std::fs::File::open(&path).unwrap().set_modified(time).unwrap();
        }
        touch(&dir.path().join("4"));
        prune_folder(dir.path(), 2).unwrap();
        let mut left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["0", "4"]);
    }
}
