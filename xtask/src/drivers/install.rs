//! Installs drivers, each toolchain's in a folder of the cache, and says how their suites are started.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use postgres_build::child;
use postgres_build::layout::{Cache, Workspace};

use super::list::{Driver, Toolchain};

/// Where one toolchain's suites and drivers are.
pub(super) struct Installed {
    suites: PathBuf,
    cache: PathBuf,
}

/// Which program of a toolchain is missing.
pub(super) fn missing(toolchain: Toolchain) -> Option<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    // the cargo that runs us need not be in the path
    let program = toolchain.programs().iter().copied().find(|program| *program != "cargo" && !is_there(program));
    program.or_else(|| (toolchain == Toolchain::Python && !makes_environments()).then_some("python3-venv"))
}

/// Whether Python can make virtual environments: Debian has that in a package of its own.
fn makes_environments() -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", "import ensurepip, venv"]).stderr(std::process::Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Fetches the drivers of a toolchain, where that has not been done with the same versions before.
pub(super) fn fetch(toolchain: Toolchain, workspace: &Workspace, cache: &Cache) -> Result<Installed> {
    let installed = Installed {
        suites: workspace.root.join("tests/drivers").join(toolchain.name()),
        cache: cache.folder("drivers").join(toolchain.name()),
    };
    std::fs::create_dir_all(&installed.cache)
        .with_context(|| format!("cannot create {}", installed.cache.display()))?;
    match toolchain {
        Toolchain::Rust => installed.cargo("fetch"),
        Toolchain::Python => installed.python(),
        Toolchain::Node => installed.node(),
        Toolchain::Go => installed.go(&["mod", "download"]),
        Toolchain::Java => installed.java(),
    }?;
    Ok(installed)
}

impl Installed {
    /// Builds the suites, where there is something to build.
    pub(super) fn build(&self, toolchain: Toolchain) -> Result<()> {
        match toolchain {
            Toolchain::Rust => self.cargo("build"),
            Toolchain::Go => self.go(&["build", "-o", &self.cache.join("pgx").to_string_lossy(), "."]),
            Toolchain::Java => self.javac(),
            Toolchain::Python | Toolchain::Node => Ok(()),
        }
    }

    /// The command that runs a driver's suite.
    pub(super) fn command(&self, driver: &Driver) -> Command {
        let program = match driver.toolchain {
            Toolchain::Rust => self.cache.join("debug/rust-drivers"),
            Toolchain::Python => self.cache.join("venv/bin/python"),
            Toolchain::Node => "node".into(),
            Toolchain::Go => self.cache.join("pgx"),
            Toolchain::Java => "java".into(),
        };
        // a suite that hangs must not hang the run
        let mut command = child::command("timeout");
        command.args(["--foreground", "--kill-after=5", "300"]).arg(program);
        // node finds its modules beside the suite
        command.current_dir(if driver.toolchain == Toolchain::Node { &self.cache } else { &self.suites });
        if driver.toolchain == Toolchain::Java {
            command.arg("-cp").arg(self.class_path()).arg("Jdbc");
        }
        command.args(driver.arguments);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG")) {
                command.env_remove(name);
            }
        }
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    fn cargo(&self, what: &str) -> Result<()> {
        let mut command = child::cargo();
        command.current_dir(&self.suites).args([what, "--quiet", "--locked"]);
        command.env("CARGO_TARGET_DIR", &self.cache);
        child::run(command)
    }

    fn python(&self) -> Result<()> {
        let requirements = self.suites.join("requirements.txt");
        self.once(&[&requirements], || {
            let venv = self.cache.join("venv");
            let mut command = child::command("python3");
            command.args(["-m", "venv", "--clear"]).arg(&venv);
            child::run(command)?;
            let mut command = child::command(venv.join("bin/python"));
            command.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements);
            child::run(command)
        })
    }

    fn node(&self) -> Result<()> {
        for entry in self.suites.read_dir().with_context(|| format!("cannot read {}", self.suites.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "mjs" || extension == "json") {
                let to = self.cache.join(path.file_name().unwrap_or_default());
                std::fs::copy(&path, &to).with_context(|| format!("cannot copy to {}", to.display()))?;
            }
        }
        self.once(&[&self.suites.join("package.json"), &self.suites.join("package-lock.json")], || {
            let mut command = child::command("npm");
            command.current_dir(&self.cache).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
            child::run(command)
        })
    }

    fn go(&self, arguments: &[&str]) -> Result<()> {
        let mut command = child::command("go");
        command.current_dir(&self.suites).args(arguments);
        // no other toolchain than that of this machine
        command.env("GOTOOLCHAIN", "local");
        child::run(command)
    }

    fn java(&self) -> Result<()> {
        let project = self.suites.join("pom.xml");
        self.once(&[&project], || {
            let folder = self.cache.join("lib");
            if folder.exists() {
                std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
            }
            let mut command = child::command("mvn");
            command.args(["--quiet", "--batch-mode", "--file"]).arg(&project).arg("dependency:copy-dependencies");
            command.arg(format!("-DoutputDirectory={}", self.cache.join("lib").display()));
            child::run(command)
        })
    }

    fn javac(&self) -> Result<()> {
        let mut command = child::command("javac");
        command.arg("-d").arg(self.cache.join("classes")).arg("-cp").arg(self.class_path());
        command.args(["-encoding", "UTF-8"]).arg(self.suites.join("Jdbc.java"));
        child::run(command)
    }

    fn class_path(&self) -> String {
        format!("{}:{}/*", self.cache.join("classes").display(), self.cache.join("lib").display())
    }

    /// Does something unless it was done with the same files before.
    fn once(&self, files: &[&Path], work: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut now = Vec::new();
        for file in files {
            now.extend(std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?);
        }
        let stamp = self.cache.join("stamp");
        if std::fs::read(&stamp).is_ok_and(|before| before == now) {
            return Ok(());
        }
        let _ = std::fs::remove_file(&stamp);
        work()?;
        std::fs::write(&stamp, now).with_context(|| format!("cannot write {}", stamp.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_again_when_its_files_change_or_it_failed() {
        let folder = std::env::temp_dir().join(format!("xtask-drivers-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let installed = Installed { suites: folder.clone(), cache: folder.clone() };
        let versions = folder.join("versions");
        let mut done = 0;
        let mut again = |content: &str, works: bool| {
            std::fs::write(&versions, content).unwrap();
            let _ = installed.once(&[&versions], || {
                done += 1;
                if works { Ok(()) } else { anyhow::bail!("no") }
            });
            done
        };
        assert_eq!([again("1", false), again("1", true), again("1", true), again("2", true)], [1, 2, 2, 3]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
