//! The libraries for compression and for line editing, compiled as PostgreSQL is and linked into what uses them, so that nothing
//! of them has to be installed and nobody else's copy is in the way.
//!
//! The sources of those for compression are what crates of crates.io carry: cargo fetches them, and Cargo.lock has their checksums.
//! The crates themselves are not compiled. No crate has libedit's.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::codegen;
use crate::layout::{Cache, Workspace};
use crate::progress::Progress;
use crate::{child, source, tools};

/// A library, and what of its crate it is made of.
struct Library {
    /// As `-l` wants it.
    name: &'static str,
    krate: &'static str,
    /// With another one the result is another: it is part of the recipe.
    version: &'static str,
    headers: &'static [&'static str],
    sources: &'static [&'static str],
    flags: &'static [&'static str],
}

const LIBRARIES: [Library; 3] = [
    Library {
        name: "z",
        krate: "libz-sys",
        version: "1.1.31",
        headers: &["src/zlib/zlib.h", "src/zlib/zconf.h"],
        sources: &["src/zlib"],
        flags: &["-DHAVE_UNISTD_H", "-DHAVE_HIDDEN"],
    },
    Library {
        name: "lz4",
        krate: "lz4-sys",
        version: "1.11.1+lz4-1.10.0",
        headers: &["liblz4/lib/lz4.h", "liblz4/lib/lz4hc.h", "liblz4/lib/lz4frame.h"],
        sources: &["liblz4/lib"],
        flags: &["-DXXH_NAMESPACE=LZ4_"],
    },
    Library {
        name: "zstd",
        krate: "zstd-sys",
        version: "2.1.2+zstd.1.5.7",
        headers: &["zstd/lib/zstd.h", "zstd/lib/zstd_errors.h"],
        sources: &["zstd/lib/common", "zstd/lib/compress", "zstd/lib/decompress"],
        // the loops of its decoder that are chosen at run time are in assembly, or large
        flags: &["-DXXH_NAMESPACE=ZSTD_", "-DZSTD_DISABLE_ASM", "-DDYNAMIC_BMI2=0", "-DZSTD_LEGACY_SUPPORT=0"],
    },
];

/// libedit's headers, as they are installed.
const LIBEDIT_HEADERS: [&str; 2] = ["editline/readline.h", "histedit.h"];

/// What libedit's `makelist` makes: the file, the kind, of which files.
const LIBEDIT_LISTS: [(&str, &str, &[&str]); 6] = [
    ("vi.h", "-h", &["vi.c"]),
    ("emacs.h", "-h", &["emacs.c"]),
    ("common.h", "-h", &["common.c"]),
    ("fcns.h", "-fh", &["vi.h", "emacs.h", "common.h"]),
    ("func.h", "-fc", &["vi.h", "emacs.h", "common.h"]),
    ("help.h", "-bh", &["vi.c", "emacs.c", "common.c"]),
];

/// What distinguishes these libraries from those that another recipe makes.
pub fn versions() -> impl Iterator<Item = String> {
    let version = |library: &Library| format!("{} {} {}", library.krate, library.version, library.flags.join(" "));
    LIBRARIES.iter().map(version).chain([format!("libedit {}", source::LIBEDIT_VERSION)])
}

/// The arguments of `configure` that make PostgreSQL use the libraries in `folder`.
pub fn configure_arguments(folder: &Path) -> Vec<String> {
    let (include, lib) = (folder.join("include"), folder.join("lib"));
    let (include, lib) = (include.display(), lib.display());
    let mut arguments =
        ["--with-zlib", "--with-lz4", "--with-zstd", "--with-libedit-preferred"].map(str::to_owned).to_vec();
    arguments.push(format!("--with-includes={include}"));
    arguments.push(format!("--with-libraries={lib}"));
    // instead of what pkg-config would find
    for name in ["LZ4", "ZSTD"] {
        arguments.push(format!("{name}_CFLAGS=-I{include}"));
        arguments.push(format!("{name}_LIBS=-L{lib}"));
    }
    arguments
}

