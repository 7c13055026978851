//! `cargo xtask drivers`: the suites of `tests/drivers`, each against a server of its own.

mod install;
mod list;
mod report;
mod server;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use postgres_build::child;
use postgres_build::layout::{Cache, Workspace};
use postgres_build::progress::Progress;

use crate::build;
use crate::folder::Folder;
use install::Installed;
use list::{Driver, SCENARIOS, Toolchain};
use report::{LeftOut, Outcome};
use server::Server;

/// Which drivers.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask drivers                 all of them
  cargo xtask drivers sqlx pgx        these
  cargo xtask drivers python node     all of these languages
  cargo xtask drivers jdbc --scenario cancel

Drivers: postgres, tokio-postgres, sqlx, diesel (each with -memory: a database in the suite's own process),
psycopg, asyncpg, sqlalchemy-psycopg, sqlalchemy-asyncpg, node-postgres, postgres.js, drizzle, pgx, jdbc.
Kinds: rust, python, node, go, java. Those whose tools are not on this machine are left out, and named.

Each suite gets a `pglite serve` of its own, with a new cluster, on a Unix socket and TCP. Drivers are installed once
into ~/.cache/libpglite/drivers, in the versions that tests/drivers pins. Logs and summary.json are in target/drivers.

Exit status: 0 when nothing failed, 1 otherwise.")]
pub(crate) struct Arguments {
    /// Drivers, or kinds of drivers [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only this scenario of tests/drivers/README.md; may be repeated
    #[arg(long, value_name = "SCENARIO", value_parser = clap::builder::PossibleValuesParser::new(SCENARIOS))]
    scenario: Vec<String>,
    /// Leave out, and name, also the languages whose drivers cannot be fetched
    #[arg(long)]
    available: bool,
    /// Serve with a debug build of pglite, whose checks are on
    #[arg(long)]
    debug: bool,
}

/// Installs, runs, prints a table; an error where something failed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let chosen = list::chosen(&arguments.names)?;
    let (workspace, cache, progress) = (Workspace::compiled_from(), Cache::from_environment()?, Progress::new());
    let mut left_out = Vec::new();
    let mut drivers = Vec::new();
    for driver in chosen {
        match install::missing(driver.toolchain) {
            None => drivers.push(driver),
            Some(program) => left_out.push(LeftOut { driver, reason: format!("this machine has no `{program}`") }),
        }
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.root.join("target"), PathBuf::from);
    let logs = target.join("drivers");
    std::fs::create_dir_all(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
    build::for_this_machine()?;
    let [pglite] = build::programs(&workspace, &progress, if arguments.debug { "dev" } else { "release" }, ["pglite"])?;

    let mut installed: HashMap<Toolchain, Result<Installed>> = HashMap::new();
    for driver in &drivers {
        if let Entry::Vacant(entry) = installed.entry(driver.toolchain) {
            let name = driver.toolchain.name();
            let step = progress.step(&format!("install the drivers of {name}"), 0);
            let fetched = install::fetch(driver.toolchain, &workspace, &cache)
                .with_context(|| format!("cannot fetch the drivers of {name}"));
            // nothing of libpglite can be built without Rust's registry: that it cannot be reached is not the reason
            let may_be_left_out = arguments.available && driver.toolchain != Toolchain::Rust;
            let fetched = if may_be_left_out { fetched } else { Ok(fetched?) };
            if let Ok(fetched) = &fetched {
                fetched.build(driver.toolchain).with_context(|| format!("cannot build the suites of {name}"))?;
            }
            entry.insert(fetched);
            step.finish("");
        }
    }
    let folder = Folder::create(&std::env::temp_dir())?;
    let mut outcomes = Vec::new();
    for driver in drivers {
        let suite = match &installed[&driver.toolchain] {
            Ok(suite) => suite,
            Err(error) => {
                left_out.push(LeftOut { driver, reason: format!("{error:#}").replace('\n', " ") });
                continue;
            }
        };
        let step = progress.step(driver.name, 0);
        let start = Instant::now();
        let mut outcome = Outcome::new(driver);
        let result = run_one(&mut outcome, suite, &pglite, &folder.join(driver.name), &logs, &arguments.scenario);
        outcome.seconds = start.elapsed().as_secs_f64();
        if arguments.scenario.is_empty() {
            outcome.complete();
        }
        outcome.problem = result.err().map(|error| format!("{error:#}"));
        step.finish(if outcome.passed() { "passed" } else { "FAILED" });
        outcomes.push(outcome);
    }
    print!("\n{}", report::table(&outcomes, &left_out));
    let summary = logs.join("summary.json");
    report::write(&outcomes, &left_out, &summary)?;
    println!("\nlogs and summary.json are in {}", logs.display());
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    if failed > 0 {
        bail!("{failed} of {} drivers failed", outcomes.len());
    }
    println!("all {} drivers passed", outcomes.len());
    Ok(())
}

fn run_one(
    outcome: &mut Outcome,
    suite: &Installed,
    pglite: &Path,
    folder: &Path,
    logs: &Path,
    scenarios: &[String],
) -> Result<()> {
    let driver: &Driver = outcome.driver;
    let mut command = suite.command(driver);
    command.args(scenarios);
    let server = if driver.memory {
        command.env("DRIVERS_URI", ":memory:").env_remove("DRIVERS_SOCKET");
        None
    } else {
        let server = Server::start(pglite, folder.into(), &logs.join(format!("{}-server.log", driver.name)))?;
        command.env("DRIVERS_URI", &server.uri).env("DRIVERS_SOCKET", server.socket());
        Some(server)
    };
    let path = logs.join(format!("{}.log", driver.name));
    let mut log = std::fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let ended = child::lines(command, &mut |line| {
        let _ = writeln!(log, "{line}");
        outcome.line(line);
    });
    let stopped = server.map_or(Ok(()), Server::stop);
    stopped.context("after the suite")?;
    // the failures of scenarios are told one by one
    match ended {
        Err(error) if outcome.passed() => Err(error),
        _ => Ok(()),
    }
}
