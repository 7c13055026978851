//! Where PostgreSQL's source comes from. Four places are tried in this order:
//!
//! 1. what `PGLITE_POSTGRES_SOURCE` names: a source tree or a tarball;
//! 2. the cache;
//! 3. PostgreSQL's download site, for the pinned release;
//! 4. Debian's source package, for whatever minor release `sid` has.
//!
//! A place that cannot be reached is passed over; a wrong checksum ends the search.

mod debian;
mod download;
mod libedit;
mod tarball;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

pub use debian::KEYRING as DEBIAN_KEYRING;
pub(crate) use debian::{Kind as DebianKind, configuration as debian_configuration};
pub(crate) use libedit::{VERSION as LIBEDIT_VERSION, unpacked as libedit};

use crate::hash::{self, Sum};
use crate::layout::{Cache, CachedSource};
use crate::progress::Progress;
use crate::version::{self, MAJOR, PINNED, PINNED_SHA256};

/// Names a source tree or tarball to build instead of the one that is downloaded.
pub const SOURCE_VARIABLE: &str = "PGLITE_POSTGRES_SOURCE";

/// A source of PostgreSQL on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its version, such as `18.6`.
    pub version: String,
    /// SHA-256 of the tarball, or of the names and contents of the tree's files.
    pub checksum: String,
    /// Where it is.
    pub place: Place,
}

/// Where a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An unpacked source tree.
    Tree(PathBuf),
    /// A compressed tarball.
    Tarball(PathBuf),
}

/// Finds or fetches a source.
pub fn obtain(cache: &Cache, progress: &Progress) -> Result<Source> {
    if let Some(path) = std::env::var_os(SOURCE_VARIABLE).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return named(&path).with_context(|| format!("{SOURCE_VARIABLE} names {}", path.display()));
    }
    if let Some(cached) = cached(cache)? {
        return Ok(cached);
    }
    let folder = cache.folder("sources");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;

    let step = progress.step(&format!("download PostgreSQL {PINNED}"), 0);
    let unreachable = match download::pinned(&folder, &download::base_url())? {
        download::Outcome::Fetched(tarball) => {
            step.finish("");
            return keep(&tarball, PINNED, PINNED_SHA256);
        }
        download::Outcome::Unreachable(reason) => {
            drop(step);
            progress.note(&format!("not downloaded: {reason}; trying Debian's source package"));
            reason
        }
    };

    let step = progress.step(&format!("fetch Debian's source package postgresql-{MAJOR}"), 0);
    let fetched = debian::fetch(&cache.folder("apt"), &folder).with_context(|| {
        format!(
            "PostgreSQL's source could not be obtained. The download: {unreachable}. Debian's source package failed as well. \
             Set {SOURCE_VARIABLE} to a tarball or source tree of PostgreSQL {MAJOR}, or put postgresql-{PINNED}.tar.bz2 into {}",
            folder.display()
        )
    })?;
    step.finish(&fetched.version);
    keep(&fetched.tarball, &fetched.version, &fetched.checksum)
}

/// What the cache has, checked.
fn cached(cache: &Cache) -> Result<Option<Source>> {
    let Some(CachedSource { path, version, checksum }) = cache.newest_source() else {
        return Ok(None);
    };
    verify(&path, &checksum).with_context(|| format!("delete {} to fetch it again", path.display()))?;
    Ok(Some(Source { version, checksum, place: Place::Tarball(path) }))
}

/// Checks a fetched tarball and notes its checksum beside it, which makes it part of the cache.
fn keep(tarball: &Path, version: &str, checksum: &str) -> Result<Source> {
    if version == PINNED {
        ensure!(
            checksum == PINNED_SHA256,
            "the source of PostgreSQL {version} should have SHA-256 {PINNED_SHA256}, but Debian's source package has {checksum}"
        );
    }
    verify(tarball, checksum)?;
    let note = CachedSource::checksum_file(tarball);
    let name = tarball.file_name().unwrap_or_default().to_string_lossy();
    std::fs::write(&note, format!("{checksum}  {name}\n"))
        .with_context(|| format!("cannot write {}", note.display()))?;
    Ok(Source { version: version.into(), checksum: checksum.into(), place: Place::Tarball(tarball.into()) })
}

fn verify(path: &Path, expected: &str) -> Result<()> {
    let found = hash::file(path)?;
    if found != expected {
        bail!(
            "{} has the wrong checksum: SHA-256 should be {expected}, but is {found}. It is damaged, or not what it says it is",
            path.display()
        );
    }
    Ok(())
}

