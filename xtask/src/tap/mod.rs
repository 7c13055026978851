//! `cargo xtask tap`: PostgreSQL's own TAP tests, unmodified, against an installation whose programs are `pglite`; and replication
//! between servers of ours and stock ones. `docs/conformance.md` tells what is run and how.

mod exceptions;
mod installation;
mod lab;
mod output;
mod replication;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use postgres_build::layout::Workspace;
use serde_json::json;

use exceptions::Exceptions;
use lab::Lab;
use output::Verdict;

/// What is run where nothing is named: all suites that this configuration can run. Not among them: those of TLS, LDAP, Kerberos, ICU,
/// SELinux, injection points; of PL/Python and OAuth; `xid_wraparound`, which takes hours; and those that test nothing of ours (`test_json_parser`,
/// ecpg's).
const SUITES: [&str; 49] = [
    "src/bin/initdb",
    "src/bin/pg_amcheck",
    "src/bin/pg_archivecleanup",
    "src/bin/pg_basebackup",
    "src/bin/pg_checksums",
    "src/bin/pg_combinebackup",
    "src/bin/pg_config",
    "src/bin/pg_controldata",
    "src/bin/pg_ctl",
    "src/bin/pg_dump",
    "src/bin/pg_resetwal",
    "src/bin/pg_rewind",
    "src/bin/pg_test_fsync",
    "src/bin/pg_test_timing",
    "src/bin/pg_upgrade",
    "src/bin/pg_verifybackup",
    "src/bin/pg_waldump",
    "src/bin/pg_walsummary",
    "src/bin/pgbench",
    "src/bin/psql",
    "src/bin/scripts",
    "src/interfaces/libpq",
    "src/test/authentication",
    "src/test/postmaster",
    "src/test/recovery",
    "src/test/subscription",
    "src/test/modules/brin",
    "src/test/modules/commit_ts",
    "src/test/modules/libpq_pipeline",
    "src/test/modules/test_aio",
    "src/test/modules/test_custom_rmgrs",
    "src/test/modules/test_escape",
    "src/test/modules/test_extensions",
    "src/test/modules/test_misc",
    "src/test/modules/test_pg_dump",
    "src/test/modules/test_slru",
    "src/test/modules/worker_spi",
    "contrib/amcheck",
    "contrib/auto_explain",
    "contrib/basebackup_to_shell",
    "contrib/bloom",
    "contrib/dblink",
    "contrib/oid2name",
    "contrib/pg_prewarm",
    "contrib/pg_stat_statements",
    "contrib/pg_visibility",
    "contrib/postgres_fdw",
    "contrib/test_decoding",
    "contrib/vacuumlo",
];

/// What is run last, and is ours.
const REPLICATION: &str = "replication";

/// What to run.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Directories of PostgreSQL's source with TAP tests, single files, or `replication`: ours with a stock server, both ways
    /// [default: all]
    #[arg(value_name = "SUITE")]
    suites: Vec<String>,
    /// A directory for the installation, the source and the tests' clusters, which an ordinary user can reach; 2 GB
    #[arg(long, default_value = "/var/tmp/pglite-tap")]
    directory: PathBuf,
    /// How long one file may take, in seconds
    #[arg(long, default_value_t = 900)]
    limit: u64,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask tap                                       everything: 40 minutes or more on two cores
  cargo xtask tap src/bin/psql src/test/recovery        two suites
  cargo xtask tap src/bin/pg_dump/t/002_pg_dump.pl      one file
  cargo xtask tap replication                           ours with a stock standby, and the other way round

Perl and IPC::Run are needed (Debian: libipc-run-perl). Each file's output, and its servers' logs where it failed, are in DIRECTORY/work;
DIRECTORY/summary.json is for programs. The exit status is not zero where a test failed that xtask/tap-exceptions.toml does not name, and
also where one passed that it names.";

/// How the files of a suite ended.
#[derive(Default)]
struct Count {
    passed: usize,
    skipped: usize,
    excepted: usize,
    failed: usize,
}

/// Runs the suites, and says which files passed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let exceptions = Exceptions::read(&Workspace::compiled_from().root)?;
    let lab = Lab::set_up(&arguments.directory)?;
    let suites: Vec<&str> = match &arguments.suites[..] {
        [] => SUITES.into_iter().chain([REPLICATION]).collect(),
        named => named.iter().map(String::as_str).collect(),
    };
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    let mut files = Vec::new();
    for suite in suites {
        let count = counts.entry(suite).or_default();
        if suite == REPLICATION {
            for (name, result) in replication::run(&lab)? {
                println!(
                    "{} {}",
                    dotted(&name),
                    result.as_ref().map_or_else(|e| format!("FAILED: {e:#}"), |()| "ok".into())
                );
                match result {
                    Ok(()) => count.passed += 1,
                    Err(_) => count.failed += 1,
                }
                files.push(json!({ "file": name, "result": if result.is_ok() { "passed" } else { "failed" } }));
            }
            continue;
        }
        for file in lab.files(suite)? {
            let exception = exceptions.of(&file);
            let report = lab.run(&file, arguments.limit, exception)?;
            let verdict = report.judge(exception);
            let (counter, name) = match &verdict {
                Verdict::Passed => (&mut count.passed, "passed"),
                Verdict::Skipped(_) => (&mut count.skipped, "skipped"),
                Verdict::Excepted => (&mut count.excepted, "failed as expected"),
                Verdict::Failed(_) => (&mut count.failed, "failed"),
            };
            *counter += 1;
            println!("{} {verdict}", dotted(&file));
            files.push(json!({
                "file": file, "result": name, "tests": report.passed + report.failed.len(), "failed": report.failed,
                "seconds": report.seconds,
            }));
        }
    }
    let path = arguments.directory.join("summary.json");
    std::fs::write(&path, format!("{:#}\n", json!({ "files": files })))
        .with_context(|| format!("cannot write {}", path.display()))?;
    table(&counts);
    println!("logs are in {}, the summary is {}", lab.work.display(), path.display());
    let failed: usize = counts.values().map(|count| count.failed).sum();
    if failed > 0 {
        bail!("{failed} files did not end as expected");
    }
    Ok(())
}

fn dotted(file: &str) -> String {
    format!("{file} {}", ".".repeat(70usize.saturating_sub(file.len())))
}

fn table(counts: &BTreeMap<&str, Count>) {
    println!("\n{:<45}{:>8}{:>9}{:>10}{:>8}", "files", "passed", "skipped", "excepted", "FAILED");
    let mut total = Count::default();
    let line = |name: &str, c: &Count| {
        println!("{name:<45}{:>8}{:>9}{:>10}{:>8}", c.passed, c.skipped, c.excepted, c.failed);
    };
    for (name, count) in counts {
        line(name, count);
        total.passed += count.passed;
        total.skipped += count.skipped;
        total.excepted += count.excepted;
        total.failed += count.failed;
    }
    line("all", &total);
}
