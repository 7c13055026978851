//! The source of libedit, which psql's line editing is made of: its release, or Debian's copy of that, byte for byte.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{debian, download, tarball, verify};
use crate::layout::Cache;

/// The release.
pub(crate) const VERSION: &str = "20221030-3.1";
const SHA256: &str = "f0925a5adf4b1bf116ee19766b7daa766917aec198747943b1c4edf67a4be2bb";
const SITE: &str = "https://thrysoee.dk/editline";
/// The suite of Debian that has this release, and what it calls the tarball.
const DEBIAN: (&str, &str) = ("bookworm", "libedit_3.1-20221030.orig.tar.gz");

/// Unpacks it into `folder`, which is replaced, from the cache or from where it can be had. The path of its tree.
pub(crate) fn unpacked(cache: &Cache, folder: &Path) -> Result<PathBuf> {
    let sources = cache.folder("sources");
    std::fs::create_dir_all(&sources).with_context(|| format!("cannot create {}", sources.display()))?;
    let name = format!("libedit-{VERSION}.tar.gz");
    let kept = sources.join(&name);
    if kept.exists() {
        verify(&kept, SHA256).with_context(|| format!("delete {} to fetch it again", kept.display()))?;
    } else if let download::Outcome::Unreachable(reason) = download::fetch(&sources, &format!("{SITE}/{name}"), SHA256)?
    {
        from_debian(cache, &kept).with_context(|| {
            format!(
                "libedit's source could not be obtained. The download: {reason}. Debian's source package failed as well. Put {name} into {}",
                sources.display()
            )
        })?;
    }
    tarball::unpack(&kept, folder)
}

fn from_debian(cache: &Cache, kept: &Path) -> Result<()> {
    let (suite, name) = DEBIAN;
    let package = debian::package(&cache.folder("apt"), suite, "libedit")?;
    let tarball = package.join(name);
    verify(&tarball, SHA256)?;
    // What is in the cache is whole.
    let partial = kept.with_extension("partial");
    std::fs::copy(&tarball, &partial)
        .and_then(|_| std::fs::rename(&partial, kept))
        .with_context(|| format!("cannot write {}", kept.display()))
}
