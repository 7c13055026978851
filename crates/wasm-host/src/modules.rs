//! Where the modules are.

use std::path::{Path, PathBuf};

/// A folder that `cargo xtask build --target wasm32-wasip1` has made.
#[derive(Clone, Debug)]
pub struct Modules(PathBuf);

impl Modules {
    /// Names the folder; nothing is looked at yet.
    pub fn at(folder: impl Into<PathBuf>) -> Modules {
        Modules(folder.into())
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    pub(crate) fn command(&self) -> PathBuf {
        self.0.join("pglite-stdio.wasm")
    }

    pub(crate) fn initdb(&self) -> PathBuf {
        self.0.join("initdb.wasm")
    }

    /// What a module sees as `/pglite`.
    pub(crate) fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    pub(crate) fn template(&self) -> PathBuf {
        self.0.join("root/template")
    }
}
