//! `cargo xtask profile`: a mix of work on an instrumented server, and what was run how often. clang lays out libpglite's code by it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use postgres_build::layout::Workspace;
use postgres_build::stock::Flavour;
use postgres_build::{child, profile};

use crate::conformance::ground::{Ground, remove};
use crate::conformance::run::{SETTINGS, Site, owned};
use crate::conformance::suite;

/// The SQL that is run, beside PostgreSQL's own tests and pgbench.
const WORK: &str = include_str!("work.sql");

/// pgbench's runs: the kind of query, and how many transactions.
const BENCHES: [&str; 5] = [
    "-S -M simple -t 20000",
    "-S -M extended -t 10000",
    "-S -M prepared -t 30000",
    "-N -M simple -t 3000",
    "-N -M prepared -t 5000",
];

/// Makes the profile anew.
pub(crate) fn run() -> Result<()> {
    let site = Site::for_stock(Vec::new())?;
    let ground = Ground::with_stock(&site, Flavour::Instrumented)?;
    let data = site.folder.join("data");
    ground.folder(&data)?;
    let mut command = ground.tool("initdb");
    command.args(["--username=postgres", "--auth=trust", "--no-sync", "--pgdata"]).arg(&data);
    child::run(command).context("cannot make a cluster")?;
    // what initdb did is not what a server does
    profiles(&data)?.iter().try_for_each(std::fs::remove_file)?;

    let server = ground.stock(&data, &owned(&SETTINGS), &site.output.join("profile.log"))?;
    let suites = suite::choose(suite::all(&site.tests)?, &["core".into()])?;
    site.round(suites.first().context("there is no suite core")?, &ground, "PostgreSQL's own tests")?;
    let step = site.progress.step("pgbench, queries and COPY", 0);
    let files = ground.results();
    let tool = |name: &str, arguments: &str| {
        let mut command = ground.tool(name);
        command.current_dir(&files).args(arguments.split_whitespace());
        child::run(command).with_context(|| format!("{name} {arguments}"))
    };
    tool("pgbench", "--initialize --quiet --scale=5 postgres")?;
    BENCHES.iter().try_for_each(|arguments| tool("pgbench", &format!("--no-vacuum {arguments} postgres")))?;
    let script = files.join("work.sql");
    std::fs::write(&script, WORK).with_context(|| format!("cannot write {}", script.display()))?;
    tool("psql", "--no-psqlrc --quiet --set=ON_ERROR_STOP=1 --output=/dev/null --file=work.sql postgres")?;
    server.stop()?;
    step.finish("");

    let kept = profile::file(&Workspace::compiled_from());
    profile::keep(&profiles(&data)?, &kept)?;
    println!("{}: the next `cargo xtask build` uses it", kept.display());
    remove(&data)
}

/// What the server's processes have counted: they leave it in the directory they work in.
fn profiles(data: &Path) -> Result<Vec<PathBuf>> {
    let files = std::fs::read_dir(data).with_context(|| format!("cannot read {}", data.display()))?;
    let paths = files.map(|file| Ok(file?.path())).collect::<std::io::Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "profraw")).collect())
}
