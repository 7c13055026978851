//! A *prepared build*: a folder with everything that a program needs to be linked with PostgreSQL.
//! Making one takes LLVM and minutes, using one takes neither.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::version;

/// File name of the [`Manifest`].
pub const MANIFEST: &str = "manifest.json";
/// File name of the [`Template`].
pub const TEMPLATE: &str = "template.json";
/// Folder with what only a debugger wants.
pub const DEBUG: &str = "debug";
/// Name of the static library of the server, as `-l` wants it.
pub const LIBRARY: &str = "pglite_postgres";
/// Name of the static library of the client programs.
pub const CLIENTS_LIBRARY: &str = "pglite_clients";

const FORMAT: u32 = 2;

/// What a prepared build says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this structure.
    pub format: u32,
    /// Key in the cache.
    pub key: String,
    /// PostgreSQL's version, such as `18.6`.
    pub postgres_version: String,
    /// SHA-256 of its source.
    pub source_checksum: String,
    /// Target triple that the code is for.
    pub target: String,
    /// First line of what the compiler says of itself.
    pub compiler: String,
    /// The programs in the server's library, each with a constant `privatized_program_NAME`.
    pub programs: Vec<String>,
    /// The programs in the clients' library, likewise.
    pub clients: Vec<String>,
    /// The loadable modules that are built in.
    pub modules: Vec<String>,
    /// Libraries of the system that the code needs, as `-l` wants them.
    pub system_libraries: Vec<String>,
    /// SHA-256 of the libraries and the share bundle.
    pub checksums: BTreeMap<String, String>,
}

/// How the template cluster was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Its key.
    pub key: String,
}

/// A prepared build in a folder.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The folder.
    pub folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl Prepared {
    /// Opens the prepared build in `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        let text = std::fs::read(&path)
            .with_context(|| format!("{} is not a prepared build: cannot read {MANIFEST}", folder.display()))?;
        let manifest: Manifest =
            serde_json::from_slice(&text).with_context(|| format!("{} cannot be understood", path.display()))?;
        ensure!(
            manifest.format == FORMAT,
            "the prepared build in {} has format {}, this version of libpglite reads {FORMAT}: make a new one with `cargo xtask prepared`",
            folder.display(),
            manifest.format
        );
        let prepared = Self { folder: folder.to_owned(), manifest };
        for file in prepared.files() {
            ensure!(
                file.is_file(),
                "the prepared build in {} is incomplete: there is no {}",
                folder.display(),
                file.display()
            );
        }
        Ok(prepared)
    }

    /// Writes the manifest, which makes `folder` a prepared build, and opens it.
    pub fn create(folder: &Path, manifest: &Manifest) -> Result<Self> {
        write_json(&folder.join(MANIFEST), manifest)?;
        Self::open(folder)
    }

    /// A manifest with nothing in it but the format.
    pub fn empty_manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            key: String::new(),
            postgres_version: String::new(),
            source_checksum: String::new(),
            target: String::new(),
            compiler: String::new(),
            programs: Vec::new(),
            clients: Vec::new(),
            modules: Vec::new(),
            system_libraries: Vec::new(),
            checksums: BTreeMap::new(),
        }
    }

    /// Fails where the code is for another target, or of another major version.
    pub fn check_target(&self, target: &str) -> Result<()> {
        let Manifest { target: found, postgres_version, .. } = &self.manifest;
        let folder = self.folder.display();
        ensure!(found == target, "the prepared build in {folder} is for {found}, but {target} is compiled for");
        ensure!(
            version::is_supported(postgres_version),
            "the prepared build in {folder} is of PostgreSQL {postgres_version}, not {}",
            version::MAJOR
        );
        Ok(())
    }

    /// The static library of the server.
    pub fn library(&self) -> PathBuf {
        self.folder.join(format!("lib{LIBRARY}.a"))
    }

    /// The static library of the client programs.
    pub fn clients_library(&self) -> PathBuf {
        self.folder.join(format!("lib{CLIENTS_LIBRARY}.a"))
    }

    /// The files of which checksums are kept.
    pub fn files(&self) -> [PathBuf; 3] {
        [self.library(), self.clients_library(), self.share_bundle()]
    }

    /// The folder with the same static libraries with debug information in them, and the units'
    /// separate debug files.
    pub fn debug_folder(&self) -> PathBuf {
        self.folder.join(DEBUG)
    }

    /// The bundle of share files.
    pub fn share_bundle(&self) -> PathBuf {
        self.folder.join("share.bundle")
    }

    /// The bundle of the template cluster, where that has been made.
    pub fn template_bundle(&self) -> Option<PathBuf> {
        self.template().ok().map(|_| self.template_bundle_path())
    }

    /// Where the bundle of the template cluster is, or would be.
    pub fn template_bundle_path(&self) -> PathBuf {
        self.folder.join("template.bundle")
    }

    /// How the template cluster was made; an error where there is none.
    pub fn template(&self) -> Result<Template> {
        let text = std::fs::read(self.folder.join(TEMPLATE))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Notes that the template's bundle is complete.
    pub fn set_template(&self, template: &Template) -> Result<()> {
        write_json(&self.folder.join(TEMPLATE), template)
    }

    /// Writes the prepared build, without debug information, as a `.tar.zst` archive for machines
    /// without LLVM.
    pub fn archive(&self, output: &Path, level: i32) -> Result<()> {
        let context = || format!("cannot write {}", output.display());
        let file = File::create(output).with_context(context)?;
        let mut encoder = zstd::Encoder::new(BufWriter::new(file), level).with_context(context)?;
        encoder.include_checksum(true).with_context(context)?;
        encoder.long_distance_matching(true).with_context(context)?;
        let mut archive = tar::Builder::new(encoder);
        archive.mode(tar::HeaderMode::Deterministic);
        let mut names = vec![PathBuf::from(MANIFEST)];
        names.extend(self.files().iter().map(|path| file_name(path)));
        if let Some(template) = self.template_bundle() {
            names.extend([TEMPLATE.into(), file_name(&template)]);
        }
        for name in names {
            archive.append_path_with_name(self.folder.join(&name), &name).with_context(context)?;
        }
        let encoder = archive.into_inner().with_context(context)?;
        encoder.finish().and_then(|file| file.into_inner()?.sync_all()).with_context(context)
    }

    /// Unpacks an archive made by [`Prepared::archive`] into `folder` and opens it.
    pub fn unpack(archive: &Path, folder: &Path) -> Result<Self> {
        let context =
            || format!("cannot unpack {}: is it an archive made by `cargo xtask prepared`?", archive.display());
        let file = File::open(archive).with_context(|| format!("cannot open {}", archive.display()))?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        tar::Archive::new(zstd::Decoder::new(file).with_context(context)?).unpack(folder).with_context(context)?;
        Self::open(folder)
    }

    /// Opens a folder, or unpacks an archive into `unpack_to`.
    pub fn open_or_unpack(path: &Path, unpack_to: &Path) -> Result<Self> {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Self::open(path),
            Ok(_) => Self::unpack(path, unpack_to),
            Err(error) => bail!("there is no prepared build at {}: {error}", path.display()),
        }
    }
}

