//! `cargo xtask build`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use postgres_build::child;
use postgres_build::layout::{Cache, Workspace};
use postgres_build::pipeline::{self, Request};
use postgres_build::prepared::Prepared;
use postgres_build::progress::Progress;
use postgres_build::{version, wasm};

/// What to build.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Target triple
    #[arg(long, value_name = "TRIPLE", default_value_t = version::host_target())]
    target: String,
    /// Leave out the template cluster
    #[arg(long)]
    no_template: bool,
    /// Make the template cluster again, even if it is there
    #[arg(long, conflicts_with = "no_template")]
    remake_template: bool,
    /// Never install missing tools
    #[arg(long)]
    no_install: bool,
    /// With the functions of PostgreSQL's regression tests; for WebAssembly only
    #[arg(long)]
    tests: bool,
    /// Write the path of the prepared build to this file
    #[arg(long, value_name = "FILE", hide = true)]
    result_file: Option<PathBuf>,
}

/// Builds, then says what there is.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let progress = Progress::new();
    if arguments.target == wasm::TARGET {
        return for_webassembly(arguments, &progress);
    }
    ensure!(!arguments.tests, "--tests is for --target {}; here the stock build's are loaded", wasm::TARGET);
    let request = Request {
        target: arguments.target.clone(),
        may_install: !arguments.no_install,
        template: !arguments.no_template,
        template_again: arguments.remake_template,
    };
    let prepared = pipeline::build(&request, &Workspace::compiled_from(), &Cache::from_environment()?, &progress)?;
    if let Some(path) = &arguments.result_file {
        std::fs::write(path, prepared.folder.as_os_str().as_encoded_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    summary(&prepared, &progress)
}

/// The prepared build for this machine: tests and the demonstration set everything up themselves.
pub(crate) fn for_this_machine() -> Result<Prepared> {
    let request = Request { target: version::host_target(), may_install: true, template: true, template_again: false };
    pipeline::build(&request, &Workspace::compiled_from(), &Cache::from_environment()?, &Progress::new())
}

/// The WebAssembly modules, which are no prepared build.
fn for_webassembly(arguments: &Arguments, progress: &Progress) -> Result<()> {
    let (workspace, cache) = (Workspace::compiled_from(), Cache::from_environment()?);
    let contents = if arguments.tests { wasm::Contents::Tests } else { wasm::Contents::Release };
    let modules = wasm::build(contents, !arguments.no_install, &workspace, &cache, progress)?;
    if let Some(path) = &arguments.result_file {
        std::fs::write(path, modules.folder.as_os_str().as_encoded_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let description = &modules.description;
    println!("PostgreSQL {} for {} in {}", description.postgres_version, wasm::TARGET, modules.folder.display());
    println!("{} loadable modules linked in", description.modules.len());
    for path in [modules.reactor(), modules.command()] {
        println!("{:>10.1} MB  {}", megabytes(&path)?, path.file_name().unwrap_or_default().display());
    }
    steps(progress);
    Ok(())
}

fn summary(prepared: &Prepared, progress: &Progress) -> Result<()> {
    let manifest = &prepared.manifest;
    println!("PostgreSQL {} for {} in {}", manifest.postgres_version, manifest.target, prepared.folder.display());
    println!(
        "{} programs ({}), {} modules",
        manifest.programs.len(),
        manifest.programs.join(", "),
        manifest.modules.len()
    );
    let mut files = vec![prepared.library(), prepared.share_bundle()];
    files.extend(prepared.template_bundle());
    for path in files {
        println!("{:>10.1} MB  {}", megabytes(&path)?, path.file_name().unwrap_or_default().display());
    }
    steps(progress);
    Ok(())
}

fn steps(progress: &Progress) {
    let steps = progress.finished();
    for (name, duration) in &steps {
        println!("{:>10.1} s   {name}", duration.as_secs_f64());
    }
    if steps.is_empty() {
        println!("everything was in the cache");
    }
}

/// A file's size in megabytes.
pub(crate) fn megabytes(path: &Path) -> Result<f64> {
    let size = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    Ok(size as f64 / 1e6)
}

/// Builds programs of the workspace in a profile of cargo's; their paths, in the same order.
pub(crate) fn programs<const N: usize>(
    workspace: &Workspace,
    progress: &Progress,
    profile: &str,
    names: [&str; N],
) -> Result<[PathBuf; N]> {
    programs_with(workspace, progress, profile, names, &|_| ())
}

/// As [`programs`]; `more` adds arguments and variables of cargo's.
pub(crate) fn programs_with<const N: usize>(
    workspace: &Workspace,
    progress: &Progress,
    profile: &str,
    names: [&str; N],
    more: &dyn Fn(&mut std::process::Command),
) -> Result<[PathBuf; N]> {
    let step = progress.step(&format!("build {}", names.join(" and ")), 0);
    let mut command = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&workspace.root).args(["build", "--profile", profile]);
    command.args(names.map(|name| format!("--package={name}"))).arg("--message-format=json-render-diagnostics");
    more(&mut command);
    let mut found = BTreeMap::new();
    child::lines(command, &mut |line| {
        if let Ok(message) = serde_json::from_str::<serde_json::Value>(line)
            && let (Some(name), Some(path)) = (message["target"]["name"].as_str(), message["executable"].as_str())
        {
            found.insert(name.to_owned(), PathBuf::from(path));
        }
    })?;
    step.finish("");
    let paths: Option<Vec<PathBuf>> = names.iter().map(|name| found.remove(*name)).collect();
    paths.and_then(|paths| paths.try_into().ok()).context("cargo does not say where it has put the programs")
}
