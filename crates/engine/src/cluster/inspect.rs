//! Looks at a directory before anything touches it.

use super::marker::{self, Progress};
use crate::error::{Error, Result};
use std::fs;
use std::io;
use std::path::Path;

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing.
    Missing,
    /// A directory in which a cluster can be made.
    Empty,
    /// A cluster of our version.
    Cluster,
}

/// Tells what is at `path`; an error where it can be neither made nor opened.
pub(crate) fn inspect(path: &Path, our_version: &str) -> Result<State> {
    let mut entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(State::Missing),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Err(Error::NotADirectory(path.into())),
        Err(e) => return Err(Error::at(path, "read the directory", e)),
    };
    // In this order: what somebody begins to make here meanwhile begins with the marker.
    let empty = entries.next().is_none();
    if empty || marker::progress(path) == Progress::Unfinished {
        return Ok(State::Empty);
    }
    let found = match fs::read_to_string(path.join("PG_VERSION")) {
        Ok(text) => text.trim().to_owned(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(Error::NotACluster(path.into())),
        Err(e) => return Err(Error::at(&path.join("PG_VERSION"), "read", e)),
    };
    let ours = our_version.split('.').next().unwrap_or(our_version);
    if found != ours {
        return Err(Error::OtherVersion { path: path.into(), found, ours: ours.into() });
    }
    Ok(State::Cluster)
}
