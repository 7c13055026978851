//! Compilers for WebAssembly: LLVM's, wasi-libc, and a Rust with a standard library for it.
//!
//! What the machine has is used. On Debian the rest comes from Debian's packages: one is installed (as root), the others, which are of
//! another release or would stand beside the user's own Rust, are unpacked into the cache.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::TARGET;
use crate::child;
use crate::layout::Cache;
use crate::progress::Progress;
use crate::source::{DebianKind, debian_configuration};
use crate::tools;
use crate::version::LLVM_MAJOR;

/// Names a `wasm-opt`.
const OPTIMIZER_VARIABLE: &str = "WASM_OPT";
/// The oldest binaryen that is known to understand our exceptions.
const BINARYEN: u32 = 120;

/// Names an unpacked wasi-libc, with `include/wasm32-wasi` and `lib/wasm32-wasi`.
const SYSROOT_VARIABLE: &str = "WASI_SYSROOT";

/// Where the compilers are.
#[derive(Debug, Clone)]
pub struct Toolchain {
    /// clang, which also links.
    pub clang: PathBuf,
    /// LLVM's archiver.
    pub ar: PathBuf,
    /// Its indexer.
    pub ranlib: PathBuf,
    /// Its lister of symbols.
    pub nm: PathBuf,
    /// Its stripper.
    pub strip: PathBuf,
    /// Binaryen's optimiser.
    pub wasm_opt: PathBuf,
    /// wasi-libc.
    pub sysroot: PathBuf,
    /// Rust.
    pub rust: Rust,
}

/// How Rust is compiled for the target.
#[derive(Debug, Clone)]
pub enum Rust {
    /// The user's own has the target.
    Own,
    /// The folder of Debian's unpacked compiler, whose standard library is compiled as well.
    Debian(PathBuf),
}

impl Toolchain {
    /// Finds everything; gets what is missing where that is possible.
    pub fn find(may_install: bool, cache: &Cache, progress: &Progress) -> Result<Self> {
        let folder = cache.folder("wasm-toolchain");
        builtins(may_install, progress)?;
        Ok(Self {
            clang: tools::llvm("clang")?,
            ar: tools::llvm("llvm-ar")?,
            ranlib: tools::llvm("llvm-ranlib")?,
            nm: tools::llvm("llvm-nm")?,
            strip: tools::llvm("llvm-strip")?,
            wasm_opt: wasm_opt(&folder, progress)?,
            sysroot: sysroot(&folder, progress)?,
            rust: rust(&folder, progress)?,
        })
    }

    /// What every compilation for the target begins with.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = vec![format!("--target={TARGET}"), format!("--sysroot={}", self.sysroot.display())];
        // setjmp by exceptions, in the encoding of the finished proposal.
        for option in ["-wasm-enable-sjlj", "-wasm-use-legacy-eh=false"] {
            flags.extend(["-mllvm".into(), option.into()]);
        }
        for name in ["SIGNAL", "MMAN", "PROCESS_CLOCKS", "GETPID"] {
            flags.push(format!("-D_WASI_EMULATED_{name}"));
        }
        flags.push("-Qunused-arguments".into());
        flags
    }
}

/// The functions that clang's code calls, for this target.
fn builtins(may_install: bool, progress: &Progress) -> Result<()> {
    let there = || -> Result<bool> {
        let mut command = child::command(tools::llvm("clang")?);
        command.args([&format!("--target={TARGET}"), "--rtlib=compiler-rt", "--print-libgcc-file-name"]);
        Ok(Path::new(child::output(&mut command)?.trim()).exists())
    };
    if there()? {
        return Ok(());
    }
    let package = format!("libclang-rt-{LLVM_MAJOR}-dev-wasm32");
    let command = format!("apt-get update && apt-get install -y --no-install-recommends {package} lld-{LLVM_MAJOR}");
    let can = may_install && rustix::process::geteuid().is_root() && Path::new("/etc/debian_version").exists();
    ensure!(can, "building for {TARGET} needs clang's run-time library for it. On Debian:\n\n    {command}\n");
    let step = progress.step("install clang's library for WebAssembly", 0);
    let mut shell = child::command("sh");
    shell.args(["-c", &command]).env("DEBIAN_FRONTEND", "noninteractive");
    child::run(shell)?;
    step.finish("");
    ensure!(there()?, "apt-get has installed {package}, but clang does not find it");
    Ok(())
}

fn has_libc(sysroot: &Path) -> bool {
    sysroot.join("lib/wasm32-wasi/libsetjmp.a").exists() && sysroot.join("include/wasm32-wasi/stdlib.h").exists()
}

/// wasi-libc with setjmp, which Debian has from trixie on.
fn sysroot(folder: &Path, progress: &Progress) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(SYSROOT_VARIABLE).filter(|value| !value.is_empty()) {
        let named = PathBuf::from(named);
        ensure!(has_libc(&named), "{SYSROOT_VARIABLE} is {}, where there is no wasi-libc with setjmp", named.display());
        return Ok(named);
    }
    let unpacked = folder.join("wasi/usr");
    for place in [Path::new("/usr"), &unpacked] {
        if has_libc(place) {
            return Ok(place.into());
        }
    }
    let step = progress.step("fetch wasi-libc", 0);
    unpack(folder, "wasi", Some("trixie"), &["wasi-libc"]).with_context(|| {
        format!("wasi-libc with setjmp is needed: install it, or set {SYSROOT_VARIABLE} to where it is unpacked")
    })?;
    step.finish("");
    ensure!(has_libc(&unpacked), "Debian's wasi-libc has no setjmp");
    Ok(unpacked)
}

