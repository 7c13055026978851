//! Folders of a run, and copies of clusters in them.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

/// Folders that are removed when they are dropped, or when the program is interrupted.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes all folders of a run. For the handler of Ctrl-C, when all children are stopped.
pub(crate) fn remove_folders() {
    for folder in FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        // nobody could be told
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// A folder of this run.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn create(parent: &Path) -> Result<Self> {
        let path = parent.join(format!("pglite-xtask-{}", std::process::id()));
        FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let path = path.canonicalize()?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755))?;
        Ok(Self(path))
    }

    /// The path of something in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| *path != self.0);
    }
}

/// Whether anybody may pass through all folders of a path.
pub(crate) fn reachable(path: &Path) -> bool {
    path.ancestors().all(|folder| folder.metadata().is_ok_and(|metadata| metadata.mode() & 0o001 != 0))
}

/// Copies a folder, for another owner where there is one.
pub(crate) fn copy(from: &Path, to: &Path, owner: Option<(u32, u32)>) -> Result<()> {
    let context = || format!("cannot copy {} to {}", from.display(), to.display());
    std::fs::create_dir_all(to).with_context(context)?;
    for entry in std::fs::read_dir(from).with_context(context)? {
        let entry = entry.with_context(context)?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().with_context(context)?;
        if kind.is_dir() {
            copy(&from, &to, owner)?;
            continue;
        }
        if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&from)?, &to).with_context(context)?;
        } else {
            std::fs::copy(&from, &to).with_context(context)?;
        }
        own(&to, owner).with_context(context)?;
    }
    std::fs::set_permissions(to, from.metadata()?.permissions()).with_context(context)?;
    own(to, owner).with_context(context)
}

fn own(path: &Path, owner: Option<(u32, u32)>) -> std::io::Result<()> {
    match owner {
        Some((uid, gid)) => std::os::unix::fs::lchown(path, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_copied_with_their_modes() {
        let folder = Folder::create(&std::env::temp_dir()).unwrap();
        let (from, to) = (folder.join("from"), folder.join("to"));
        std::fs::create_dir_all(from.join("base/1")).unwrap();
        std::fs::write(from.join("base/1/2"), "content").unwrap();
        std::fs::set_permissions(from.join("base/1/2"), PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::set_permissions(&from, PermissionsExt::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink("base/1/2", from.join("link")).unwrap();
        copy(&from, &to, None).unwrap();
        assert_eq!(std::fs::read_to_string(to.join("link")).unwrap(), "content");
        assert_eq!(to.metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(to.join("base/1/2").metadata().unwrap().mode() & 0o777, 0o600);
        assert!(!reachable(&to));
        let path = folder.join("");
        drop(folder);
        assert!(!path.exists());
    }
}
