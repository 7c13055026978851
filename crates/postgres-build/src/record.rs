//! What PostgreSQL's own makefiles link, read back from a build in which `recipe/recorder.sh` stood
//! in for the linker. So no list of objects is written by hand, and a new minor release brings its
//! own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::hash;

/// First line of a record.
const MARK: &[u8] = b"#linked\n";

/// What a link makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A program.
    Program,
    /// A shared library that others are linked with: `libpq.so.5.18`.
    Library,
    /// A shared object that is loaded at run time: `plpgsql.so`.
    Module,
}

/// What `-l` or a path of a library on the command line stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dependency {
    /// A library whose link is a record as well; its path.
    Library(PathBuf),
    /// A static library of the build tree.
    Archive(PathBuf),
    /// A library of the system, as `-l` wants it.
    System(String),
}

/// One link, with absolute paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it makes.
    pub output: PathBuf,
    /// Which of the three that is.
    pub kind: Kind,
    /// Objects in their order.
    pub objects: Vec<PathBuf>,
    /// Libraries in their order, each once.
    pub dependencies: Vec<Dependency>,
    /// The symbols that a library's version script lets out; `None` where it has none: all.
    pub exports: Option<Vec<String>>,
}

impl Link {
    /// The name without extension and version: `postgres`, `libpq`, `plpgsql`.
    pub fn name(&self) -> &str {
        let name = self.output.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.split_once(".so").map_or(name, |(name, _)| name)
    }

    /// Its static libraries.
    pub fn archives(&self) -> impl Iterator<Item = &Path> {
        self.dependencies.iter().filter_map(|dependency| match dependency {
            Dependency::Archive(path) => Some(path.as_path()),
            _ => None,
        })
    }

    /// Its shared libraries of the build tree.
    pub fn libraries(&self) -> impl Iterator<Item = &Path> {
        self.dependencies.iter().filter_map(|dependency| match dependency {
            Dependency::Library(path) => Some(path.as_path()),
            _ => None,
        })
    }

    /// Its libraries of the system.
    pub fn system_libraries(&self) -> impl Iterator<Item = &str> {
        self.dependencies.iter().filter_map(|dependency| match dependency {
            Dependency::System(name) => Some(name.as_str()),
            _ => None,
        })
    }
}

/// All links of a build tree.
#[derive(Debug, Clone, Default)]
pub struct Links {
    root: PathBuf,
    links: BTreeMap<PathBuf, Link>,
}

impl Links {
    /// Reads all records below `build`.
    pub fn read(build: &Path) -> Result<Self> {
        let root = build.canonicalize().with_context(|| format!("there is no build tree at {}", build.display()))?;
        let mut texts = BTreeMap::new();
        for path in hash::files_below(&root)? {
            if let Some(text) = record(&path).with_context(|| format!("cannot read {}", path.display()))? {
                texts.insert(path, text);
            }
        }
        let mut links = BTreeMap::new();
        for (path, text) in &texts {
            let is_recorded = |path: &Path| texts.contains_key(path);
            let link = parse(path, text, &is_recorded)
                .with_context(|| format!("cannot understand how {} is linked", path.display()))?;
            links.insert(path.clone(), link);
        }
        Ok(Self { root, links })
    }

    /// Whether a file is of the build tree itself.
    pub fn is_own(&self, path: &Path) -> bool {
        path.starts_with(&self.root)
    }

    /// The links in the order of their paths, without those of `src/test`.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        let tests = self.root.join("src/test");
        self.links.values().filter(move |link| !link.output.starts_with(&tests))
    }

    /// The loadable modules.
    pub fn modules(&self) -> impl Iterator<Item = &Link> {
        self.iter().filter(|link| link.kind == Kind::Module)
    }

    /// The program of this name.
    pub fn program(&self, name: &str) -> Result<&Link> {
        let found = self.iter().find(|link| link.kind == Kind::Program && link.name() == name);
        found.with_context(|| format!("PostgreSQL's makefiles have not linked a program {name}"))
    }

    /// The link that makes the library at `path`.
    pub fn library(&self, path: &Path) -> Result<&Link> {
        self.links.get(path).with_context(|| format!("{} was not linked", path.display()))
    }
}

