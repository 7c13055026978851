//! Configures and compiles PostgreSQL outside of its source tree. A build tree is kept in the cache
//! by source and options.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::hash::Sum;
use crate::layout::{Cache, Workspace};
use crate::progress::Progress;
use crate::recipe::{self, libraries, options};
use crate::source::Source;
use crate::{child, key, profile, tools};

/// About how many lines `configure` prints, and how many objects `make` compiles. Only bars are
/// drawn from them.
const CHECKS: u64 = 295;
const OBJECTS: u64 = 1430;

/// A compiled source tree.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The source.
    pub source: PathBuf,
    /// The build tree, with its objects and records.
    pub build: PathBuf,
}

/// Compiles a source, unless that has been done.
pub fn compile(
    source: &Source,
    target: &str,
    workspace: &Workspace,
    cache: &Cache,
    progress: &Progress,
) -> Result<Tree> {
    let compiler = tools::llvm("clang")?;
    let folder = cache.folder("trees").join(tree_key(source, target, &compiler));
    let [unpacked, configured, complete] = ["unpacked", "configured", "complete"].map(|name| folder.join(name));
    let build = folder.join("build");
    if let Ok(path) = std::fs::read_to_string(&complete) {
        return Ok(Tree { source: path.into(), build });
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;

    let tree = match std::fs::read_to_string(&unpacked) {
        Ok(path) => PathBuf::from(path),
        Err(_) => {
            let step = progress.step("unpack the source", 0);
            let tree = source.tree(&folder.join("source"))?;
            mark(&unpacked, &tree)?;
            step.finish("");
            tree
        }
    };
    let recorder = folder.join("cc");
    let counters = folder.join("profile");
    profile::unpack(&counters)?;
    write_recorder(&recorder, &compiler, &counters)?;

    // make goes on where it was stopped; configure begins again
    if !configured.exists() {
        if build.exists() {
            std::fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))?;
        }
        std::fs::create_dir(&build).with_context(|| format!("cannot create {}", build.display()))?;
        let added = folder.join("libraries");
        libraries::compile(workspace, cache, &added, options::CFLAGS, progress)?;
        let mut command = child::command(tree.join("configure"));
        command.current_dir(&build).args(options::configure_arguments());
        command.args(libraries::configure_arguments(&added));
        command.arg(format!("CC={}", recorder.display()));
        for (variable, tool) in [("AR", "llvm-ar"), ("RANLIB", "llvm-ranlib")] {
            command.arg(format!("{variable}={}", tools::llvm(tool)?.display()));
        }
        command.arg(format!("LDFLAGS=--ld-path={}", tools::llvm("ld.lld")?.display()));
        let step = progress.step(&format!("configure PostgreSQL {}", source.version), CHECKS);
        logged(command, &folder.join("configure.log"), step, &|line| line.starts_with("checking "))?;
        mark(&configured, &build)?;
    }

    let jobs = std::thread::available_parallelism().map_or(1, |jobs| jobs.get());
    let mut command = child::command("make");
    command.env("RECORD_LINKS", "1").arg("-C").arg(&build).arg(format!("-j{jobs}")).arg("world-bin");
    let prefix = format!("{} ", recorder.display());
    let step = progress.step(&format!("compile PostgreSQL {}", source.version), OBJECTS);
    logged(command, &folder.join("make.log"), step, &|line| line.starts_with(&prefix) && line.contains(" -c "))?;
    mark(&complete, &tree)?;
    Ok(Tree { source: tree, build })
}

fn tree_key(source: &Source, target: &str, compiler: &Path) -> String {
    let mut sum = Sum::default();
    sum.part("tree 1").part(&source.checksum).part(target).part(recipe::RECORDER).part(recipe::PROFILE);
    sum.part(compiler.as_os_str().as_encoded_bytes());
    for argument in options::configure_arguments()
        .into_iter()
        .chain(libraries::versions())
        .chain(options::PROFILE_ARGUMENTS.map(str::to_owned))
    {
        sum.part(argument);
    }
    key::short(sum)
}

/// Notes that a stage is done, with a path that the next run needs.
fn mark(file: &Path, path: &Path) -> Result<()> {
    std::fs::write(file, path.as_os_str().as_encoded_bytes())
        .with_context(|| format!("cannot write {}", file.display()))
}

fn write_recorder(path: &Path, compiler: &Path, profile: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let script = recipe::RECORDER.replace("@COMPILER@", &compiler.display().to_string());
    let script = script.replace("@PROFILE@", &profile.display().to_string());
    let arguments = options::PROFILE_ARGUMENTS.map(|argument| format!("-mllvm {argument}")).join(" ");
    let script = script.replace("@PROFILE_ARGUMENTS@", &arguments);
    // an unchanged script keeps its time, though nothing in PostgreSQL's makefiles depends on it
    if std::fs::read_to_string(path).is_ok_and(|old| old == script) {
        return Ok(());
    }
    let context = || format!("cannot write {}", path.display());
    std::fs::write(path, script).with_context(context)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).with_context(context)
}

/// Runs a command with all its output in a log file; `counts` says which lines are progress.
pub(crate) fn logged(
    command: Command,
    log: &Path,
    step: crate::progress::Step<'_>,
    counts: &dyn Fn(&str) -> bool,
) -> Result<()> {
    logged_part(command, log, step, counts)?.finish("");
    Ok(())
}

/// As [`logged`], for a step of several commands: the step goes on.
pub(crate) fn logged_part<'a>(
    command: Command,
    log: &Path,
    mut step: crate::progress::Step<'a>,
    counts: &dyn Fn(&str) -> bool,
) -> Result<crate::progress::Step<'a>> {
    let context = || format!("cannot write {}", log.display());
    let mut file = std::io::BufWriter::new(std::fs::File::create(log).with_context(context)?);
    let mut written = Ok(());
    child::lines(command, &mut |line| {
        if written.is_ok() {
            written = writeln!(file, "{line}");
        }
        if counts(line) {
            step.advance();
        }
    })
    .with_context(|| format!("all of its output is in {}", log.display()))?;
    written.and_then(|()| file.flush()).with_context(context)?;
    Ok(step)
}
