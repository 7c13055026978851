//! What every database of the process shares: PostgreSQL's programs and its read-only files.

use crate::error::{Error, Result};
use bundle::{Bundle, EntryKind};
use libos::Program;
use std::sync::Arc;

/// PostgreSQL's prefix in the file tree that its processes see.
pub(crate) const PREFIX: &str = "/pglite";

/// PostgreSQL's programs, its share files and the template cluster.
pub struct Resources {
    pub(crate) share: Arc<vfs::MemoryFs>,
    pub(crate) template: Option<Arc<Bundle>>,
    pub(crate) version: String,
}

impl Resources {
    /// Opens the bundles.
    ///
    /// # Errors
    /// [`Error::Bundle`] when one is cut short or damaged.
    pub fn new(share: &'static [u8], template: Option<&'static [u8]>) -> Result<Resources> {
        let share = Arc::new(Bundle::open(share)?);
        let tree = vfs::MemoryFs::new(None);
        for entry in share.entries() {
            let path = entry.path.as_bytes();
            let made = match entry.kind {
                EntryKind::Directory => tree.insert_directory(path, entry.mode),
                EntryKind::File(file) => {
                    let share = share.clone();
                    let load = move || {
                        let content = share.read(file).map_err(std::io::Error::other)?;
                        Ok(vfs::Bytes::copy_from_slice(&content))
                    };
                    let content = vfs::Content::Lazy { length: file.size(), load: Box::new(load) };
                    tree.insert_file(path, entry.mode, content)
                }
            };
            made.map_err(|e| Error::io("lay out PostgreSQL's files", e))?;
        }
        let version = share.manifest().postgres_version.clone();
        let template = template.map(Bundle::open).transpose()?.map(Arc::new);
        Ok(Resources { share: tree, template, version })
    }

    /// PostgreSQL's version, such as `18.6`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The linked program of this name.
    pub(crate) fn program(name: &str) -> Option<Program> {
        let descriptor = postgres_sys::program(name)?;
        Some(crate::program::from(descriptor))
    }
}
