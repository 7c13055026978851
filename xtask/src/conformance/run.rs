//! Runs a suite: a server, and PostgreSQL's own test program against it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use postgres_build::child;
use postgres_build::layout::{Cache, Workspace};
use postgres_build::progress::{Progress, Step};
use postgres_build::suites::{self, Tests};
use postgres_build::wasm;

use super::Engine;
use super::ground::{Ground, remove, text};
use super::server::Holdings;
use super::suite::{Kind, Selection, Suite};
use super::variant::Variant;
use crate::build;
use crate::folder::{Folder, copy};
use crate::user::nobody;

/// What all servers have. `pg_regress` sets its own temporary servers up alike.
pub(crate) const SETTINGS: [(&str, &str); 3] =
    [("max_prepared_transactions", "2"), ("log_line_prefix", "%m [%p] %q%a "), ("fsync", "off")];

/// Everything that runs need.
pub(crate) struct Site {
    pub(crate) progress: Progress,
    /// The tests, for programs that run as the caller.
    pub(crate) tests: Tests,
    /// Where clusters, sockets and results are while tests run.
    pub(crate) folder: Folder,
    /// Where diffs and the summary go.
    pub(crate) output: PathBuf,
    /// More settings, from the command line.
    pub(crate) settings: Vec<(String, String)>,
    /// None where no server of ours is started.
    pub(crate) pglite: Option<PathBuf>,
    /// The modules of the WebAssembly engine, where that is what is tested.
    pub(crate) modules: Option<PathBuf>,
}

/// How a round of a suite ended.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) results: Vec<TestResult>,
    /// What went wrong beside tests.
    pub(crate) error: Option<String>,
    pub(crate) seconds: f64,
    /// What the server held at its end.
    pub(crate) holdings: Option<Holdings>,
}

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TestResult {
    pub(crate) name: String,
    pub(crate) passed: bool,
    pub(crate) milliseconds: u64,
}

impl Site {
    /// Builds everything.
    pub(crate) fn set_up(settings: Vec<(String, String)>, debug: bool, engine: Engine) -> Result<Self> {
        build::for_this_machine()?;
        let mut site = Self::for_stock(settings)?;
        let workspace = Workspace::compiled_from();
        let profile = if debug { "dev" } else { "release" };
        let [pglite] = match engine {
            Engine::Native => build::programs(&workspace, &site.progress, profile, ["pglite"])?,
            Engine::Wasm => {
                let cache = Cache::from_environment()?;
                let modules = wasm::build(wasm::Contents::Tests, true, &workspace, &cache, &site.progress)?.folder;
                // What it embeds is not what it will use, and so need not be built.
                let more = |command: &mut Command| {
                    command.arg("--features=wasm").env("PGLITE_WASM", &modules);
                };
                let programs = build::programs_with(&workspace, &site.progress, profile, ["pglite"], &more)?;
                site.modules = Some(modules);
                programs
            }
        };
        site.pglite = Some(pglite);
        Ok(site)
    }

    /// Builds what stock servers need.
    pub(crate) fn for_stock(settings: Vec<(String, String)>) -> Result<Self> {
        let progress = Progress::new();
        let tests = suites::obtain(true, &Cache::from_environment()?, &progress)?;
        let folder = Folder::create(&std::env::temp_dir())?;
        let output = Workspace::compiled_from().root.join("target/conformance");
        std::fs::create_dir_all(&output).with_context(|| format!("cannot create {}", output.display()))?;
        Ok(Self { progress, tests, folder, output, settings, pglite: None, modules: None })
    }

    /// Runs a suite in a variant, `rounds` times in one server.
    pub(crate) fn run(&self, variant: Variant, suite: &Suite, rounds: u32) -> Vec<Round> {
        let kept = self.output.join(variant.name()).join(suite.name.replace('/', "_"));
        let mut done = Vec::new();
        if let Err(error) = self.run_rounds(variant, suite, rounds, &kept, &mut done) {
            let error = Some(format!("{error:#}"));
            match done.last_mut() {
                // the last words of a server after a round that has failed already add nothing
                Some(Round { error: Some(_), .. }) => {}
                Some(round) => round.error = error,
                None => done.push(Round { results: Vec::new(), error, seconds: 0.0, holdings: None }),
            }
        }
        done
    }