/// The text of a record, if the file is one.
fn record(path: &Path) -> std::io::Result<Option<String>> {
    use std::io::Read;
    let mut file = std::fs::File::open(path)?;
    let mut start = Vec::new();
    file.by_ref().take(MARK.len() as u64).read_to_end(&mut start)?;
    if start != MARK {
        return Ok(None);
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Reads a record's lines after the first: the working directory, then one argument a line.
fn parse(output: &Path, text: &str, is_recorded: &dyn Fn(&Path) -> bool) -> Result<Link> {
    let mut lines = text.lines();
    let directory = Path::new(lines.next().context("it is empty")?);
    let arguments: Vec<&str> = lines.collect();

    let folders: Vec<PathBuf> =
        arguments.iter().filter_map(|argument| argument.strip_prefix("-L")).map(|path| directory.join(path)).collect();
    let mut link = Link {
        output: output.into(),
        kind: Kind::Program,
        objects: Vec::new(),
        dependencies: Vec::new(),
        exports: None,
    };
    let mut skip = false;
    for argument in &arguments {
        if std::mem::take(&mut skip) {
            continue;
        }
        let dependency = if *argument == "-o" {
            skip = true;
            continue;
        } else if *argument == "-shared" {
            let name = output.file_name().unwrap_or_default().to_string_lossy();
            link.kind = if name.ends_with(".so") { Kind::Module } else { Kind::Library };
            continue;
        } else if let Some(script) = argument.strip_prefix("-Wl,--version-script=") {
            let path = directory.join(script);
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            link.exports = Some(exports(&text)?);
            continue;
        } else if let Some(name) = argument.strip_prefix("-l") {
            find_library(name, &folders, is_recorded)
        } else if argument.starts_with('-') {
            continue;
        } else if argument.ends_with(".o") {
            link.objects.push(existing(directory, argument)?);
            continue;
        } else if argument.ends_with(".a") {
            Dependency::Archive(existing(directory, argument)?)
        } else if argument.contains(".so") {
            Dependency::Library(existing(directory, argument)?)
        } else {
            bail!("there is an argument `{argument}` of an unknown kind");
        };
        if !link.dependencies.contains(&dependency) {
            link.dependencies.push(dependency);
        }
    }
    Ok(link)
}

fn existing(directory: &Path, path: &str) -> Result<PathBuf> {
    let path = directory.join(path);
    path.canonicalize().with_context(|| format!("there is no {}", path.display()))
}

/// Finds `-lNAME` as a linker does: folder by folder, a shared library before a static one.
fn find_library(name: &str, folders: &[PathBuf], is_recorded: &dyn Fn(&Path) -> bool) -> Dependency {
    for folder in folders {
        if let Ok(path) = folder.join(format!("lib{name}.so")).canonicalize()
            && is_recorded(&path)
        {
            return Dependency::Library(path);
        }
        if let Ok(path) = folder.join(format!("lib{name}.a")).canonicalize() {
            return Dependency::Archive(path);
        }
    }
    Dependency::System(name.into())
}

/// The names in a version script of the kind that PostgreSQL makes: `{ global: a; b; local: *; };`.
fn exports(script: &str) -> Result<Vec<String>> {
    let global = script.split_once("global:").and_then(|(_, rest)| rest.split_once("local:"));
    let (global, _) = global.context("the version script has no `global:` and `local:`")?;
    Ok(global.split(';').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// A build tree in miniature.
#[cfg(test)]
pub(crate) fn miniature() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let link = |path: &str, arguments: &str| {
        let (folder, _) = path.rsplit_once('/').unwrap();
        let arguments = arguments.replace(' ', "\n");
        write(path, &format!("#linked\n{}\n-O2\n-flto\n{arguments}\n", root.join(folder).display()));
    };
    let bin = ["src/bin/a.o", "src/bin/b.o", "src/bin/initdb.o"];
    for object in bin.iter().chain(&["src/backend/main.o", "src/libpq/fe.o", "contrib/x/x.o", "src/test/t.o"]) {
        write(object, "BC");
    }
    for archive in ["libpgport.a", "libpgport_srv.a", "libpgport_shlib.a"] {
        write(&format!("src/port/{archive}"), "!<arch>");
    }
    write("src/libpq/exports.list", "{ global:\nPQconnect;\nPQfinish;\n local: *; };\n");
    link("src/backend/postgres", "main.o ../port/libpgport_srv.a -L../port -Wl,--export-dynamic -lm -lrt -o postgres");
    link("src/bin/psql", "a.o b.o -L../libpq -lpq -L../port -lpgport -lm -lpgport -o psql");
    link("src/bin/initdb", "initdb.o -L../port -lpgport -o initdb");
    link(
        "src/libpq/libpq.so.5.18",
        "-shared -Wl,-soname,libpq.so.5 -Wl,--version-script=exports.list -o libpq.so.5.18 fe.o -L../port -lpgport_shlib",
    );
    std::os::unix::fs::symlink("libpq.so.5.18", root.join("src/libpq/libpq.so")).unwrap();
    link("contrib/x/x.so", "-shared -o x.so x.o -L../../src/libpq -lpq");
    link("src/test/regress.so", "-shared -o regress.so t.o");
    dir
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_programs_libraries_and_modules() {
        let dir = miniature();
        let root = dir.path().canonicalize().unwrap();
        let links = Links::read(dir.path()).unwrap();
        let psql = links.program("psql").unwrap();
        assert_eq!(psql.objects, [root.join("src/bin/a.o"), root.join("src/bin/b.o")]);
        assert_eq!(
            psql.dependencies,
            [
                Dependency::Library(root.join("src/libpq/libpq.so.5.18")),
                Dependency::Archive(root.join("src/port/libpgport.a")),
                Dependency::System("m".into()),
            ]
        );
        let libpq = links.library(psql.libraries().next().unwrap()).unwrap();
        assert_eq!((libpq.name(), libpq.kind), ("libpq", Kind::Library));
        assert_eq!(libpq.exports.as_deref(), Some(["PQconnect".to_owned(), "PQfinish".to_owned()].as_slice()));
        let modules: Vec<_> = links.modules().map(Link::name).collect();
        assert_eq!(modules, ["x"], "without those of src/test");
        assert!(links.program("pg_dump").unwrap_err().to_string().contains("pg_dump"));
    }

    #[test]
    fn a_missing_object_is_named() {
        let dir = miniature();
        std::fs::remove_file(dir.path().join("contrib/x/x.o")).unwrap();
        let error = format!("{:#}", Links::read(dir.path()).unwrap_err());
        assert!(error.contains("x.so") && error.contains("x.o"), "{error}");
    }
}
