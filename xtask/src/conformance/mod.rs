//! `cargo xtask conformance`: PostgreSQL's own regression tests, unmodified, against a server inside a program of ours.
//! `docs/conformance.md` tells what is run and how.

mod compare;
mod exceptions;
mod exchange;
pub(crate) mod ground;
mod report;
pub(crate) mod run;
pub(crate) mod server;
pub(crate) mod suite;
mod variant;

use anyhow::{Result, bail};
use clap::ValueEnum;
use postgres_build::layout::{Cache, Workspace};
use postgres_build::progress::Progress;
use postgres_build::suites;
use serde_json::Value;

use exceptions::Exceptions;
use report::Outcome;
use run::Site;
use variant::Variant;

/// What to run.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Suites, or folders of them: core, isolation, plpgsql, contrib, contrib/hstore, modules, ... [default: all]
    #[arg(value_name = "SUITE")]
    suites: Vec<String>,
    /// Name the suites, with the number of their tests, and run nothing
    #[arg(long)]
    list: bool,
    /// What runs the database; `wasm` has one session, so its tests run one after another
    #[arg(long, value_enum, value_name = "ENGINE", default_value = "native", conflicts_with_all = ["compare", "exchange", "all"])]
    engine: Engine,
    /// How the server is set up; several are run one after another
    #[arg(long, value_enum, value_delimiter = ',', value_name = "VARIANT", default_value = "plain")]
    variant: Vec<Variant>,
    /// Run each suite so often in one server, and tell how it grows
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// One of PostgreSQL's settings for the server; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Serve with a debug build of pglite, whose checks are on
    #[arg(long)]
    debug: bool,
    /// Take the time of `core` in so many pairs, ours and a stock server's, instead
    #[arg(long, value_name = "PAIRS", conflicts_with_all = ["variant", "repeat", "suites"], value_parser = clap::value_parser!(u32).range(1..=100))]
    compare: Option<u32>,
    /// Move a data directory to a stock server and back instead, with all checks that there are
    #[arg(long, conflicts_with_all = ["variant", "repeat", "suites", "compare"])]
    exchange: bool,
    /// Everything: all suites, core and isolation in each variant, core twenty times in one server, the exchange
    #[arg(long, conflicts_with_all = ["variant", "repeat", "suites", "compare", "exchange"])]
    all: bool,
}

/// An engine of libpglite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// The whole server
    Native,
    /// PostgreSQL as a WebAssembly module
    Wasm,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask conformance                              every suite, once: about ten minutes
  cargo xtask conformance --debug core isolation       what CI runs
  cargo xtask conformance contrib/hstore modules       one suite, and a folder of them
  cargo xtask conformance core --variant memory,user   other servers
  cargo xtask conformance core --repeat 20             twenty times in one process
  cargo xtask conformance --engine wasm                core against the WebAssembly engine
  cargo xtask conformance --compare 3                  how long does it take, and a stock server?

The test programs (pg_regress, pg_isolation_regress, psql) and modules (regress.so, ...) are those of a stock build of the same source,
which is made once (some minutes) and kept in the cache. The server is `pglite serve`.

target/conformance/ has the diffs of what failed, the servers' logs, and summary.json. The exit status is not zero where a test failed
that xtask/conformance-exceptions.toml does not name, and also where one passed that it names.";

/// Runs what was asked for.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.list {
        let tests = suites::obtain(true, &Cache::from_environment()?, &Progress::new())?;
        for suite in suite::all(&tests)? {
            println!("{:<40}{:>5}", suite.name, suite.count(&tests)?);
        }
        return Ok(());
    }
    let site = Site::set_up(arguments.settings.clone(), arguments.debug, arguments.engine)?;
    let exceptions = Exceptions::read(&Workspace::compiled_from().root)?;
    if let Some(pairs) = arguments.compare {
        let compared = compare::run(&site, pairs)?;
        return report::write(&[], &exceptions, &site.output, compared);
    }
    if arguments.exchange {
        return exchange::run(&site);
    }
    let all = suite::all(&site.tests)?;
    let mut outcomes = Vec::new();
    for (variant, suites, rounds) in plan(arguments, all)? {
        for suite in suites.iter().filter(|suite| variant.concerns(&suite.name)) {
            let rounds = site.run(variant, suite, rounds);
            let total = suite.count(&site.tests)?;
            outcomes.push(Outcome { variant, suite: suite.name.clone(), total, rounds });
        }
    }
    if outcomes.is_empty() {
        bail!(
            "there is nothing to run: this variant or engine makes no difference for these suites, or cannot run them"
        );
    }
    let good = report::print(&outcomes, &exceptions, &site.output);
    report::write(&outcomes, &exceptions, &site.output, Value::Null)?;
    if arguments.all {
        exchange::run(&site)?;
    }
    if !good {
        bail!("not everything went as expected");
    }
    Ok(())
}

type Plan = Vec<(Variant, Vec<suite::Suite>, u32)>;

/// In which variants, which suites, how often.
fn plan(arguments: &Arguments, all: Vec<suite::Suite>) -> Result<Plan> {
    let root = rustix::process::geteuid().is_root();
    if arguments.engine == Engine::Wasm {
        if arguments.variant != [Variant::Plain] {
            bail!("the WebAssembly engine is set up in one way: leave --variant out");
        }
        let wanted = if arguments.suites.is_empty() { &["core".to_owned()][..] } else { &arguments.suites };
        let mut chosen = suite::choose(all, wanted)?;
        chosen.retain(|suite| suite.kind == suite::Kind::Regress);
        return Ok(vec![(Variant::Wasm, chosen, arguments.repeat)]);
    }
    if !arguments.all {
        if arguments.variant.contains(&Variant::User) && !root {
            bail!("you are an ordinary user already: run the variant `plain`");
        }
        let chosen = suite::choose(all, &arguments.suites)?;
        return Ok(arguments.variant.iter().map(|variant| (*variant, chosen.clone(), arguments.repeat)).collect());
    }
    let big = suite::choose(all.clone(), &["core".into(), "isolation".into()])?;
    let core = suite::choose(all.clone(), &["core".into()])?;
    let mut plan = vec![(Variant::Plain, all.clone(), 1)];
    for variant in Variant::value_variants() {
        match variant {
            Variant::Plain => {}
            Variant::User if !root => {}
            Variant::StockModules => plan.push((*variant, all.clone(), 1)),
            _ => plan.push((*variant, big.clone(), 1)),
        }
    }
    plan.push((Variant::Plain, core, 20));
    Ok(plan)
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE, for example work_mem=64MB".into()),
    }
}
