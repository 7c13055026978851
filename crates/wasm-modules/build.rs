//! Finds the modules, or has them made, and packs what a program needs of them.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use bundle::{Manifest, WriteOptions, Writer};
use postgres_build::hash::Sum;
use postgres_build::layout::{Cache, Workspace};
use postgres_build::{environment, key};

/// A folder with modules, instead of those of this checkout.
const FOLDER: &str = "PGLITE_WASM";
const TARGET: &str = "wasm32-wasip1";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    for name in [FOLDER, "PGLITE_POSTGRES_SOURCE", "XDG_CACHE_HOME"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let out = PathBuf::from(variable("OUT_DIR")?);
    let folder = match std::env::var_os(FOLDER).filter(|value| !value.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => build(&out)?,
    };
    let manifest = folder.join("manifest.json");
    println!("cargo::rerun-if-changed={}", manifest.display());
    let context =
        || format!("{} has no WebAssembly modules: `cargo xtask build --target {TARGET}` makes some", folder.display());
    let description: serde_json::Value = serde_json::from_slice(&std::fs::read(&manifest).with_context(context)?)?;
    let version = description["postgres_version"].as_str().context("the modules' manifest has no version")?.to_owned();
    pack(&folder, version, &out)
}

/// The result of a nested `cargo xtask build`, which is in the cache where nothing has changed.
fn build(out: &Path) -> Result<PathBuf> {
    let workspace = Workspace::compiled_from();
    for input in key::wasm_inputs(&workspace) {
        println!("cargo::rerun-if-changed={}", input.display());
    }
    let result = out.join("folder");
    let mut command = Command::new(variable("CARGO")?);
    environment::clean(&mut command);
    command.current_dir(&workspace.root);
    command.args(["run", "--release", "--package", "xtask", "--target-dir"]);
    command.arg(Cache::from_environment()?.folder("cargo"));
    command.args(["--", "build", "--no-install", "--target", TARGET, "--result-file"]).arg(&result);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().context("cannot start cargo")?;
    ensure!(
        status.success(),
        "the WebAssembly modules could not be built; the reason is above. To see it work, run\n\n    \
         cargo xtask build --target {TARGET}\n\nor name a folder with modules in {FOLDER}"
    );
    let folder = std::fs::read_to_string(&result).context("cannot read what `cargo xtask build` has made")?;
    Ok(folder.into())
}

fn pack(folder: &Path, version: String, out: &Path) -> Result<()> {
    let manifest = Manifest { postgres_version: version.clone(), target: TARGET.into(), ..Manifest::default() };
    let mut writer = Writer::new(manifest);
    let module = folder.join("pglite-stdio.wasm");
    let code = std::fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    writer.add_file("pglite-stdio.wasm", 0o644, "code", code)?;
    // Databases of a cluster are copies of each other, and share files are small.
    let group = |path: &str| if path.starts_with("template/") { "template".into() } else { "share".to_owned() };
    writer.add_tree("root", &folder.join("root"), &group)?;
    ensure!(folder.join("root/template/PG_VERSION").exists(), "{} has no template cluster", folder.display());
    let bytes = writer.finish(&WriteOptions::default())?;
    let mut sum = Sum::default();
    sum.part(&bytes);
    let mut key = sum.finish();
    key.truncate(32);
    let path = out.join("modules.bundle");
    std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    let text = format!(
        "static BUNDLE: &[u8] = include_bytes!({path:?});\nconst KEY: &str = {key:?};\nconst VERSION: &str = {version:?};\n"
    );
    std::fs::write(out.join("modules.rs"), text).context("cannot write to OUT_DIR")
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("cargo has not set {name}"))
}
