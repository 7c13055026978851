//! Debian's source package, through the machine's own mirror but with a private configuration and
//! state: the machine's list of sources stays as it is.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::child;
use crate::version::{self, MAJOR};

/// The keys that Debian's archive is signed with.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The suite that has the newest minor release first.
const SUITE: &str = "sid";

/// What apt fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Binary packages.
    Packages,
    /// Source packages.
    Sources,
}

/// A tarball as PostgreSQL's project released it, out of Debian's source package.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) tarball: PathBuf,
    pub(super) version: String,
    pub(super) checksum: String,
}

/// Fetches the source package with apt, whose state is kept in `state`, and puts its tarball into
/// `folder`.
pub(super) fn fetch(state: &Path, folder: &Path) -> Result<Fetched> {
    let name = format!("postgresql-{MAJOR}");
    let package = package(state, SUITE, &name)?;
    let description = std::fs::read_dir(&package)?
        .flatten()
        .find(|file| file.path().extension().is_some_and(|extension| extension == "dsc"))
        .context("apt-get has downloaded no .dsc file")?;
    let text = std::fs::read_to_string(description.path()).context("cannot read the .dsc file")?;
    let (checksum, file) = original(&text, &name)?;
    let tarball = folder.join(format!("postgresql-{}.tar.bz2", file.version));
    // the folders may be on different file systems
    std::fs::copy(package.join(&file.name), &tarball)
        .with_context(|| format!("cannot copy {} to {}", file.name, tarball.display()))?;
    Ok(Fetched { tarball, version: file.version, checksum })
}

/// Downloads the files of a source package into a folder of `state`, which is returned.
pub(super) fn package(state: &Path, suite: &str, name: &str) -> Result<PathBuf> {
    ensure!(
        Path::new(KEYRING).exists(),
        "this is not a Debian with the package debian-archive-keyring: there is no {KEYRING}"
    );
    let config = configuration(state, Kind::Sources, suite)?;
    let apt = |folder: &Path, arguments: &[&str]| {
        let mut command = child::command("apt-get");
        command.env("APT_CONFIG", &config).current_dir(folder).args(arguments);
        child::run(command)
    };
    apt(state, &["update"])?;
    let package = state.join("package");
    if package.exists() {
        std::fs::remove_dir_all(&package).with_context(|| format!("cannot remove {}", package.display()))?;
    }
    std::fs::create_dir(&package).with_context(|| format!("cannot create {}", package.display()))?;
    apt(&package, &["source", "--download-only", name])?;
    Ok(package)
}

/// A private configuration of apt, with its state in the same folder; its path.
pub(crate) fn configuration(state: &Path, kind: Kind, suite: &str) -> Result<PathBuf> {
    let targets = child::output(child::command("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    let Some(mirror) = mirror(&targets) else {
        bail!("apt knows no mirror of Debian: run `apt-get update` first");
    };
    configure(state, mirror, kind, suite)
}

/// The mirror that the machine's packages come from.
fn mirror(targets: &str) -> Option<&str> {
    let mut uris = targets.lines().map(str::trim).filter(|uri| !uri.contains("security"));
    uris.clone().find(|uri| uri.trim_end_matches('/').ends_with("/debian")).or_else(|| uris.next())
}

/// Writes apt's private configuration and returns its path.
fn configure(state: &Path, mirror: &str, kind: Kind, suite: &str) -> Result<PathBuf> {
    let context = || format!("cannot write to {}", state.display());
    for folder in ["state/lists/partial", "cache/archives/partial"] {
        std::fs::create_dir_all(state.join(folder)).with_context(context)?;
    }
    let kind = match kind {
        Kind::Packages => "deb",
        Kind::Sources => "deb-src",
    };
    let sources = format!("{kind} [signed-by={KEYRING}] {mirror} {suite} main\n");
    std::fs::write(state.join("sources.list"), sources).with_context(context)?;
    std::fs::write(state.join("status"), "").with_context(context)?;
    let path = state.join("apt.conf");
    let root = state.display();
    let text = format!(
        r#"Dir::State "{root}/state";
Dir::State::status "{root}/status";
Dir::Cache "{root}/cache";
Dir::Etc::sourcelist "{root}/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferencesparts "-";
Acquire::Languages "none";
Acquire::Retries "0";
Acquire::http::Timeout "20";
APT::Sandbox::User "root";
"#
    );
    std::fs::write(&path, text).with_context(context)?;
    Ok(path)
}

#[derive(Debug, PartialEq, Eq)]
struct Original {
    name: String,
    version: String,
}

/// The released tarball that a `.dsc` file lists, and its SHA-256.
fn original(description: &str, package: &str) -> Result<(String, Original)> {
    let mut lines = description.lines().skip_while(|line| !line.starts_with("Checksums-Sha256:")).skip(1);
    let mut listed = std::iter::from_fn(|| lines.next().filter(|line| line.starts_with(' ')));
    let found = listed.find_map(|line| {
        let mut words = line.split_whitespace();
        let (sum, _size, name) = (words.next()?, words.next()?, words.next()?);
        let version = name.strip_prefix(package)?.strip_prefix('_')?.strip_suffix(".orig.tar.bz2")?;
        version::minor(version)?;
        Some((sum.to_owned(), Original { name: name.to_owned(), version: version.to_owned() }))
    });
    found.with_context(|| format!("the source package {package} lists no released tarball of PostgreSQL {MAJOR}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DSC: &str = "\
Source: postgresql-18
Checksums-Sha1:
 a0b6 22632314 postgresql-18_18.7.orig.tar.bz2
Checksums-Sha256:
 5efd 34488 postgresql-18_18.7-1.debian.tar.xz
 5556 22632314 postgresql-18_18.7.orig.tar.bz2
Files:
 6143 22632314 postgresql-18_18.7.orig.tar.bz2
";

    #[test]
    fn a_newer_minor_release_is_taken_as_it_is() {
        let (sum, file) = original(DSC, "postgresql-18").unwrap();
        assert_eq!(sum, "5556");
        assert_eq!(file, Original { name: "postgresql-18_18.7.orig.tar.bz2".into(), version: "18.7".into() });
    }

    #[test]
    fn without_the_tarball_or_its_checksum_it_is_an_error() {
        assert!(original(&DSC.replace("Sha256", "Sha512"), "postgresql-18").is_err());
        assert!(original(&DSC.replace("18.7.orig", "19.1.orig"), "postgresql-18").is_err());
        assert!(original("", "postgresql-18").is_err());
    }

    #[test]
    fn the_main_archive_is_the_mirror() {
        let targets = "http://mirror/debian-security/\nhttp://mirror/other/\nhttp://mirror/debian/\n";
        assert_eq!(mirror(targets), Some("http://mirror/debian/"));
        assert_eq!(mirror("http://mirror/debian-security/\n"), None);
        assert_eq!(mirror("http://mirror/archive\n"), Some("http://mirror/archive"));
    }
}