fn file_name(path: &Path) -> PathBuf {
    path.file_name().map(PathBuf::from).unwrap_or_default()
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    // renamed into place: whoever finds the file finds all of it
    let partial = path.with_extension("partial");
    let mut text = serde_json::to_vec_pretty(value).with_context(context)?;
    text.push(b'\n');
    std::fs::write(&partial, text).with_context(context)?;
    std::fs::rename(&partial, path).with_context(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(folder: &Path) -> Prepared {
        std::fs::create_dir_all(folder.join(DEBUG)).unwrap();
        std::fs::write(folder.join("libpglite_postgres.a"), "!<arch>\n").unwrap();
        std::fs::write(folder.join("libpglite_clients.a"), "!<arch>\n").unwrap();
        std::fs::write(folder.join("share.bundle"), "pgbundle").unwrap();
        std::fs::write(folder.join(DEBUG).join("postgres.debug"), "large").unwrap();
        let manifest = Manifest {
            postgres_version: "18.6".into(),
            target: "x86_64-unknown-linux-gnu".into(),
            ..Prepared::empty_manifest()
        };
        Prepared::create(folder, &manifest).unwrap()
    }

    #[test]
    fn an_archive_has_all_but_debug_information() {
        let dir = tempfile::tempdir().unwrap();
        let prepared = sample(&dir.path().join("made"));
        let archive = dir.path().join("prepared.tar.zst");
        prepared.archive(&archive, 3).unwrap();
        let unpacked = Prepared::open_or_unpack(&archive, &dir.path().join("first")).unwrap();
        assert_eq!(unpacked.manifest, prepared.manifest);
        assert_eq!(unpacked.template_bundle(), None);
        assert!(!unpacked.debug_folder().exists());

        std::fs::write(prepared.template_bundle_path(), "template").unwrap();
        prepared.set_template(&Template { key: "k".into() }).unwrap();
        prepared.archive(&archive, 3).unwrap();
        let unpacked = Prepared::open_or_unpack(&archive, &dir.path().join("second")).unwrap();
        assert_eq!(std::fs::read(unpacked.template_bundle().unwrap()).unwrap(), b"template");
        let folder = Prepared::open_or_unpack(&unpacked.folder, Path::new("unused")).unwrap();
        assert_eq!(folder.template().unwrap().key, "k");
    }

    #[test]
    fn what_is_not_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let message = |path: &Path| {
            let result = Prepared::open_or_unpack(path, &dir.path().join("out"));
            format!("{:#}", result.unwrap_err())
        };
        assert!(message(&dir.path().join("none")).contains("there is no prepared build at"));
        assert!(message(dir.path()).contains("is not a prepared build"));
        let file = dir.path().join("file.tar.zst");
        std::fs::write(&file, "hello").unwrap();
        assert!(message(&file).contains("made by `cargo xtask prepared`"));

        let prepared = sample(&dir.path().join("made"));
        let archive = dir.path().join("a.tar.zst");
        prepared.archive(&archive, 3).unwrap();
        let bytes = std::fs::read(&archive).unwrap();
        std::fs::write(&archive, &bytes[..bytes.len() / 2]).unwrap();
        assert!(message(&archive).contains("cannot unpack"));
        std::fs::remove_file(prepared.library()).unwrap();
        assert!(message(&prepared.folder).contains("incomplete"));
    }

    #[test]
    fn another_target_version_or_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut prepared = sample(dir.path());
        prepared.check_target("x86_64-unknown-linux-gnu").unwrap();
        assert!(prepared.check_target("aarch64-unknown-linux-gnu").is_err());
        prepared.manifest.postgres_version = "17.2".into();
        assert!(prepared.check_target("x86_64-unknown-linux-gnu").is_err());
        prepared.manifest.format = 1;
        assert!(Prepared::create(dir.path(), &prepared.manifest).unwrap_err().to_string().contains("format 1"));
    }
}
