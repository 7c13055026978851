//! `crates/wasi-guest` as a static library, and the C beside it that any program of PostgreSQL is linked with.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::toolchain::Rust;
use super::{TARGET, Toolchain};
use crate::layout::{Cache, Workspace};
use crate::progress::Progress;
use crate::{child, programs};

/// What programs are linked with.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    /// The static library of Rust.
    pub(super) library: PathBuf,
    /// The folder with `include`, `include-postgres` and `glue`.
    pub(super) folder: PathBuf,
}

impl Guest {
    /// A C file of its glue.
    pub(super) fn glue(&self, name: &str) -> PathBuf {
        self.folder.join("glue").join(name)
    }

    /// Where our headers are looked for, before all others: PostgreSQL's, then libc's.
    pub(super) fn include_flags(&self) -> Vec<String> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        vec![format!("-I{}", path("include-postgres")), "-isystem".into(), path("include")]
    }
}

/// The functions of libc around which the library has one of its own.
pub(super) const WRAPPED: [&str; 17] = [
    "open", "close", "read", "write", "fcntl", "poll", "stat", "lstat", "fstat", "fstatat", "fsync", "chmod", "fchmod",
    "realpath", "opendir", "readdir", "closedir",
];

/// Flags for linking a program, of which the library is the last part.
pub(super) fn link_flags(guest: &Guest) -> Vec<String> {
    let mut flags: Vec<String> = WRAPPED.iter().map(|name| format!("-Wl,--wrap={name}")).collect();
    flags.push(guest.library.display().to_string());
    flags.extend(["-lsetjmp", "-lm"].map(String::from));
    flags
}

/// Compiles the library.
pub(super) fn build(toolchain: &Toolchain, workspace: &Workspace, cache: &Cache, progress: &Progress) -> Result<Guest> {
    let step = progress.step("compile the layer between PostgreSQL and WASI", 0);
    let target = programs::named(workspace, cache, "cargo-wasm-guest", "wasm32-wasip1/release")?;
    let mut command = child::cargo();
    command.current_dir(&workspace.root);
    command
        .args(["build", "--package", "wasi-guest", "--profile", "release", "--target", TARGET, "--target-dir"])
        .arg(&target);
    // What is compiled for the module has no use for unwinding, and none for debug information.
    command.env("CARGO_PROFILE_RELEASE_PANIC", "abort").env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    command.env("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", rustflags(toolchain));
    if let Rust::Debian(folder) = &toolchain.rust {
        command.arg("-Zbuild-std=std,panic_abort");
        command.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", folder.join("usr/bin/rustc"));
        command.env("LD_LIBRARY_PATH", folder.join("usr/lib/x86_64-linux-gnu"));
    }
    child::run(command).context("cannot compile crates/wasi-guest")?;
    step.finish("");
    Ok(Guest {
        library: target.join(TARGET).join("release/libwasi_guest.a"),
        folder: workspace.root.join("crates/wasi-guest"),
    })
}

/// libc and the linker are not those that Rust brings along.
fn rustflags(toolchain: &Toolchain) -> String {
    let clang = toolchain.clang.display();
    let sysroot = toolchain.sysroot.display();
    format!("-Clinker={clang} -Clink-self-contained=no -Clink-arg=--sysroot={sysroot}")
}

/// Compiles a C file of the glue.
pub(super) fn compile(
    toolchain: &Toolchain,
    guest: &Guest,
    flags: &[String],
    source: &Path,
    object: &Path,
) -> Result<()> {
    let mut command = child::command(&toolchain.clang);
    command.args(toolchain.flags()).args(guest.include_flags()).args(["-O2", "-fno-strict-aliasing", "-fwrapv"]);
    command.args(flags).arg("-c").arg(source).arg("-o").arg(object);
    child::run(command).with_context(|| format!("cannot compile {}", source.display()))
}
