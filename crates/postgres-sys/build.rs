//! Finds a prepared build of PostgreSQL, or has one made, and links it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use postgres_build::layout::{Cache, Workspace};
use postgres_build::prepared::{LIBRARY, MANIFEST, Prepared, TEMPLATE};
use postgres_build::{environment, key};

const PREBUILT: &str = "PGLITE_PREBUILT";
const SOURCE: &str = "PGLITE_POSTGRES_SOURCE";
const DEBUG: &str = "PGLITE_POSTGRES_DEBUG";

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
    for name in [PREBUILT, SOURCE, DEBUG, "XDG_CACHE_HOME"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let out = PathBuf::from(variable("OUT_DIR")?);
    let target = variable("TARGET")?;
    let prepared = find(&out, &target)?;
    prepared.check_target(&target)?;
    link(&prepared)?;
    generate(&prepared, &out.join("postgres.rs"))
}

/// What the user names, else what the cache has, else what a nested build makes.
fn find(out: &Path, target: &str) -> Result<Prepared> {
    if let Some(path) = named(PREBUILT) {
        let path = PathBuf::from(path);
        println!("cargo::rerun-if-changed={}", path.display());
        return Prepared::open_or_unpack(&path, &out.join("prebuilt")).with_context(|| format!("{PREBUILT} is set"));
    }
    let workspace = Workspace::compiled_from();
    for input in key::inputs(&workspace) {
        println!("cargo::rerun-if-changed={}", input.display());
    }
    if let Some(source) = named(SOURCE) {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    let cache = Cache::from_environment()?;
    let cached = cached(&workspace, &cache, target)?;
    let prepared = match cached {
        Some(prepared) => prepared,
        None => build(&workspace, &cache, out, target)?,
    };
    println!("cargo::rerun-if-changed={}", cache.folder("sources").display());
    Ok(prepared)
}

fn cached(workspace: &Workspace, cache: &Cache, target: &str) -> Result<Option<Prepared>> {
    // a source that the user names may have changed: only the builder can tell
    let Some(source) = cache.newest_source().filter(|_| named(SOURCE).is_none()) else {
        return Ok(None);
    };
    let key = key::prepared(workspace, &source.checksum, target)?;
    let Ok(prepared) = Prepared::open(&cache.prepared(&key)) else {
        return Ok(None);
    };
    let template = key::template(workspace, &key)?;
    let complete = template.is_none() || prepared.template().ok().map(|found| found.key) == template;
    Ok(complete.then_some(prepared))
}

/// Runs `cargo xtask build` in a target folder of its own, since this one is locked.
fn build(workspace: &Workspace, cache: &Cache, out: &Path, target: &str) -> Result<Prepared> {
    let result = out.join("prepared-folder");
    let mut command = Command::new(variable("CARGO")?);
    environment::clean(&mut command);
    command.current_dir(&workspace.root);
    command.args(["run", "--release", "--package", "xtask", "--target-dir"]).arg(cache.folder("cargo"));
    command.args(["--", "build", "--no-install", "--target", target, "--result-file"]).arg(&result);
    // cargo shows a build script's errors when it fails, and takes its output for directives
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().context("cannot start cargo")?;
    if !status.success() {
        bail!(
            "PostgreSQL could not be built; the reason is above. To see it work, run\n\n    cargo xtask build\n\n\
             or, without LLVM, name a prepared build from another machine in {PREBUILT}"
        );
    }
    let folder = std::fs::read_to_string(&result).context("cannot read what `cargo xtask build` has made")?;
    Prepared::open(Path::new(&folder))
}

fn link(prepared: &Prepared) -> Result<()> {
    let folder =
        if named(DEBUG).is_some_and(|value| value != "0") { prepared.debug_folder() } else { prepared.folder.clone() };
    if !folder.join(format!("lib{LIBRARY}.a")).exists() {
        bail!("{DEBUG} is set, but the prepared build in {} has no debug information", prepared.folder.display());
    }
    println!("cargo::rustc-link-search=native={}", folder.display());
    println!("cargo::rustc-link-lib=static={LIBRARY}");
    for library in &prepared.manifest.system_libraries {
        println!("cargo::rustc-link-lib={library}");
    }
    let template = prepared.template_bundle();
    println!("cargo::metadata=folder={}", prepared.folder.display());
    println!("cargo::metadata=libraries={}", folder.display());
    println!("cargo::metadata=manifest={}", prepared.folder.join(MANIFEST).display());
    println!("cargo::metadata=share_bundle={}", prepared.share_bundle().display());
    println!("cargo::rerun-if-changed={}", prepared.folder.join(MANIFEST).display());
    if let Some(template) = template {
        println!("cargo::metadata=template_bundle={}", template.display());
        println!("cargo::rerun-if-changed={}", prepared.folder.join(TEMPLATE).display());
    }
    Ok(())
}

/// Writes the part of the library that depends on what was built.
fn generate(prepared: &Prepared, path: &Path) -> Result<()> {
    let manifest = &prepared.manifest;
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string");
    line(format!("pub(crate) static VERSION: &str = {:?};", manifest.postgres_version));
    line(format!("pub(crate) static PROGRAMS: &[&str] = &{:?};", manifest.programs));
    line(format!("pub(crate) static MODULES: &[&str] = &{:?};", manifest.modules));
    line(format!("pub(crate) static SHARE: &[u8] = include_bytes!({:?});", prepared.share_bundle()));
    line(match prepared.template_bundle() {
        Some(path) => {
            format!("pub(crate) static TEMPLATE: Option<&[u8]> = Some(include_bytes!({path:?}));")
        }
        None => "pub(crate) static TEMPLATE: Option<&[u8]> = None;".into(),
    });
    line("unsafe extern \"C\" {".into());
    for (number, name) in manifest.programs.iter().enumerate() {
        // as in C, where a name has no `-`
        let symbol = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        line(format!(
            "    #[link_name = \"privatized_program_{symbol}\"] safe static PROGRAM_{number}: crate::Opaque;"
        ));
    }
    line("}".into());
    line("pub(crate) fn program(name: &str) -> Option<&'static crate::Opaque> {\n    match name {".into());
    for (number, name) in manifest.programs.iter().enumerate() {
        line(format!("        {name:?} => Some(&PROGRAM_{number}),"));
    }
    line("        _ => None,\n    }\n}".into());
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn named(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("cargo has not set {name}"))
}
