//! A data directory moves both ways: what ours has filled, a stock server opens, checks and changes; then ours opens it again.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use postgres_build::child;
use postgres_build::stock::Flavour;

use super::ground::{Ground, remove};
use super::run::{SETTINGS, Site, owned};
use super::suite::{self, Suite};

/// Who has the directory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    Ours,
    Stock,
}

/// A directory that changes hands.
struct Exchange<'a> {
    site: &'a Site,
    ground: Ground,
    data: PathBuf,
    settings: Vec<(String, String)>,
}

/// Runs all of it.
pub(crate) fn run(site: &Site) -> Result<()> {
    let all = suite::all(&site.tests)?;
    let named = |name: &str| {
        let found = all.iter().find(|suite| suite.name == name).cloned();
        found.with_context(|| format!("there is no suite {name}"))
    };
    let (core, plpgsql) = (named("core")?, named("plpgsql")?);
    let ground = Ground::with_stock(site, Flavour::Gcc)?;
    let data = site.folder.join("data");
    remove(&data)?;
    ground.folder(&data)?;
    let mut settings = owned(&SETTINGS);
    settings.extend(ground.settings(false)?);
    let exchange = Exchange { site, ground, data, settings };

    // what core leaves behind has about every kind of object
    let first = exchange.turn(Holder::Ours, Some(&core))?;
    let second = exchange.turn(Holder::Stock, None)?;
    ensure!(
        first == second,
        "pg_dumpall says something else of the same directory under a stock server{}",
        differ(&first, &second)
    );
    let third = exchange.turn(Holder::Stock, Some(&plpgsql))?;
    let fourth = exchange.turn(Holder::Ours, None)?;
    ensure!(
        third == fourth,
        "pg_dumpall says something else of the stock server's directory under ours{}",
        differ(&third, &fourth)
    );
    println!(
        "a data directory moved from ours to stock and back: pg_amcheck, pg_checksums and pg_dumpall find nothing wrong"
    );
    Ok(())
}

/// The tables of core's test of compression. Its values cannot be read by a stock server that has no LZ4, and ours is built as plain as can be.
const WITHOUT_LZ4: &str = "DO $$ DECLARE name text; BEGIN \
    FOR name IN SELECT format('public.%I', relname) FROM pg_class \
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname LIKE 'cm%' \
    LOOP EXECUTE format('DROP TABLE IF EXISTS %s CASCADE', name); END LOOP; END $$";

impl Exchange<'_> {
    /// Opens the directory, runs a suite where there is one, checks, closes, checks the closed directory. What `pg_dumpall`
    /// says of it.
    fn turn(&self, holder: Holder, suite: Option<&Suite>) -> Result<String> {
        let name = if holder == Holder::Ours { "libpglite" } else { "stock" };
        let log = self.site.output.join(format!("exchange-{name}.log"));
        let server = match holder {
            Holder::Ours => self.ground.ours(Some(&self.data), &self.settings, &log)?,
            Holder::Stock => self.ground.stock(&self.data, &self.settings, &log)?,
        };
        if let Some(suite) = suite {
            let round = self.site.round(suite, &self.ground, &format!("{}, {name}", suite.name))?;
            let failed: Vec<&str> = round.results.iter().filter(|r| !r.passed).map(|r| r.name.as_str()).collect();
            ensure!(round.error.is_none() && failed.is_empty(), "{}, {name}: {failed:?} {:?}", suite.name, round.error);
            if holder == Holder::Ours {
                let mut drop = self.ground.tool("psql");
                drop.args(["--dbname=regression", "--quiet", "--set=ON_ERROR_STOP=1", "--command", WITHOUT_LZ4]);
                child::run(drop).context("cannot drop the tables of core's test of compression")?;
            }
        }
        let step = self.site.progress.step(&format!("pg_amcheck, {name}"), 0);
        let mut check = self.ground.tool("pg_amcheck");
        check.args(["--all", "--install-missing", "--heapallindexed", "--parent-check", "--checkunique", "--jobs=2"]);
        child::run(check).with_context(|| format!("under {name}"))?;
        step.finish("");
        let dump = child::output(self.ground.tool("pg_dumpall").arg("--restrict-key=exchange"))?;
        server.stop()?;
        let step = self.site.progress.step(&format!("pg_checksums, after {name}"), 0);
        let mut check = self.ground.tool("pg_checksums");
        check.arg("--check").arg("--pgdata").arg(&self.data);
        child::run(check).with_context(|| format!("after {name}"))?;
        step.finish("");
        Ok(dump)
    }
}

/// The first line that differs.
fn differ(one: &str, other: &str) -> String {
    let lines = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    lines.map_or_else(|| ": one is longer".to_owned(), |(one, other)| format!(":\n{one}\n{other}"))
}
