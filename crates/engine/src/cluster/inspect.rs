//! Looks at a directory before anything touches it.

use super::marker::{self, Progress};
use crate::error::{Error, Result};
use cluster_files::{Engine, control};
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

/// Tells what is at `path`; an error where it can be neither made nor opened. What a cluster for another engine is, even an unfinished one, is that engine's to
/// tell; without `engine` any will do.
pub(crate) fn inspect(path: &Path, our_version: &str, engine: Option<Engine>) -> Result<State> {
    let mut entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(State::Missing),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Err(Error::NotADirectory(path.into())),
        Err(e) => return Err(Error::at(path, "read the directory", e)),
    };
    // In this order: what somebody begins to make here meanwhile begins with the marker.
    let empty = entries.next().is_none();
    if let Some(engine) = engine {
        check_engine(path, engine)?;
    }
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

/// An error where the cluster in `path` is for another engine. A damaged one is PostgreSQL's to tell.
fn check_engine(path: &Path, engine: Engine) -> Result<()> {
    let control = fs::read(path.join(control::PATH)).unwrap_or_default();
    match control::engine_of(&control) {
        Some(found) if found != engine => Err(Error::OtherEngine { path: path.into(), found }),
        _ => Ok(()),
    }
}

/// Looks at a directory for an engine; whether there is a cluster. Nothing is changed.
///
/// # Errors
/// Where it can be neither made nor opened: [`Error::NotADirectory`], [`Error::NotACluster`], [`Error::OtherVersion`], [`Error::OtherEngine`].
pub fn look(path: &Path, our_version: &str, engine: Engine) -> Result<bool> {
    Ok(inspect(path, our_version, Some(engine))? == State::Cluster)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cluster, as far as one is looked at.
    fn cluster(engine: Engine) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut control = vec![0; 8192];
        control[8..12].copy_from_slice(&1800u32.to_le_bytes());
        control[248] = u8::from(engine == Engine::Native);
        fs::create_dir(folder.path().join("global")).unwrap();
        fs::write(folder.path().join(control::PATH), &control).unwrap();
        fs::write(folder.path().join("PG_VERSION"), "18\n").unwrap();
        folder
    }

    #[test]
    fn the_other_engines_directory_is_an_error_with_the_command_that_moves_it() {
        let folder = cluster(Engine::Wasm);
        assert!(look(folder.path(), "18.6", Engine::Wasm).unwrap());
        let error = look(folder.path(), "18.6", Engine::Native).unwrap_err().to_string();
        assert!(error.contains("pg_dumpall --engine wasm "), "{error}");
        assert!(error.contains("| pglite psql NEW-DIRECTORY"), "{error}");
        let folder = cluster(Engine::Native);
        assert!(look(folder.path(), "18.6", Engine::Native).unwrap());
        let error = look(folder.path(), "18.6", Engine::Wasm).unwrap_err().to_string();
        assert!(error.contains("| pglite psql --engine wasm NEW-DIRECTORY"), "{error}");
    }

    #[test]
    fn what_another_engine_left_unfinished_is_not_ours_to_make_again() {
        for engine in [Engine::Native, Engine::Wasm] {
            let folder = cluster(engine);
            for text in ["", "another-boot\n", "another-boot 0\n"] {
                fs::write(cluster_files::marker::at(folder.path()), text).unwrap();
                let other = inspect(folder.path(), "18.6", Some(engine.other()));
                assert!(matches!(&other, Err(Error::OtherEngine { found, .. }) if *found == engine), "{other:?}");
                assert_eq!(inspect(folder.path(), "18.6", Some(engine)).unwrap(), State::Empty);
                assert_eq!(inspect(folder.path(), "18.6", None).unwrap(), State::Empty);
            }
        }
    }

    #[test]
    fn a_control_file_that_tells_no_engine_is_postgresqls_to_refuse() {
        let folder = cluster(Engine::Native);
        for content in [&[1u8; 8192][..], b""] {
            fs::write(folder.path().join(control::PATH), content).unwrap();
            for engine in [Engine::Native, Engine::Wasm] {
                assert!(look(folder.path(), "18.6", engine).unwrap());
            }
        }
    }
}
