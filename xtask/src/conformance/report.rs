//! What came out: a table, the reasons for a failure, and a file for programs.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::exceptions::{Exceptions, FILE};
use super::run::Round;
use super::variant::Variant;

/// A suite in a variant, and how its rounds ended.
pub(crate) struct Outcome {
    pub(crate) variant: Variant,
    pub(crate) suite: String,
    /// How many tests it has.
    pub(crate) total: usize,
    pub(crate) rounds: Vec<Round>,
}

/// What is to be said of one outcome.
struct Verdict<'a> {
    outcome: &'a Outcome,
    passed: usize,
    /// Tests that failed without an exception, with the rounds in which they did.
    failed: BTreeMap<&'a str, Vec<usize>>,
    /// Tests that failed as expected, with the reasons.
    expected: BTreeMap<&'a str, &'a str>,
    /// Tests that have an exception, and passed in each round.
    needless: Vec<&'a str>,
    errors: Vec<&'a str>,
    seconds: f64,
}

impl<'a> Verdict<'a> {
    fn new(outcome: &'a Outcome, exceptions: &'a Exceptions) -> Self {
        let mut failures: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut seen: BTreeMap<&str, bool> = BTreeMap::new();
        let mut passed = 0;
        for (number, round) in outcome.rounds.iter().enumerate() {
            for result in &round.results {
                *seen.entry(&result.name).or_insert(true) &= result.passed;
                if result.passed {
                    passed += 1;
                } else {
                    failures.entry(&result.name).or_default().push(number + 1);
                }
            }
        }
        let reason = |test: &str| exceptions.reason(outcome.variant, &outcome.suite, test);
        let expected = failures.keys().filter_map(|test| Some((*test, reason(test)?))).collect();
        failures.retain(|test, _| reason(test).is_none());
        Self {
            outcome,
            passed,
            failed: failures,
            expected,
            needless: seen
                .iter()
                .filter(|(test, passed)| **passed && reason(test).is_some())
                .map(|(t, _)| *t)
                .collect(),
            errors: outcome.rounds.iter().filter_map(|round| round.error.as_deref()).collect(),
            seconds: outcome.rounds.iter().map(|round| round.seconds).sum(),
        }
    }

    fn is_good(&self) -> bool {
        self.failed.is_empty() && self.needless.is_empty() && self.errors.is_empty()
    }

    fn line(&self) -> String {
        let Outcome { variant, suite, total, rounds } = self.outcome;
        let of = total * rounds.len();
        let mut notes = Vec::new();
        if rounds.len() > 1 {
            notes.push(format!("{} rounds", rounds.len()));
        }
        if !self.expected.is_empty() {
            notes.push(format!("{} as expected", self.expected.len()));
        }
        if !self.failed.is_empty() {
            notes.push(format!("{} FAILED", self.failed.len()));
        }
        if !self.needless.is_empty() {
            notes.push(format!("{} passed unexpectedly", self.needless.len()));
        }
        if !self.errors.is_empty() {
            notes.push("ERROR".into());
        }
        let counts = format!("{}/{of}", self.passed);
        let line =
            format!("{:<14}{suite:<36}{counts:>11}{:>9.1} s  {}", variant.name(), self.seconds, notes.join(", "));
        line.trim_end().to_owned()
    }

    fn json(&self) -> Value {
        let Outcome { variant, suite, total, rounds } = self.outcome;
        let slowest: BTreeMap<&str, u64> = {
            let mut all: Vec<_> = rounds.iter().flat_map(|round| &round.results).collect();
            all.sort_by_key(|result| std::cmp::Reverse(result.milliseconds));
            all.iter().take(5).map(|result| (result.name.as_str(), result.milliseconds)).collect()
        };
        let rounds: Vec<Value> = rounds
            .iter()
            .map(|round| {
                let holdings = round.holdings.map(|holdings| {
                    json!({
                        "resident_kib": holdings.resident,
                        "descriptors": holdings.descriptors,
                        "threads": holdings.threads,
                    })
                });
                json!({ "seconds": round.seconds, "error": round.error, "server_at_the_end": holdings })
            })
            .collect();
        json!({
            "variant": variant.name(), "suite": suite, "tests": total, "passed": self.passed, "good": self.is_good(),
            "failed": self.failed.keys().collect::<Vec<_>>(), "failed_as_expected": self.expected,
            "passed_unexpectedly": self.needless, "rounds": rounds, "slowest_ms": slowest,
        })
    }
}

/// Prints the table and what went wrong; whether nothing did.
pub(crate) fn print(outcomes: &[Outcome], exceptions: &Exceptions, output: &Path) -> bool {
    let verdicts: Vec<Verdict<'_>> = outcomes.iter().map(|outcome| Verdict::new(outcome, exceptions)).collect();
    println!("\n{:<14}{:<36}{:>11}{:>11}", "variant", "suite", "passed", "time");
    for verdict in &verdicts {
        println!("{}", verdict.line());
    }
    for verdict in &verdicts {
        let Outcome { variant, suite, rounds, .. } = verdict.outcome;
        let variant = variant.name();
        if rounds.len() > 1 {
            for (number, holdings) in rounds.iter().enumerate().filter_map(|(n, round)| Some((n + 1, round.holdings?)))
            {
                println!(
                    "{suite}, after round {number}: {} MB resident, {} descriptors, {} threads, {:.1} s",
                    holdings.resident / 1024,
                    holdings.descriptors,
                    holdings.threads,
                    rounds[number - 1].seconds,
                );
            }
        }
        for (test, reason) in &verdict.expected {
            println!("{variant}, {suite}, {test}: failed as expected: {reason}");
        }
        for (test, numbers) in &verdict.failed {
            let rounds = if rounds.len() > 1 { format!(" in rounds {numbers:?}") } else { String::new() };
            println!("{variant}, {suite}, {test}: FAILED{rounds}");
        }
        for test in &verdict.needless {
            println!("{variant}, {suite}, {test}: passed, but has an exception in {FILE}: remove that");
        }
        for error in &verdict.errors {
            println!("{variant}, {suite}: ERROR: {error}");
        }
        if !verdict.failed.is_empty() || !verdict.errors.is_empty() {
            println!("    see {}", output.join(&variant).join(suite.replace('/', "_")).display());
        }
    }
    let good = verdicts.iter().all(Verdict::is_good);
    let sum = |count: fn(&Verdict<'_>) -> usize| verdicts.iter().map(count).sum::<usize>();
    // as cargo's own tests say it: `cargo xtask test` reads that
    println!(
        "\ntest result: {}. {} passed; {} failed; {} failed as expected",
        if good { "ok" } else { "FAILED" },
        sum(|verdict| verdict.passed),
        sum(|verdict| verdict.failed.values().map(Vec::len).sum()),
        sum(|verdict| verdict.expected.len()),
    );
    good
}

/// Writes `summary.json`.
pub(crate) fn write(outcomes: &[Outcome], exceptions: &Exceptions, output: &Path, more: Value) -> Result<()> {
    let suites: Vec<Value> = outcomes.iter().map(|outcome| Verdict::new(outcome, exceptions).json()).collect();
    let summary = json!({ "libpglite": env!("CARGO_PKG_VERSION"), "suites": suites, "compared": more });
    let path = output.join("summary.json");
    let mut text = serde_json::to_string_pretty(&summary)?;
    text.push('\n');
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("\nsummary: {}", path.display());
    Ok(())
}
