//! Stock servers to measure against: the same source, built and installed as it is.
//!
//! An installation is kept in the cache by source, options and compiler; the tree that it was built in is not.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::hash::Sum;
use crate::layout::Cache;
use crate::progress::{Progress, Step};
use crate::recipe::options;
use crate::{child, key, prune, source, tools, version};

/// About how many lines `configure` prints, and how many objects `make` compiles. Only bars are
/// drawn from them.
const CHECKS: u64 = 295;
const OBJECTS: u64 = 1130;

/// The client programs and the test programs, as folders of the build tree.
const CLIENTS: [&str; 6] = [
    "src/interfaces/libpq",
    "src/bin/pg_config",
    "src/bin/psql",
    "src/bin/scripts",
    "src/test/regress",
    "src/test/isolation",
];

/// What extensions are compiled with, likewise.
const INSTALLED: [&str; 6] = ["config", "src/include", "src/makefiles", "src/port", "src/common", "src/fe_utils"];

/// How a stock server is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flavour {
    /// gcc -O2, as distributions do.
    Gcc,
    /// The clang that libpglite itself is compiled with, -O2 and whole-program optimisation.
    Clang,
    /// As libpglite is compiled, and counts what it does: each process adds its counts to files in the directory it works in. See the
    /// module `profile`.
    Instrumented,
}

impl Flavour {
    /// What it is called in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gcc => "stock, gcc -O2",
            Self::Clang => "stock, clang -O2 -flto",
            Self::Instrumented => "stock, instrumented",
        }
    }

    fn compiler(self) -> Result<PathBuf> {
        match self {
            Self::Gcc => Ok("gcc".into()),
            Self::Clang | Self::Instrumented => tools::llvm("clang"),
        }
    }

    /// What configures the build, beside the prefix.
    fn arguments(self, compiler: &Path) -> Result<Vec<String>> {
        // The libraries that a server may use for its work must be the same on all sides. Those that only compress are
        // not used unless they are asked for; what edits lines in a terminal does not matter.
        let own = options::configure_arguments().into_iter().filter(|argument| argument.starts_with("--with"));
        let mut arguments: Vec<String> = ["--without-readline".into()].into_iter().chain(own).collect();
        arguments.push("--without-zlib".into());
        arguments.push(format!("CC={}", compiler.display()));
        match self {
            Self::Gcc => arguments.push("CFLAGS=-O2".into()),
            Self::Clang => {
                arguments.push("CFLAGS=-O2 -flto".into());
                arguments.push(format!("AR={}", tools::llvm("llvm-ar")?.display()));
                arguments.push(format!("RANLIB={}", tools::llvm("llvm-ranlib")?.display()));
                arguments.push(format!("LDFLAGS=--ld-path={}", tools::llvm("ld.lld")?.display()));
            }
            Self::Instrumented => {
                arguments.push(format!("CPPFLAGS={}", options::CPPFLAGS));
                arguments.push("CFLAGS=-O2 -fPIC -fprofile-instr-generate=%4m.profraw".into());
            }
        }
        Ok(arguments)
    }
}

/// Builds and installs a stock server, or finds it in the cache. Returns the folder with `bin`, `lib` and `share`.
pub fn install(flavour: Flavour, may_install: bool, cache: &Cache, progress: &Progress) -> Result<PathBuf> {
    let make = |tree: &Tree<'_>| {
        tree.make("", &[], &format!("compile {}", tree.title), OBJECTS)?;
        tree.make("", &["-s", "install"], &format!("install {}", tree.title), 0)
    };
    build("stock 1", flavour, may_install, cache, progress, make)
}

/// As [`install`], without the server: `psql`, the programs that run tests, libpq, and what compiling an extension needs.
pub fn install_clients(may_install: bool, cache: &Cache, progress: &Progress) -> Result<PathBuf> {
    let make = |tree: &Tree<'_>| {
        tree.make("src/backend", &["generated-headers"], "make PostgreSQL's headers", 0)?;
        CLIENTS.iter().try_for_each(|part| tree.make(part, &["all"], &format!("compile {part}"), 0))?;
        tree.make("src", &["install-local"], "install the makefiles", 0)?;
        INSTALLED
            .iter()
            .chain(&CLIENTS)
            .try_for_each(|part| tree.make(part, &["install"], &format!("install {part}"), 0))
    };
    build("stock clients 1", Flavour::Gcc, may_install, cache, progress, make)
}