    fn run_rounds(
        &self,
        variant: Variant,
        suite: &Suite,
        rounds: u32,
        kept: &Path,
        done: &mut Vec<Round>,
    ) -> Result<()> {
        remove(kept)?;
        std::fs::create_dir_all(kept).with_context(|| format!("cannot create {}", kept.display()))?;
        let user = if variant == Variant::User { Some(nobody()?) } else { None };
        let ground = Ground::new(self, user)?;
        let data = self.folder.join("data");
        remove(&data)?;
        ground.folder(&data)?;
        let mut settings = owned(&SETTINGS);
        if variant != Variant::Wasm {
            settings.extend(ground.settings(variant == Variant::StockModules)?);
        }
        settings.extend(owned(variant.settings()));
        settings.extend(suite.settings.iter().cloned());
        settings.extend(self.settings.iter().cloned());
        let data = Some(&*data).filter(|_| variant != Variant::Memory);
        let log = kept.join("server.log");
        let server = match &self.modules {
            None => ground.ours(data, &settings, &log)?,
            Some(modules) => ground.wasm(modules, data, &settings, &log)?,
        };
        for number in 1..=rounds {
            let mut title = suite.name.clone();
            if variant != Variant::Plain {
                title = format!("{title}, {}", variant.name());
            }
            if rounds > 1 {
                title = format!("{title}, round {number} of {rounds}");
            }
            let mut round = self.round(suite, &ground, &title)?;
            round.holdings = server.holdings().ok();
            if !round.results.iter().all(|result| result.passed) || round.error.is_some() {
                let name = if rounds > 1 { format!("round-{number}") } else { "run".into() };
                copy(&ground.results(), &kept.join(name), None)?;
            }
            let lost = round.holdings.is_none();
            done.push(round);
            if lost {
                break;
            }
        }
        server.stop()
    }

    /// Runs a suite against the server of a place, once.
    pub(crate) fn round(&self, suite: &Suite, ground: &Ground, title: &str) -> Result<Round> {
        ground.clear_results()?;
        let input = ground.tests.join("source").join(&suite.folder);
        let mut command = ground.test_program(match suite.kind {
            Kind::Regress => "regress/pg_regress",
            Kind::Isolation => "isolation/pg_isolation_regress",
        });
        // some tests name files of theirs without a folder
        command.current_dir(&input).arg(format!("--inputdir={}", input.display()));
        command.arg(format!("--expecteddir={}", input.display()));
        command.arg(format!("--outputdir={}", ground.results().display()));
        match self.modules {
            None => command.arg(format!("--dlpath={}", ground.tests.join("source/src/test/regress").display())),
            // Linked in, with an empty file to look at; and one client at a time.
            Some(_) => command.args(["--dlpath=/pglite/lib/postgresql", "--max-connections=1"]),
        };
        let (own, here) = (text(&self.tests.folder)?, text(&ground.tests)?);
        command.args(suite.options.iter().map(|option| option.replace(own, here)));
        match &suite.tests {
            Selection::Schedule(file) => command.arg(format!("--schedule={}", input.join(file).display())),
            Selection::Listed(names) => command.args(names),
        };

        let total = suite.count(&self.tests)?;
        let mut step = self.progress.step(title, total as u64);
        let start = Instant::now();
        let mut found = Vec::new();
        let ended = child::lines_within(command, suite.limit, &mut |line| record(line, &mut found, &mut step));
        let seconds = start.elapsed().as_secs_f64();
        let failed = found.iter().filter(|result| !result.passed).count();
        step.finish(&format!("{} of {total} passed", found.len() - failed));
        let error = match ended {
            Ok(()) if found.len() == total => None,
            Ok(()) => Some(format!("{} of {total} tests were run", found.len())),
            // that is how it says that tests have failed
            Err(_) if found.len() == total && failed > 0 => None,
            Err(error) => Some(format!("{error:#}")),
        };
        Ok(Round { results: found, error, seconds, holdings: None })
    }
}

fn record(line: &str, found: &mut Vec<TestResult>, step: &mut Step<'_>) {
    if let Some(result) = parse(line) {
        found.push(result);
        step.advance();
    }
}

/// Reads `not ok 5     + boolean                 33 ms`.
fn parse(line: &str) -> Option<TestResult> {
    let (passed, rest) = match line.strip_prefix("ok ") {
        Some(rest) => (true, rest),
        None => (false, line.strip_prefix("not ok ")?),
    };
    let mut words = rest.split_whitespace();
    words.next()?.parse::<u32>().ok()?;
    let name = words.nth(1)?.to_owned();
    let milliseconds = words.next()?.parse().ok()?;
    Some(TestResult { name, passed, milliseconds })
}

/// Pairs of owned strings.
pub(crate) fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_pg_regress_prints() {
        let result = |name: &str, passed, milliseconds| Some(TestResult { name: name.into(), passed, milliseconds });
        assert_eq!(
            parse("ok 1         - test_setup                                283 ms"),
            result("test_setup", true, 283)
        );
        assert_eq!(parse("not ok 12    + int4                                       33 ms"), result("int4", false, 33));
        for other in ["# parallel group (20 tests):  oid name", "1..231", "# 2 of 231 tests failed.", "ok then"] {
            assert_eq!(parse(other), None);
        }
    }
}
