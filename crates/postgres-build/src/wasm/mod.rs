//! PostgreSQL as a WebAssembly module: `cargo xtask build --target wasm32-wasip1`.
//!
//! ```text
//! source ──> build tree ──┐
//! crates/wasi-guest ──────┼──> libpglite.wasm, pglite-stdio.wasm, initdb.wasm ──> template, by initdb.wasm in wasm-host
//! glue ───────────────────┘
//! ```
//!
//! All of it is apart from the build for this machine: another tree, another key, and nothing here changes what that depends on.

mod guest;
mod link;
mod modules;
mod source;
mod tables;
mod toolchain;
mod tree;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::hash::{self, Sum};
use crate::layout::{Cache, Workspace};
use crate::progress::Progress;
use crate::{child, key, programs, prune, source as postgres, tools};

pub use toolchain::Toolchain;

/// The one target.
pub const TARGET: &str = "wasm32-wasip1";

/// A finished build: a folder of the cache.
#[derive(Debug, Clone)]
pub struct Modules {
    /// The folder.
    pub folder: PathBuf,
    /// What it says of itself.
    pub description: Description,
}

/// `manifest.json` of a build.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Description {
    /// Its key.
    pub key: String,
    /// PostgreSQL's version.
    pub postgres_version: String,
    /// SHA-256 of PostgreSQL's source.
    pub source_checksum: String,
    /// The loadable modules that are linked in.
    pub modules: Vec<String>,
}

impl Modules {
    /// The module with the draft's interface.
    pub fn reactor(&self) -> PathBuf {
        self.folder.join("libpglite.wasm")
    }

    /// The command on the standard streams.
    pub fn command(&self) -> PathBuf {
        self.folder.join("pglite-stdio.wasm")
    }

    /// What a host opens as `/pglite` for them: share files, the template.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("manifest.json");
        let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { folder: folder.into(), description: serde_json::from_slice(&text)? })
    }
}

/// What is in a build beside PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// What users get.
    Release,
    /// The functions of PostgreSQL's regression tests as well (`regress.so`).
    Tests,
}

/// Cargo's target folder for `crates/wasm-host`, whose dependencies nobody wants to compile twice.
pub fn host_target(workspace: &Workspace, cache: &Cache) -> Result<PathBuf> {
    programs::named(workspace, cache, "cargo-wasm-host", "release")
}

/// Makes the modules and the template, or finds them in the cache.
pub fn build(
    contents: Contents,
    may_install: bool,
    workspace: &Workspace,
    cache: &Cache,
    progress: &Progress,
) -> Result<Modules> {
    let _lock = cache.lock(|| progress.note("waiting for another build to finish ..."))?;
    let source = postgres::obtain(cache, progress)?;
    let mut sum = Sum::default();
    sum.part("wasm 2").part(&source.checksum);
    for input in key::WASM_INPUTS {
        sum.tree(&workspace.root, Path::new(input))?;
    }
    if contents == Contents::Tests {
        sum.part("tests");
    }
    let key = key::short(sum);
    let folder = cache.folder("wasm").join(&key);
    let modules = match Modules::open(&folder) {
        Ok(modules) => modules,
        Err(_) => {
            tools::ensure(progress, may_install)?;
            let toolchain = Toolchain::find(may_install, cache, progress)?;
            make(contents, &source, &key, &folder, &toolchain, workspace, cache, progress)?
        }
    };
    template(&modules, workspace, cache, progress)?;
    prune::touch(&modules.folder);
    Ok(modules)
}

#[expect(clippy::too_many_arguments, reason = "a step of `build`, which has all of these")]
fn make(
    contents: Contents,
    source: &postgres::Source,
    key: &str,
    folder: &Path,
    toolchain: &Toolchain,
    workspace: &Workspace,
    cache: &Cache,
    progress: &Progress,
) -> Result<Modules> {
    let guest = guest::build(toolchain, workspace, cache, progress)?;
    let tree = tree::compile(source, &guest, toolchain, workspace, cache, progress)?;
    if contents == Contents::Tests {
        tree::compile_tests(&tree)?;
    }
    let output = cache.work("wasm")?;

    let step = progress.step("link the modules", 0);
    let work = output.join("work");
    std::fs::create_dir_all(&work)?;
    let linked = link::link(contents, &tree, &guest, toolchain, workspace, &work, &output)?;
    step.finish("");

    let step = progress.step("install the share files", 0);
    tree::install(&tree, &linked.modules, &linked.tables, &output.join("work/stage"), &output.join("root"))?;
    step.finish("");

    std::fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    let description = Description {
        key: key.into(),
        postgres_version: source.version.clone(),
        source_checksum: source.checksum.clone(),
        modules: linked.modules,
    };
    std::fs::write(output.join("manifest.json"), serde_json::to_vec_pretty(&description)?)?;
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder.parent().unwrap_or(folder))?;
    std::fs::rename(&output, folder).with_context(|| format!("cannot write {}", folder.display()))?;
    prune::prune(cache)?;
    Modules::open(folder)
}

/// The template cluster, made by the modules themselves: `initdb.wasm`, whose commands run the command module, in a program of `wasm-host`.
fn template(modules: &Modules, workspace: &Workspace, cache: &Cache, progress: &Progress) -> Result<()> {
    let mut sum = Sum::default();
    sum.part(&modules.description.key);
    for input in key::WASM_TEMPLATE_INPUTS {
        sum.tree(&workspace.root, Path::new(input))?;
    }
    let key = key::short(sum);
    let (template, mark) = (modules.root().join("template"), modules.folder.join("template.key"));
    if template.join("PG_VERSION").exists() && std::fs::read_to_string(&mark).is_ok_and(|found| found == key) {
        return Ok(());
    }
    let work = cache.work("wasm-template")?;
    let step = progress.step("make the template cluster", 0);
    let mut command = child::cargo();
    command.current_dir(workspace.root.join("crates/wasm-host"));
    command.args(["run", "--release", "--bin", "wasm-mkcluster", "--target-dir"]).arg(host_target(workspace, cache)?);
    command.arg("--").arg(&modules.folder).arg(&work);
    child::run(command).context("cannot make the template cluster")?;
    ensure!(work.join("PG_VERSION").exists(), "wasm-mkcluster has left no cluster in {}", work.display());
    if template.exists() {
        std::fs::remove_dir_all(&template)?;
    }
    std::fs::rename(&work, &template).with_context(|| format!("cannot write {}", template.display()))?;
    std::fs::write(&mark, key)?;
    let size: u64 = hash::files_below(&template)?.iter().filter_map(|file| Some(file.metadata().ok()?.len())).sum();
    step.finish(&format!("{:.1} MB", size as f64 / 1e6));
    Ok(())
}
