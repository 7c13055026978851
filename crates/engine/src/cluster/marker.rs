//! The marker of a cluster that is being made (`crates/cluster-files`), with errors that name it.

use crate::error::{Error, Result};
use cluster_files::marker;
use std::path::Path;

pub(crate) use marker::{Progress, is_marker, progress};

/// Says that files are missing.
pub(crate) fn begin(path: &Path) -> Result<()> {
    marker::begin(path).map_err(|e| Error::at(&marker::at(path), "write", e))
}

/// Says that all files are there.
pub(crate) fn complete(path: &Path) -> Result<()> {
    marker::complete(path).map_err(|e| Error::at(&marker::at(path), "write", e))
}

/// All is on the disk, or need not be.
pub(crate) fn remove(path: &Path) -> Result<()> {
    marker::remove(path).map_err(|e| Error::at(&marker::at(path), "remove", e))
}