/// A `wasm-opt` that is new enough; else that of Debian trixie, with the libraries that it wants.
fn wasm_opt(folder: &Path, progress: &Progress) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(OPTIMIZER_VARIABLE).filter(|value| !value.is_empty()) {
        let named = PathBuf::from(named);
        ensure!(
            is_new(&named),
            "{OPTIMIZER_VARIABLE} is {}, which is not the wasm-opt of binaryen {BINARYEN} or later",
            named.display()
        );
        return Ok(named);
    }
    let unpacked = folder.join("binaryen");
    let script = unpacked.join("wasm-opt");
    for program in [PathBuf::from("wasm-opt"), script.clone()] {
        if is_new(&program) {
            return Ok(program);
        }
    }
    let step = progress.step("fetch binaryen", 0);
    unpack(folder, "binaryen", Some("trixie"), &["binaryen", "libc6", "libstdc++6", "libgcc-s1"]).with_context(
        || format!("wasm-opt of binaryen {BINARYEN} is needed: install it, or set {OPTIMIZER_VARIABLE} to where it is"),
    )?;
    let libraries = std::fs::read_dir(unpacked.join("usr/lib"))?.flatten().map(|entry| entry.path());
    let libraries = libraries.filter(|path| path.join("libc.so.6").exists()).last().context("there is no libc6")?;
    let loader =
        std::fs::read_dir(&libraries)?.flatten().find(|f| f.file_name().as_encoded_bytes().starts_with(b"ld-"));
    let loader = loader.context("libc6 has no loader")?.path();
    let (libraries, program) = (libraries.display(), unpacked.join("usr/bin/wasm-opt"));
    let text =
        format!("#!/bin/sh\nexec '{}' --library-path '{libraries}' '{}' \"$@\"\n", loader.display(), program.display());
    std::fs::write(&script, text)?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    step.finish("");
    ensure!(is_new(&script), "Debian's wasm-opt does not run");
    Ok(script)
}

/// Whether a `wasm-opt` can do what we want; it says `wasm-opt version 120`, and perhaps more.
fn is_new(program: &Path) -> bool {
    let version = child::output(child::command(program).arg("--version")).unwrap_or_default();
    version.split_whitespace().find_map(|word| word.parse::<u32>().ok()).is_some_and(|version| version >= BINARYEN)
}

fn rust(folder: &Path, progress: &Progress) -> Result<Rust> {
    let mut command = child::command(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.args(["--print", "target-libdir", "--target", TARGET]);
    if child::output(&mut command).is_ok_and(|path| Path::new(path.trim()).exists()) {
        return Ok(Rust::Own);
    }
    let unpacked = folder.join("rust");
    if !unpacked.join("complete").exists() {
        let step = progress.step("fetch Debian's Rust, with the source of its standard library", 0);
        let packages = ["rustc-web", "rust-web-src", "libstd-rust-web-dev"];
        let library = child::output(child::command("apt-cache").args(["depends", "rustc-web"]))?;
        let library = library.split_whitespace().find(|word| word.starts_with("libstd-rust-web-"));
        let Some(library) = library else {
            bail!("a Rust with the target {TARGET} is needed: `rustup target add {TARGET}`");
        };
        unpack(folder, "rust", None, &[&packages[..], &[library]].concat())
            .with_context(|| format!("a Rust with the target {TARGET} is needed: `rustup target add {TARGET}`"))?;
        std::fs::write(unpacked.join("complete"), "")?;
        step.finish("");
    }
    Ok(Rust::Debian(unpacked))
}

/// Downloads packages, of this machine's release or another one, and unpacks them into `folder/name`.
fn unpack(folder: &Path, name: &str, suite: Option<&str>, packages: &[&str]) -> Result<()> {
    ensure!(Path::new("/etc/debian_version").exists(), "this is not Debian");
    let (target, downloads) = (folder.join(name), folder.join(format!("{name}.debs")));
    for folder in [&target, &downloads] {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir_all(folder)?;
    }
    let config =
        suite.map(|suite| debian_configuration(&folder.join("apt"), DebianKind::Packages, suite)).transpose()?;
    let apt = |arguments: &[&str]| {
        let mut command = child::command("apt-get");
        command.current_dir(&downloads).args(arguments);
        if let Some(config) = &config {
            command.env("APT_CONFIG", config);
        }
        child::run(command)
    };
    if suite.is_some() || child::output(child::command("apt-cache").arg("show").args(packages)).is_err() {
        apt(&["update"])?;
    }
    apt(&[&["download"], packages].concat())?;
    for package in std::fs::read_dir(&downloads)? {
        let mut command = child::command("dpkg");
        command.arg("-x").arg(package?.path()).arg(&target);
        child::run(command)?;
    }
    std::fs::remove_dir_all(&downloads)?;
    Ok(())
}
