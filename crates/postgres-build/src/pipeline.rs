//! From a source to a prepared build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::compile::{self, Tree};
use crate::layout::{Cache, Workspace};
use crate::prepared::{self, Manifest, Prepared};
use crate::progress::Progress;
use crate::recipe::{codegen, glue, options, share, unit};
use crate::record::Links;
use crate::source::{self, Source};
use crate::{child, hash, key, pack, prune, template, tools, version};

/// What to do.
#[derive(Debug, Clone)]
pub struct Request {
    /// Target triple; only this machine's can be built as yet.
    pub target: String,
    /// Whether missing tools may be installed.
    pub may_install: bool,
    /// Whether the template cluster is made as well.
    pub template: bool,
    /// Whether it is made even if it is there.
    pub template_again: bool,
}

/// Makes a prepared build, or finds it in the cache.
pub fn build(request: &Request, workspace: &Workspace, cache: &Cache, progress: &Progress) -> Result<Prepared> {
    let host = version::host_target();
    ensure!(request.target == host, "cannot build for {}: as yet only for this machine, {host}", request.target);
    let _lock = cache.lock(|| progress.note("waiting for another build to finish ..."))?;
    let source = source::obtain(cache, progress)?;
    let key = key::prepared(workspace, &source.checksum, &request.target)?;
    let folder = cache.prepared(&key);
    let prepared = match Prepared::open(&folder) {
        Ok(prepared) => prepared,
        Err(_) => {
            tools::ensure(progress, request.may_install)?;
            prepare(&source, &key, request, workspace, cache, progress)?
        }
    };
    prune::touch(&prepared.folder);
    if request.template {
        template::make(&prepared, workspace, cache, request.template_again, progress)?;
    }
    Ok(prepared)
}

fn prepare(
    source: &Source,
    key: &str,
    request: &Request,
    workspace: &Workspace,
    cache: &Cache,
    progress: &Progress,
) -> Result<Prepared> {
    // configure keeps one processor busy: the pass is built on the others meanwhile
    let (tree, pass) = std::thread::scope(|scope| {
        let pass = scope.spawn(|| codegen::build_pass(workspace, cache, progress));
        let tree = compile::compile(source, &request.target, workspace, cache, progress);
        (tree, pass.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let (tree, pass) = (tree?, pass?);
    prune::touch(tree.build.parent().unwrap_or(&tree.build));

    let work = cache.work("build")?;
    let units = units(&tree, workspace, &work)?;
    let objects = |units: &[unit::Unit]| -> Result<Vec<PathBuf>> {
        units.iter().map(|unit| codegen::compile(unit, &pass, cache, &work, progress)).collect()
    };
    let (server, clients) = (objects(&units.server)?, objects(&units.clients)?);

    let output = cache.work("prepared")?;
    let step = progress.step("make the libraries", 0);
    let debug = output.join(prepared::DEBUG);
    codegen::archive(prepared::LIBRARY, &server, &output, &debug)?;
    codegen::archive(prepared::CLIENTS_LIBRARY, &clients, &output, &debug)?;
    for unit in units.all() {
        let report = format!("{}.report.json", unit.name);
        std::fs::copy(work.join(&report), output.join(prepared::DEBUG).join(&report))?;
    }
    step.finish("");

    let mut manifest = Manifest {
        key: key.into(),
        postgres_version: source.version.clone(),
        source_checksum: source.checksum.clone(),
        target: request.target.clone(),
        compiler: compiler()?,
        programs: names(&units.server),
        clients: names(&units.clients),
        modules: units.all().flat_map(|unit| &unit.modules).map(|module| module.name.clone()).collect(),
        system_libraries: system_libraries(&units),
        ..Prepared::empty_manifest()
    };
    let result = Prepared { folder: output.clone(), manifest: manifest.clone() };
    let step = progress.step("pack the share files", 0);
    let bundle = pack::bundle_manifest(&manifest, BTreeMap::new());
    let programs = [manifest.programs.as_slice(), &manifest.clients].concat();
    let bytes = share::pack(&tree, &work.join("stage"), bundle, &programs, &manifest.modules)?;
    std::fs::write(result.share_bundle(), &bytes).context("cannot write the share bundle")?;
    step.finish(&format!("{} kB", bytes.len() / 1000));

    for path in result.files() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        manifest.checksums.insert(name, hash::file(&path)?);
    }
    Prepared::create(&result.folder, &manifest)?;
    let folder = publish(&output, &cache.prepared(key))?;
    std::fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    prune::prune(cache)?;
    Prepared::open(&folder)
}

/// The units by the library that they go to.
struct Units {
    server: Vec<unit::Unit>,
    clients: Vec<unit::Unit>,
}

impl Units {
    fn all(&self) -> impl Iterator<Item = &unit::Unit> {
        self.server.iter().chain(&self.clients)
    }
}

/// The units, with the glue compiled.
fn units(tree: &Tree, workspace: &Workspace, work: &Path) -> Result<Units> {
    let links = Links::read(&tree.build)?;
    let objects = glue::compile(tree, workspace, work)?;
    let (wrap, names) = (glue::wrapped(&workspace.glue()), workspace.names());
    let server = unit::server(&links, &objects, wrap, &names)?;
    let initdb = unit::programs(options::INITDB, &[options::INITDB], &links, &names)?;
    let clients = unit::programs("clients", &options::CLIENTS, &links, &names)?;
    Ok(Units { server: vec![server, initdb], clients: vec![clients] })
}

fn names(units: &[unit::Unit]) -> Vec<String> {
    units.iter().flat_map(|unit| &unit.programs).map(|program| program.name.clone()).collect()
}

fn system_libraries(units: &Units) -> Vec<String> {
    let mut names: Vec<String> = units.all().flat_map(|unit| unit.system_libraries.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// Moves a finished folder to its place in the cache: whoever finds it there finds all of it.
fn publish(output: &Path, folder: &Path) -> Result<PathBuf> {
    let context = || format!("cannot write {}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(context)?;
    }
    std::fs::create_dir_all(folder.parent().unwrap_or(folder)).with_context(context)?;
    std::fs::rename(output, folder).with_context(context)?;
    Ok(folder.to_owned())
}

fn compiler() -> Result<String> {
    let text = child::output(child::command(tools::llvm("clang")?).arg("--version"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