/// A configured build tree of a stock server.
struct Tree<'a> {
    build: PathBuf,
    stage: PathBuf,
    title: String,
    compiler: PathBuf,
    progress: &'a Progress,
}

impl Tree<'_> {
    /// Runs `make` in a folder of it. `objects`: about how many are compiled.
    fn make(&self, inside: &str, arguments: &[&str], title: &str, objects: u64) -> Result<()> {
        let mut command = child::command("make");
        let jobs = std::thread::available_parallelism().map_or(1, |jobs| jobs.get());
        command.arg("-C").arg(self.build.join(inside)).arg(format!("-j{jobs}")).args(arguments);
        command.arg(format!("DESTDIR={}", self.stage.display()));
        let prefix = format!("{} ", self.compiler.display());
        let step = self.progress.step(title, objects);
        counted(command, step, &|line| line.starts_with(&prefix) && line.contains(" -c "))
    }
}

/// Finds an installation in the cache, or configures a tree, lets `make` compile and install it, and keeps what it has installed.
fn build(
    kind: &str,
    flavour: Flavour,
    may_install: bool,
    cache: &Cache,
    progress: &Progress,
    make: impl FnOnce(&Tree<'_>) -> Result<()>,
) -> Result<PathBuf> {
    let _lock = cache.lock(|| progress.note("waiting for another build to finish ..."))?;
    let source = source::obtain(cache, progress)?;
    tools::ensure(progress, may_install)?;
    let compiler = flavour.compiler()?;
    let arguments = flavour.arguments(&compiler)?;
    let mut sum = Sum::default();
    sum.part(kind).part(&source.checksum).part(version::host_target()).part(banner(&compiler)?);
    for argument in &arguments {
        sum.part(argument);
    }
    let folder = cache.folder("stock").join(key::short(sum));
    let installed = folder.join("install");
    if installed.exists() {
        prune::touch(&folder);
        return Ok(installed);
    }

    let (build, unpacked, configured) = (folder.join("build"), folder.join("unpacked"), folder.join("configured"));
    let title = format!("PostgreSQL {} ({})", source.version, flavour.name());
    // make goes on where it was stopped; all before it begins again
    if !configured.exists() {
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        std::fs::create_dir_all(&build).with_context(|| format!("cannot create {}", build.display()))?;
        let step = progress.step("unpack the source", 0);
        let tree = source.tree(&unpacked)?;
        step.finish("");
        let mut command = child::command(tree.join("configure"));
        command.current_dir(&build).arg(format!("--prefix={}", installed.display())).args(&arguments);
        counted(command, progress.step(&format!("configure {title}"), CHECKS), &|line| line.starts_with("checking "))?;
        std::fs::write(&configured, "").with_context(|| format!("cannot write {}", configured.display()))?;
    }

    // Whoever finds the folder finds all of it.
    let stage = folder.join("stage");
    make(&Tree { build: build.clone(), stage: stage.clone(), title, compiler, progress })?;
    let staged = stage.join(installed.strip_prefix("/").unwrap_or(&installed));
    std::fs::rename(&staged, &installed).with_context(|| format!("cannot write {}", installed.display()))?;
    for leftover in [stage, build, unpacked] {
        if leftover.exists() {
            std::fs::remove_dir_all(&leftover).with_context(|| format!("cannot remove {}", leftover.display()))?;
        }
    }
    Ok(installed)
}

/// The first line of a compiler's `--version`.
fn banner(compiler: &Path) -> Result<String> {
    let text = child::output(Command::new(compiler).arg("--version"))?;
    match text.lines().next() {
        Some(line) => Ok(line.to_owned()),
        None => bail!("{} does not say its version", compiler.display()),
    }
}

/// Runs a command as a step; `counts` says which lines are progress.
fn counted(command: Command, mut step: Step<'_>, counts: &dyn Fn(&str) -> bool) -> Result<()> {
    child::lines(command, &mut |line| {
        if counts(line) {
            step.advance();
        }
    })?;
    step.finish("");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_those_of_libpglite_and_nothing_else_is() {
        let arguments = Flavour::Gcc.arguments(Path::new("gcc")).unwrap();
        for argument in options::configure_arguments() {
            assert_eq!(arguments.contains(&argument), argument.starts_with("--with"), "{argument}");
        }
        assert!(arguments.contains(&"CFLAGS=-O2".to_owned()) && !arguments.iter().any(|a| a.contains("EXEC_BACKEND")));
    }
}
