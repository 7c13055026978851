//! The hosts in other languages (`examples/*-wasi`), each with its own toolchain. One that the machine does not have is left out, and named.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use postgres_build::child;

use crate::folder::{self, Folder};

/// A suite takes half a minute; Chicory's compiler another one, once.
const LIMIT: Duration = Duration::from_secs(900);

/// An example, what it needs, and what prepares and runs its test.
struct Host {
    name: &'static str,
    needs: &'static [&'static str],
    test: fn(&Place) -> Result<()>,
}

const HOSTS: [Host; 4] = [
    Host { name: "python-wasi", needs: &["python3"], test: python },
    Host { name: "go-wasi", needs: &["go"], test: go },
    Host { name: "jvm-wasi", needs: &["java", "javac", "mvn"], test: jvm },
    Host { name: "node-wasi", needs: &["node", "npm"], test: node },
];

/// Where a host's test runs.
struct Place<'a> {
    /// The example.
    source: PathBuf,
    /// A folder for this run.
    scratch: PathBuf,
    /// What is kept between runs.
    kept: PathBuf,
    modules: &'a Path,
}

/// Tests all hosts, also after one has failed.
pub(super) fn run(examples: &Path, modules: &Path, cache: &Path) -> Result<()> {
    let scratch = Folder::create(&std::env::temp_dir())?;
    let mut failed = Vec::new();
    for host in HOSTS {
        println!("\n== examples/{}", host.name);
        let missing: Vec<_> = host.needs.iter().filter(|program| !is_there(program)).copied().collect();
        if !missing.is_empty() {
            println!("NOT TESTED: examples/{}, since there is no {} here", host.name, missing.join(", "));
            continue;
        }
        let place = Place {
            source: examples.join(host.name),
            scratch: scratch.join(host.name),
            kept: cache.join(host.name),
            modules,
        };
        std::fs::create_dir_all(&place.scratch)?;
        std::fs::create_dir_all(&place.kept)?;
        if let Err(error) = (host.test)(&place) {
            println!("FAILED: examples/{}: {error:#}", host.name);
            failed.push(host.name);
        }
    }
    ensure!(failed.is_empty(), "these hosts failed: {}", failed.join(", "));
    Ok(())
}

fn is_there(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(program).is_file())
}

impl Place<'_> {
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = child::command(program);
        command.env("LC_ALL", "C.UTF-8").env("PGLITE_WASM", self.modules).current_dir(&self.source);
        command
    }
}

fn show(command: Command) -> Result<()> {
    child::lines_within(command, LIMIT, &mut |line| println!("{line}"))
}

fn python(place: &Place<'_>) -> Result<()> {
    let environment = place.kept.join("venv");
    let python = environment.join("bin/python");
    let mut command = place.command(&python);
    command.args(["-c", "import wasmtime"]);
    if child::run(command).is_err() {
        let mut command = place.command("python3");
        command.args(["-m", "venv", "--clear"]).arg(&environment);
        if child::run(command).is_err() {
            println!("NOT TESTED: this Python cannot make environments (Debian: python3-venv)");
            return Ok(());
        }
        let mut command = place.command(&python);
        command.args(["-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"]);
        child::run(command)?;
    }
    let mut command = place.command(&python);
    command.arg("test_pglite.py").env("PYTHONDONTWRITEBYTECODE", "1");
    show(command)
}

fn go(place: &Place<'_>) -> Result<()> {
    let mut command = place.command("go");
    command.args(["vet", "./..."]);
    child::run(command)?;
    let mut command = place.command("go");
    command.args(["test", "-count=1", "./..."]);
    show(command)
}

fn jvm(place: &Place<'_>) -> Result<()> {
    let libraries = place.kept.join("lib");
    let mut command = place.command("mvn");
    command.args(["--quiet", "--batch-mode", "dependency:copy-dependencies"]);
    command.arg(format!("-DoutputDirectory={}", libraries.display()));
    child::run(command)?;
    let class_path = format!("{}/*:{}", libraries.display(), place.scratch.display());
    let mut command = place.command("javac");
    command.args(["-cp", &class_path, "-d"]).arg(&place.scratch).args(["Backend.java", "Repl.java", "Check.java"]);
    child::run(command)?;
    let mut command = place.command("java");
    command.args(["-cp", &class_path, "Check"]).arg(place.modules).arg(place.scratch.join("prefix"));
    show(command)
}

fn node(place: &Place<'_>) -> Result<()> {
    // npm writes beside the sources.
    folder::copy(&place.source, &place.scratch, None)?;
    let npm = |words: &[&str]| {
        let mut command = place.command("npm");
        command.current_dir(&place.scratch).args(words);
        command
    };
    child::run(npm(&["install", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    show(npm(&["test"]))
}