/// A tarball or tree that the user names.
fn named(path: &Path) -> Result<Source> {
    let metadata = std::fs::metadata(path).context("it cannot be read")?;
    let path = path.canonicalize().context("it cannot be read")?;
    if metadata.is_dir() {
        let version = version_of(std::fs::read_to_string(path.join("configure")).ok().as_deref())?;
        ensure!(
            !path.join("config.status").exists(),
            "it has been built in; run `make distclean` there, or name a tarball or a clean copy"
        );
        let mut sum = Sum::default();
        sum.tree(&path, Path::new(""))?;
        return Ok(Source { version, checksum: sum.finish(), place: Place::Tree(path) });
    }
    let configure = tarball::read_top_level(&path, "configure")?;
    let version = version_of(configure.as_deref())?;
    Ok(Source { version, checksum: hash::file(&path)?, place: Place::Tarball(path) })
}

/// The version that a `configure` script of PostgreSQL is for, if that is one that we can build.
fn version_of(configure: Option<&str>) -> Result<String> {
    let Some(configure) = configure else {
        bail!("it is not a source of PostgreSQL: there is no `configure` in it");
    };
    let value = |name: &str| {
        let line = configure.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("='"));
        line.and_then(|rest| rest.strip_suffix('\''))
    };
    match (value("PACKAGE_NAME"), value("PACKAGE_VERSION")) {
        (Some("PostgreSQL"), Some(version)) if version::is_supported(version) => Ok(version.into()),
        (Some("PostgreSQL"), Some(version)) => {
            bail!("it is PostgreSQL {version}, but libpglite is made for PostgreSQL {MAJOR}")
        }
        _ => bail!("it is not a source of PostgreSQL: its `configure` is of something else"),
    }
}

impl Source {
    /// The source as a tree: itself, or unpacked to `folder`.
    pub fn tree(&self, folder: &Path) -> Result<PathBuf> {
        match &self.place {
            Place::Tree(path) => Ok(path.clone()),
            Place::Tarball(path) => tarball::unpack(path, folder),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(configure: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("configure"), configure).unwrap();
        dir
    }

    fn message(result: Result<Source>) -> String {
        format!("{:#}", result.unwrap_err())
    }

    #[test]
    fn a_tree_is_recognised_by_its_configure() {
        let dir = tree("PACKAGE_NAME='PostgreSQL'\nPACKAGE_VERSION='18.99'\n");
        let source = named(dir.path()).unwrap();
        assert_eq!(source.version, "18.99");
        std::fs::write(dir.path().join("README"), "changed").unwrap();
        assert_ne!(named(dir.path()).unwrap().checksum, source.checksum);
        std::fs::write(dir.path().join("config.status"), "").unwrap();
        assert!(message(named(dir.path())).contains("make distclean"));
    }

    #[test]
    fn other_trees_get_a_clear_error() {
        let old = tree("PACKAGE_NAME='PostgreSQL'\nPACKAGE_VERSION='17.6'\n");
        assert!(message(named(old.path())).contains("is PostgreSQL 17.6, but libpglite is made for PostgreSQL 18"));
        let other = tree("PACKAGE_NAME='hello'\nPACKAGE_VERSION='18.1'\n");
        assert!(message(named(other.path())).contains("not a source of PostgreSQL"));
        let empty = tempfile::tempdir().unwrap();
        assert!(message(named(empty.path())).contains("there is no `configure`"));
        assert!(message(named(&empty.path().join("missing"))).contains("cannot be read"));
    }

    #[test]
    fn a_damaged_file_in_the_cache_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().to_owned());
        assert_eq!(cached(&cache).unwrap(), None);
        std::fs::create_dir(cache.folder("sources")).unwrap();
        let tarball = cache.folder("sources").join(format!("postgresql-{PINNED}.tar.bz2"));
        std::fs::write(&tarball, "half of it").unwrap();
        let error = format!("{:#}", cached(&cache).unwrap_err());
        assert!(error.contains("wrong checksum") && error.contains("delete"), "{error}");
    }

    #[test]
    fn a_pinned_release_must_have_its_checksum_wherever_it_comes_from() {
        let dir = tempfile::tempdir().unwrap();
        let tarball = dir.path().join("postgresql.tar.bz2");
        std::fs::write(&tarball, "abc").unwrap();
        let sum = hash::file(&tarball).unwrap();
        assert!(keep(&tarball, PINNED, &sum).is_err());
        assert_eq!(keep(&tarball, "18.99", &sum).unwrap().version, "18.99");
        assert!(keep(&tarball, "18.99", PINNED_SHA256).is_err());
    }
}
