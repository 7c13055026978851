//! `cargo xtask wasm`: the modules, and the tests of their hosts: that in Rust, and those in other languages. Apart from `test`, since they need a
//! compiler for WebAssembly, and wasmtime.

mod hosts;
mod mix;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use postgres_build::layout::{Cache, Workspace};
use postgres_build::progress::Progress;
use postgres_build::{child, wasm};

use crate::build;

/// What to do.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave out format and lints
    #[arg(long)]
    only_tests: bool,
    /// Only the hosts in other languages (`examples/*-wasi`)
    #[arg(long, conflicts_with_all = ["only_tests", "test"])]
    examples: bool,
    /// Instead: a mix of queries in turns by the native engine and by the module, and how many times longer the module takes
    #[arg(long, conflicts_with_all = ["only_tests", "examples", "test"])]
    mix: bool,
    /// Only the tests of the host in Rust whose name has this in it
    #[arg(value_name = "TEST")]
    test: Option<String>,
}

/// Builds, lints, tests.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::compiled_from();
    let cache = Cache::from_environment()?;
    let modules = wasm::build(wasm::Contents::Release, true, &workspace, &cache, &Progress::new())?;
    let examples = || {
        println!("\nthe modules are in {}", modules.folder.display());
        hosts::run(&workspace.root.join("examples"), &modules.folder, &cache.folder("wasm-hosts"))
    };
    if arguments.examples {
        return examples();
    }
    let target = wasm::host_target(&workspace, &cache)?;
    let host = workspace.root.join("crates/wasm-host");
    let embedded = workspace.root.join("crates/wasm-modules");
    let cargo = |folder: &Path, words: &str| -> Result<()> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .current_dir(folder)
            .env("PGLITE_WASM", &modules.folder)
            .env("CARGO_TARGET_DIR", &target)
            .args(words.split_whitespace());
        child::lines(command, &mut |line| println!("{line}"))
            .with_context(|| format!("`cargo {words}` in {}", folder.display()))
    };
    if arguments.mix {
        cargo(&host, "build --release --example mix")?;
        let [bench] = build::programs(&workspace, &Progress::new(), "release", ["bench"])?;
        let mut example = Command::new(target.join("release/examples/mix"));
        example.env("PGLITE_WASM", &modules.folder);
        return mix::compare(&bench, example);
    }
    if !arguments.only_tests {
        for folder in [&host, &embedded] {
            cargo(folder, "fmt --check")?;
            cargo(folder, "clippy --release --all-targets -- -D warnings")?;
        }
        cargo(
            &workspace.root,
            "clippy --release -p libpglite -p pglite --features pglite/wasm --all-targets -- -D warnings",
        )?;
    }
    let test = arguments.test.as_deref().unwrap_or_default();
    for folder in [&host, &embedded] {
        cargo(folder, &format!("test --release {test}"))?;
    }
    cargo(&workspace.root, &format!("test --release -p libpglite --features wasm --test wasm {test}"))?;
    if arguments.test.is_some() { Ok(()) } else { examples() }
}
