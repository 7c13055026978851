//! Where things are: the checkout, and the cache.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::version;

/// A checkout of libpglite.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The folder with the workspace's `Cargo.toml`.
    pub root: PathBuf,
}

impl Workspace {
    /// The checkout that this crate was compiled from.
    pub fn compiled_from() -> Self {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate is in crates/").to_owned();
        Self { root }
    }

    /// Path of the C files that are compiled beside PostgreSQL.
    pub fn glue(&self) -> PathBuf {
        self.root.join("glue")
    }

    /// The library OS's headers, for the glue.
    pub fn headers(&self) -> PathBuf {
        self.root.join("crates/libos/include")
    }

    /// Path of the list of what the library OS provides.
    pub fn names(&self) -> PathBuf {
        self.root.join("crates/libos/names.txt")
    }
}

/// The cache: everything in it can be made again.
///
/// ```text
/// sources/   tarballs of PostgreSQL, each with its checksum beside it
/// trees/     unpacked sources and their build trees
/// objects/   generated code, by checksum of the bitcode that it was generated from
/// prepared/  prepared builds
/// stock/     stock servers, and PostgreSQL's own tests beside them
/// cargo/     cargo's target folder for the programs that a build runs
/// apt/       the private state of apt
/// work/      what is being made
/// ```
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$XDG_CACHE_HOME/libpglite`, or `~/.cache/libpglite`.
    pub fn from_environment() -> Result<Self> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let Some(base) = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache"))) else {
            bail!("no folder for the cache: set HOME or XDG_CACHE_HOME to an absolute path");
        };
        Ok(Self::at(base.join("libpglite")))
    }

    /// A cache in the folder `root`.
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder of this cache.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A folder of the cache, such as `sources`.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The folder of the prepared build with this key.
    pub fn prepared(&self, key: &str) -> PathBuf {
        self.folder("prepared").join(key)
    }

    /// An empty folder for work in progress, for whoever holds the lock. What an interrupted run
    /// has left there is removed.
    pub fn work(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder("work").join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }

    /// Locks the cache until the file is dropped. `wait` is called first where another process
    /// holds it.
    pub fn lock(&self, wait: impl FnOnce()) -> Result<File> {
        // configure, make and the shell split CC at spaces
        let plain = self.root.to_str().is_some_and(|path| !path.contains(|c: char| c.is_whitespace() || c == '\''));
        ensure!(
            plain,
            "PostgreSQL cannot be built below {}: the path has spaces or quotes in it; set XDG_CACHE_HOME to another folder",
            self.root.display()
        );
        let path = self.root.join("lock");
        let context = || format!("cannot lock the cache with {}", path.display());
        std::fs::create_dir_all(&self.root).with_context(context)?;
        let file = File::create(&path).with_context(context)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                wait();
                file.lock().with_context(context)?;
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(error).with_context(context),
        }
        Ok(file)
    }

    /// The newest tarball in the cache, with the checksum that it had when it was put there. The
    /// file itself is not read.
    pub fn newest_source(&self) -> Option<CachedSource> {
        let listing = std::fs::read_dir(self.folder("sources")).ok()?;
        let sources = listing.flatten().filter_map(|file| CachedSource::at(&file.path()));
        sources.max_by_key(|source| version::minor(&source.version))
    }
}

/// A tarball in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedSource {
    /// Its path.
    pub path: PathBuf,
    /// The version that its name says.
    pub version: String,
    /// SHA-256 in hexadecimal.
    pub checksum: String,
}

impl CachedSource {
    /// Path of the file with the checksum of a tarball.
    pub fn checksum_file(tarball: &Path) -> PathBuf {
        let mut path = tarball.as_os_str().to_owned();
        path.push(".sha256");
        path.into()
    }

    /// Describes the tarball at `path`, where its name and the checksum beside it are in order. The
    /// pinned release needs no checksum.
    fn at(path: &Path) -> Option<Self> {
        let version = path.file_name()?.to_str()?.strip_prefix("postgresql-")?.strip_suffix(".tar.bz2")?;
        version::minor(version)?;
        let checksum = match std::fs::read_to_string(Self::checksum_file(path)) {
            Ok(line) => line.split_whitespace().next()?.to_owned(),
            Err(_) if version == version::PINNED => version::PINNED_SHA256.to_owned(),
            Err(_) => return None,
        };
        Some(Self { path: path.to_owned(), version: version.to_owned(), checksum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_source_with_a_checksum_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().to_owned());
        assert_eq!(cache.newest_source(), None);
        let sources = cache.folder("sources");
        std::fs::create_dir(&sources).unwrap();
        let add = |version: &str, sum: Option<&str>| {
            let path = sources.join(format!("postgresql-{version}.tar.bz2"));
            std::fs::write(&path, "").unwrap();
            if let Some(sum) = sum {
                std::fs::write(CachedSource::checksum_file(&path), format!("{sum}  file\n")).unwrap();
            }
        };
        add("18.11", None);
        assert_eq!(cache.newest_source(), None);
        add(version::PINNED, None);
        assert_eq!(cache.newest_source().unwrap().checksum, version::PINNED_SHA256);
        add("18.9", Some("99"));
        add("18.10", Some("1010"));
        add("17.12", Some("17"));
        add("18.x", Some("18"));
        let newest = cache.newest_source().unwrap();
        assert_eq!((newest.version.as_str(), newest.checksum.as_str()), ("18.10", "1010"));
    }
}
