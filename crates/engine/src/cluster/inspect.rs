//! Looks at a directory before anything touches it.

use super::marker::{self, Progress};
use crate::error::{Error, Result};
use std::fs;
use std::io;
use std::path::Path;

/// What runs a database. The files of a cluster depend on it: numbers of eight bytes are passed by value in one, and by reference in the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// PostgreSQL as code of this machine: the whole server. Ordinary servers can open what it makes.
    #[default]
    Native,
    /// PostgreSQL as a WebAssembly module, in a sandbox: one session.
    Wasm,
}

impl Engine {
    pub(crate) fn other(self) -> Engine {
        match self {
            Engine::Native => Engine::Wasm,
            Engine::Wasm => Engine::Native,
        }
    }
}

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

/// `PG_CONTROL_VERSION` of PostgreSQL 18, where it is, and where `float8ByVal` is in such a control file.
const CONTROL_VERSION: (usize, [u8; 4]) = (8, 1800u32.to_le_bytes());
const BY_VALUE: usize = 248;

/// Which engine a cluster is for, by its control file; the native one where that does not tell.
pub(crate) fn engine_of(control: &[u8]) -> Engine {
    let (at, version) = CONTROL_VERSION;
    let known = control.get(at..at + 4) == Some(&version[..]);
    if known && control.get(BY_VALUE) == Some(&0) { Engine::Wasm } else { Engine::Native }
}

/// An error where the cluster in `path` is for another engine. A damaged one is PostgreSQL's to tell.
pub(crate) fn check_engine(path: &Path, engine: Engine) -> Result<()> {
    let control = fs::read(path.join("global/pg_control")).unwrap_or_default();
    match engine_of(&control) {
        found if found != engine && control.len() > BY_VALUE => Err(Error::OtherEngine { path: path.into(), found }),
        _ => Ok(()),
    }
}

/// Looks at a directory for an engine; whether there is a cluster. Nothing is changed.
///
/// # Errors
/// Where it can be neither made nor opened: [`Error::NotADirectory`], [`Error::NotACluster`], [`Error::OtherVersion`], [`Error::OtherEngine`].
pub fn look(path: &Path, our_version: &str, engine: Engine) -> Result<bool> {
    let is_cluster = inspect(path, our_version)? == State::Cluster;
    if is_cluster {
        check_engine(path, engine)?;
    }
    Ok(is_cluster)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_file_tells_the_engine() {
        let mut control = vec![1; 8192];
        assert_eq!(engine_of(&control), Engine::Native, "nobody knows this version");
        control[8..12].copy_from_slice(&1800u32.to_le_bytes());
        assert_eq!(engine_of(&control), Engine::Native);
        control[248] = 0;
        assert_eq!(engine_of(&control), Engine::Wasm);
        assert_eq!(engine_of(&[]), Engine::Native);
    }

    #[test]
    fn the_other_engines_directory_is_an_error_with_the_command_that_moves_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut control = vec![0; 8192];
        control[8..12].copy_from_slice(&1800u32.to_le_bytes());
        fs::create_dir(folder.path().join("global")).unwrap();
        fs::write(folder.path().join("global/pg_control"), &control).unwrap();
        check_engine(folder.path(), Engine::Wasm).unwrap();
        let error = check_engine(folder.path(), Engine::Native).unwrap_err().to_string();
        assert!(error.contains("pg_dumpall --engine wasm "), "{error}");
        assert!(error.contains("| pglite psql NEW-DIRECTORY"), "{error}");
        control[248] = 1;
        fs::write(folder.path().join("global/pg_control"), &control).unwrap();
        check_engine(folder.path(), Engine::Native).unwrap();
        let error = check_engine(folder.path(), Engine::Wasm).unwrap_err().to_string();
        assert!(error.contains("| pglite psql --engine wasm NEW-DIRECTORY"), "{error}");
    }
}