/// Compiles them into `folder/lib`, with their headers in `folder/include`.
pub fn compile(workspace: &Workspace, cache: &Cache, folder: &Path, flags: &str, progress: &Progress) -> Result<()> {
    let step = progress.step("compile zlib, lz4, zstd and libedit", 0);
    let compiler = tools::llvm("clang")?;
    let packages = packages(workspace)?;
    for name in ["include", "lib"] {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    std::thread::scope(|scope| -> Result<()> {
        let make = |library| make(library, &packages, folder, &compiler, flags);
        let mut threads: Vec<_> = LIBRARIES.iter().map(|library| scope.spawn(move || make(library))).collect();
        threads.push(scope.spawn(|| make_libedit(workspace, cache, folder, &compiler, flags)));
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        results.into_iter().try_for_each(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    step.finish("");
    Ok(())
}

fn make(library: &Library, packages: &[Package], folder: &Path, compiler: &Path, flags: &str) -> Result<()> {
    let root = find(library, packages)?;
    for header in library.headers {
        let (from, name) = (root.join(header), header.rsplit('/').next().unwrap_or(header));
        std::fs::copy(&from, folder.join("include").join(name))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    let objects = folder.join(library.name);
    let words =
        flags.split_whitespace().chain(library.flags.iter().copied()).map(Into::into).collect::<Vec<OsString>>();
    archive(library.name, &sources(library, &root)?, &words, compiler, &objects, folder)
}

/// libedit's `configure` is not run: it would take the terminal library of the host, and needs `automake` of the right version where times are
/// not kept. The glue has the configuration instead.
fn make_libedit(workspace: &Workspace, cache: &Cache, folder: &Path, compiler: &Path, flags: &str) -> Result<()> {
    let tree = source::libedit(cache, &folder.join("libedit"))?.join("src");
    for (name, kind, of) in LIBEDIT_LISTS {
        let mut command = child::command("sh");
        let list = child::output(command.current_dir(&tree).args(["makelist", kind]).args(of))?;
        std::fs::write(tree.join(name), list).with_context(|| format!("cannot write {}", tree.join(name).display()))?;
    }
    std::fs::create_dir_all(folder.join("include/editline"))?;
    for header in LIBEDIT_HEADERS {
        std::fs::copy(tree.join(header), folder.join("include").join(header))
            .with_context(|| format!("cannot copy libedit's {header}"))?;
    }
    let glue = workspace.glue().join("libedit");
    let mut words: Vec<OsString> = flags.split_whitespace().map(Into::into).collect();
    for folder in [&glue, &tree] {
        words.extend(["-I".into(), folder.clone().into_os_string()]);
    }
    let mut sources = c_files(&tree)?;
    sources.extend(c_files(&glue)?);
    archive("edit", &sources, &words, compiler, &folder.join("edit"), folder)
}

/// Compiles `sources` into `objects`, and makes the archive `lib/libNAME.a` of them in `folder`.
fn archive(
    name: &str,
    sources: &[PathBuf],
    flags: &[OsString],
    compiler: &Path,
    objects: &Path,
    folder: &Path,
) -> Result<()> {
    std::fs::create_dir_all(objects).with_context(|| format!("cannot create {}", objects.display()))?;
    let mut made = Vec::new();
    for source in sources {
        let object = objects.join(source.file_name().unwrap_or_default()).with_extension("o");
        let mut command = Command::new(compiler);
        command.args(flags).arg("-c").arg(source).arg("-o").arg(&object);
        child::run(command).with_context(|| format!("cannot compile {}", source.display()))?;
        made.push(object);
    }
    codegen::ar(&folder.join("lib").join(format!("lib{name}.a")), &made)
}

/// All C files of a library, in the order of their names.
fn sources(library: &Library, root: &Path) -> Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    for folder in library.sources {
        sources.extend(c_files(&root.join(folder))?);
    }
    sources.sort();
    Ok(sources)
}

fn c_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<_> = listing.map(|file| Ok(file?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    files.sort();
    Ok(files)
}

/// A crate that cargo has fetched.
struct Package {
    name: String,
    version: String,
    root: PathBuf,
}

/// The crates of Cargo.lock. Cargo fetches those that it does not have.
fn packages(workspace: &Workspace) -> Result<Vec<Package>> {
    let mut command = child::cargo();
    command.current_dir(&workspace.root).args(["metadata", "--format-version", "1", "--locked"]);
    let text = child::output(&mut command).context("cannot fetch the sources of zlib, lz4 and zstd")?;
    let metadata: serde_json::Value = serde_json::from_str(&text).context("cannot understand `cargo metadata`")?;
    let packages = metadata["packages"].as_array().context("`cargo metadata` tells of no packages")?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    Ok(packages
        .iter()
        .map(|package| Package {
            name: text(&package["name"]),
            version: text(&package["version"]),
            root: Path::new(&text(&package["manifest_path"])).parent().unwrap_or(Path::new("")).to_owned(),
        })
        .collect())
}

fn find(library: &Library, packages: &[Package]) -> Result<PathBuf> {
    let found: Vec<_> = packages.iter().filter(|package| package.name == library.krate).collect();
    match found.iter().find(|package| package.version == library.version) {
        Some(package) => Ok(package.root.clone()),
        None => {
            let versions: Vec<_> = found.iter().map(|package| package.version.as_str()).collect();
            bail!(
                "the recipe wants {} {}, but Cargo.lock has {}: change the one or the other",
                library.krate,
                library.version,
                if versions.is_empty() { "none".into() } else { versions.join(", ") }
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_of_the_recipe_are_those_of_the_lock_file() {
        let packages = packages(&Workspace::compiled_from()).unwrap();
        for library in &LIBRARIES {
            let root = find(library, &packages).unwrap();
            assert!(library.headers.iter().all(|header| root.join(header).is_file()), "{}", root.display());
            assert!(sources(library, &root).unwrap().len() >= 5, "{}", root.display());
        }
        let error = find(&Library { version: "0", ..LIBRARIES[0] }, &packages).err().unwrap().to_string();
        assert!(error.contains("libz-sys 0") && error.contains(LIBRARIES[0].version), "{error}");
    }
}
