//! `cargo xtask dist`: the C interface as an archive that works wherever it is unpacked.

mod check;
mod reference;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use postgres_build::child;
use postgres_build::layout::Workspace;
use postgres_build::version;

use crate::build;

const HEADERS: [&str; 2] = ["pglite.h", "pglite_compat.h"];

/// Builds the libraries, packs them with what belongs to them, and tries the archive out.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::compiled_from();
    build::for_this_machine()?;
    println!("\nbuild the libraries");
    let mut command = child::cargo();
    command.current_dir(&workspace.root).args(["build", "--release", "--package", "libpglite-c", "--target-dir"]);
    command.arg(target(&workspace));
    child::lines(command, &mut |line| println!("{line}"))?;

    let built = target(&workspace).join("release");
    let name = format!("libpglite-{}-{}", env!("CARGO_PKG_VERSION"), version::host_target());
    let folder = target(&workspace).join("dist");
    let root = folder.join(&name);
    let _ = fs::remove_dir_all(&root);
    for part in ["include", "lib/pkgconfig", "share/doc/pglite"] {
        fs::create_dir_all(root.join(part)).with_context(|| format!("cannot make {}", root.join(part).display()))?;
    }
    let crate_folder = workspace.root.join("crates/libpglite-c");
    let mut symbols = Vec::new();
    for header in HEADERS {
        let text = fs::read_to_string(crate_folder.join("include").join(header))?;
        symbols.extend(reference::functions(&text));
        fs::write(root.join("include").join(header), &text)?;
        let page = root.join("share/doc/pglite").join(Path::new(header).with_extension("html"));
        fs::write(page, reference::html(header, &text))?;
    }
    static_library(&built.join("libpglite.a"), &root.join("lib/libpglite.a"), &symbols)?;
    shared_library(&built.join("libpglite.so"), &root.join("lib"))?;
    fs::write(root.join("lib/pkgconfig/pglite.pc"), package(false))?;
    fs::write(root.join("lib/pkgconfig/pglite-static.pc"), package(true))?;
    for file in ["LICENSE", "docs/c-interface.md"] {
        let name = Path::new(file).file_name().context("a file name")?;
        fs::copy(workspace.root.join(file), root.join("share/doc/pglite").join(name))
            .with_context(|| format!("cannot copy {file}"))?;
    }

    let archive = folder.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(&folder).arg("-czf").arg(&archive).arg(&name);
    child::run(tar)?;
    println!("{} ({:.1} MB)", archive.display(), build::megabytes(&archive)?);
    check::run(&archive, &name, &workspace.root)
}

fn target(workspace: &Workspace) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.root.join("target"), PathBuf::from)
}

/// One object with everything that our functions need, in which only they are visible: nothing of it meets a symbol of the
/// program that links it.
fn static_library(from: &Path, to: &Path, symbols: &[String]) -> Result<()> {
    let scratch = tempfile_beside(to);
    let (object, list) = (scratch.join("pglite.o"), scratch.join("symbols"));
    fs::create_dir_all(&scratch)?;
    fs::write(&list, symbols.join("\n"))?;
    let mut link = Command::new("ld");
    link.args(["-r", "-o"]).arg(&object);
    for symbol in symbols {
        link.args(["-u", symbol]);
    }
    link.arg(from);
    child::run(link).context("binutils are needed")?;
    let mut hide = Command::new("objcopy");
    // Rust's own library brings the bitcode that it was made of, in which linkers with a plugin of LLVM would look for symbols.
    hide.args(["--strip-debug", "--remove-section=.llvmbc", "--remove-section=.llvmcmd"]);
    hide.arg(format!("--keep-global-symbols={}", list.display())).arg(&object);
    child::run(hide)?;
    let _ = fs::remove_file(to);
    let mut archive = Command::new("ar");
    archive.arg("rcs").arg(to).arg(&object);
    child::run(archive)?;
    fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))
}

fn tempfile_beside(path: &Path) -> PathBuf {
    path.with_extension("parts")
}

/// The library under its own name, and under the one that linkers ask for.
fn shared_library(from: &Path, to: &Path) -> Result<()> {
    let library = to.join("libpglite.so.1");
    let mut strip = Command::new("objcopy");
    strip.arg("--strip-debug").arg(from).arg(&library);
    child::run(strip)?;
    std::os::unix::fs::symlink("libpglite.so.1", to.join("libpglite.so")).context("cannot make a link")
}

/// What pkg-config reads. It finds everything from where it is itself.
fn package(only_static: bool) -> String {
    let (name, libraries) = match only_static {
        false => ("pglite", "-L${libdir} -Wl,-rpath,${libdir} -lpglite"),
        true => ("pglite-static", "${libdir}/libpglite.a -lm -ldl -lpthread"),
    };
    format!(
        "prefix=${{pcfiledir}}/../..\nlibdir=${{prefix}}/lib\nincludedir=${{prefix}}/include\n\n\
         Name: {name}\nDescription: A real, unmodified PostgreSQL inside your program\nVersion: {}\n\
         Cflags: -I${{includedir}}\nLibs: {libraries}\nLibs.private: -lm -ldl -lpthread\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// A program that must be there.
fn need(program: &str, package: &str) -> Result<()> {
    match Command::new(program).arg("--version").output() {
        Ok(_) => Ok(()),
        Err(_) => bail!("{program} is needed to try the archive out (Debian: {package})"),
    }
}

/// The functions of all headers below `root`.
fn functions_of(root: &Path) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for header in HEADERS {
        all.extend(reference::functions(&fs::read_to_string(root.join("include").join(header))?));
    }
    Ok(all)
}
