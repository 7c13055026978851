//! What the suites say, and how it is told.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::list::{Driver, SCENARIOS};

/// How a scenario ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    /// The driver has no such thing: the reason.
    NotApplicable(String),
    Failed(String),
}

/// How a suite ended.
pub(super) struct Outcome {
    pub(super) driver: &'static Driver,
    pub(super) version: String,
    pub(super) scenarios: Vec<(&'static str, Verdict)>,
    /// What went wrong outside the scenarios.
    pub(super) problem: Option<String>,
    pub(super) seconds: f64,
}

/// Why a driver was not run.
pub(super) struct LeftOut {
    pub(super) driver: &'static Driver,
    pub(super) reason: String,
}

impl Outcome {
    /// Nothing reported yet.
    pub(super) fn new(driver: &'static Driver) -> Self {
        Self { driver, version: "?".into(), scenarios: Vec::new(), problem: None, seconds: 0.0 }
    }

    /// Takes a line that the suite prints.
    pub(super) fn line(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "version" {
            self.version = rest.trim().to_owned();
            return;
        }
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let Some(name) = SCENARIOS.into_iter().find(|scenario| *scenario == name) else { return };
        let verdict = match word {
            "ok" => Verdict::Passed,
            "n/a" => Verdict::NotApplicable(rest.to_owned()),
            "FAILED" => Verdict::Failed(rest.chars().take(500).collect()),
            _ => return,
        };
        self.scenarios.push((name, verdict));
    }

    /// A scenario that is not reported has failed.
    pub(super) fn complete(&mut self) {
        for name in SCENARIOS {
            if !self.scenarios.iter().any(|(reported, _)| *reported == name) {
                self.scenarios.push((name, Verdict::Failed("the suite said nothing of it".into())));
            }
        }
    }

    /// Whether all is well.
    pub(super) fn passed(&self) -> bool {
        self.problem.is_none() && self.count(|verdict| matches!(verdict, Verdict::Failed(_))) == 0
    }

    fn count(&self, is: impl Fn(&Verdict) -> bool) -> usize {
        self.scenarios.iter().filter(|(_, verdict)| is(verdict)).count()
    }

    fn counts(&self) -> [usize; 3] {
        [
            self.count(|verdict| *verdict == Verdict::Passed),
            self.count(|verdict| matches!(verdict, Verdict::NotApplicable(_))),
            self.count(|verdict| matches!(verdict, Verdict::Failed(_))),
        ]
    }
}

/// A table of all, then what needs words.
pub(super) fn table(outcomes: &[Outcome], left_out: &[LeftOut]) -> String {
    let mut text =
        format!("{:<24}{:<10}{:>7}{:>7}{:>8}{:>9}\n", "driver", "version", "passed", "n/a", "failed", "seconds");
    for outcome in outcomes {
        let [passed, not_applicable, failed] = outcome.counts();
        let mark = if outcome.passed() { "" } else { "  FAILED" };
        text += &format!(
            "{:<24}{:<10}{passed:>7}{not_applicable:>7}{failed:>8}{:>9.1}{mark}\n",
            outcome.driver.name, outcome.version, outcome.seconds
        );
    }
    for outcome in outcomes {
        for (name, verdict) in &outcome.scenarios {
            match verdict {
                Verdict::Passed => {}
                Verdict::NotApplicable(reason) => {
                    text += &format!("n/a     {} {name}: {reason}\n", outcome.driver.name)
                }
                Verdict::Failed(error) => text += &format!("FAILED  {} {name}: {error}\n", outcome.driver.name),
            }
        }
        if let Some(problem) = &outcome.problem {
            text += &format!("FAILED  {}: {problem}\n", outcome.driver.name);
        }
    }
    for LeftOut { driver, reason } in left_out {
        text += &format!("left out {}: {reason}\n", driver.name);
    }
    text
}

/// Writes all of it for programs.
pub(super) fn write(outcomes: &[Outcome], left_out: &[LeftOut], file: &Path) -> Result<()> {
    let drivers: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            let scenarios: serde_json::Map<_, _> = outcome
                .scenarios
                .iter()
                .map(|(name, verdict)| {
                    let verdict = match verdict {
                        Verdict::Passed => json!({"result": "passed"}),
                        Verdict::NotApplicable(reason) => json!({"result": "n/a", "reason": reason}),
                        Verdict::Failed(error) => json!({"result": "failed", "error": error}),
                    };
                    ((*name).to_owned(), verdict)
                })
                .collect();
            json!({
                "driver": outcome.driver.name,
                "version": outcome.version,
                "in_memory": outcome.driver.memory,
                "passed": outcome.passed(),
                "problem": outcome.problem,
                "seconds": outcome.seconds,
                "scenarios": scenarios,
            })
        })
        .collect();
    let left_out: Vec<_> =
        left_out.iter().map(|one| json!({"driver": one.driver.name, "reason": one.reason})).collect();
    let text = serde_json::to_string_pretty(&json!({"drivers": drivers, "left_out": left_out}))?;
    std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::super::list::DRIVERS;
    use super::*;

    #[test]
    fn lines_become_verdicts_and_silence_is_a_failure() {
        let mut outcome = Outcome::new(&DRIVERS[0]);
        for line in
            ["version 1.2", "ok cursor 0.1", "n/a cancel has none", "FAILED copy-in no rows", "ok unknown 1", ""]
        {
            outcome.line(line);
        }
        assert_eq!(outcome.version, "1.2");
        assert_eq!(outcome.counts(), [1, 1, 1]);
        assert_eq!(outcome.scenarios[2], ("copy-in", Verdict::Failed("no rows".into())));
        outcome.complete();
        assert_eq!(outcome.counts(), [1, 1, SCENARIOS.len() - 2]);
        assert!(!outcome.passed());
        let text = table(&[outcome], &[LeftOut { driver: &DRIVERS[1], reason: "no cargo".into() }]);
        assert!(
            text.contains("n/a     postgres cancel: has none") && text.contains("left out postgres-memory: no cargo")
        );
    }
}
