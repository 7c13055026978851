//! Which mount a path belongs to.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::directory::Directory;
use crate::path;
use crate::types::Access;

/// A mount or grant.
pub(crate) struct Mount {
    /// Where it is: in normal form, without trailing slash; the root is empty.
    pub(crate) path: Vec<u8>,
    pub(crate) root: Arc<dyn Directory>,
    /// Set if not the directory `root` is mounted, but this one entry of it.
    pub(crate) entry: Option<Vec<u8>>,
    /// Listings of the directory that it is in show it.
    pub(crate) listed: bool,
    pub(crate) access: Access,
    /// The directory `root`'s place on the host.
    pub(crate) host: Option<PathBuf>,
    /// Stands for the directories above mounts that no mount has.
    pub(crate) synthetic: bool,
    /// Other mounts lie below this one. Never taken back: it only chooses the slower way.
    nested: AtomicBool,
}

impl Mount {
    pub(crate) fn new(path: &[u8], root: Arc<dyn Directory>, access: Access) -> Self {
        Self {
            path: path.to_vec(),
            root,
            entry: None,
            listed: true,
            access,
            host: None,
            synthetic: false,
            nested: AtomicBool::new(false),
        }
    }

    /// Whether an entry can be renamed from one to the other.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || Arc::ptr_eq(&self.root, &other.root)
    }

    pub(crate) fn is_nested(&self) -> bool {
        self.nested.load(Ordering::Acquire)
    }
}

/// All mounts, the longest path first.
#[derive(Clone, Default)]
pub(crate) struct Table {
    mounts: Vec<Arc<Mount>>,
}

impl Table {
    /// Adds a mount, in place of one at the same path.
    pub(crate) fn insert(&mut self, new: Arc<Mount>) {
        self.remove(&new.path);
        for mount in &self.mounts {
            if path::is_within(&new.path, &mount.path) {
                mount.nested.store(true, Ordering::Release);
            }
            if path::is_within(&mount.path, &new.path) {
                new.nested.store(true, Ordering::Release);
            }
        }
        let at = self.mounts.partition_point(|mount| mount.path.len() > new.path.len());
        self.mounts.insert(at, new);
    }

    /// Removes the mount at `path`; false if there is none.
    pub(crate) fn remove(&mut self, path: &[u8]) -> bool {
        let before = self.mounts.len();
        self.mounts.retain(|mount| mount.path != path);
        self.mounts.len() < before
    }

    /// The mount at exactly this path.
    pub(crate) fn at(&self, path: &[u8]) -> Option<&Arc<Mount>> {
        self.mounts.iter().find(|mount| mount.path == path)
    }

    /// The mount that an absolute path falls into, by its text.
    pub(crate) fn find(&self, path: &[u8]) -> Option<&Arc<Mount>> {
        self.mounts.iter().find(|mount| path::is_within(path, &mount.path))
    }

    /// A mount lies below the path, or the path is the root.
    pub(crate) fn is_ancestor(&self, path: &[u8]) -> bool {
        path.is_empty() || self.below(path).next().is_some()
    }

    /// The mounts below the path, with what follows the slash.
    pub(crate) fn below<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a Arc<Mount>)> {
        self.mounts.iter().filter_map(move |mount| {
            let rest = mount.path.strip_prefix(path)?.strip_prefix(b"/")?;
            Some((rest, mount))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::FileSystem;
    use crate::memory::MemoryFs;

    #[test]
    fn longest_prefix_by_component() {
        let mut table = Table::default();
        let root = MemoryFs::new(None).root();
        for path in ["/a", "/a/b/c", "/a/bc"] {
            table.insert(Arc::new(Mount::new(path.as_bytes(), root.clone(), Access::ReadOnly)));
        }
        let find = |path: &str| table.find(path.as_bytes()).map(|mount| mount.path.clone());
        assert_eq!(find("/a/b/x"), Some(b"/a".to_vec()));
        assert_eq!(find("/a/b/c"), Some(b"/a/b/c".to_vec()));
        assert_eq!(find("/a/bc/x"), Some(b"/a/bc".to_vec()));
        assert_eq!(find("/ab"), None);
        assert!(table.is_ancestor(b"/a/b") && !table.is_ancestor(b"/a/bc"));
        assert!(table.at(b"/a").is_some_and(|mount| mount.is_nested()));
        assert!(table.at(b"/a/bc").is_some_and(|mount| !mount.is_nested()));
    }
}
