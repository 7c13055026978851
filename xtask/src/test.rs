//! `cargo xtask test`: everything that CI runs, and a summary.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};
use postgres_build::child;
use postgres_build::layout::Workspace;
use postgres_build::progress::Progress;
use postgres_build::tools;

use crate::build;

/// The crates whose tests need no PostgreSQL, lowest layer first: what breaks there breaks
/// everything.
const LOW: [&str; 8] = ["bundle", "vfs", "privatize", "libos", "elf-loader", "draft", "postgres-build", "xtask"];

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Stop at the first step that fails
    #[arg(long)]
    fail_fast: bool,
    /// Only the steps whose name has this in it, such as `clippy` or `libos`
    #[arg(value_name = "STEP")]
    only: Option<String>,
}

/// A run of cargo.
struct Step {
    name: String,
    arguments: Vec<String>,
    needs_postgres: bool,
}

struct Outcome {
    step: String,
    passed: u64,
    failed: u64,
    error: Option<String>,
    seconds: f64,
}

/// Runs all steps, also after one has failed, and says how each ended.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::compiled_from();
    let low: Vec<&str> = LOW.into_iter().filter(|name| is_member(&workspace, name)).collect();
    let mut steps = vec![
        Step::new("format", "fmt --all --check", false),
        Step::new("clippy", "clippy --workspace --all-targets -- -D warnings", true),
    ];
    steps.extend(low.iter().map(|name| Step::new(&format!("test {name}"), &format!("test -p {name}"), false)));
    let excluded: String = low.iter().map(|name| format!(" --exclude {name}")).collect();
    let others = format!("test --workspace --no-fail-fast{excluded}");
    steps.push(Step::new("test the crates that need PostgreSQL", &others, true));
    steps.push(Step::new("conformance", "xtask conformance --debug core isolation", true));
    steps.push(Step::new("drivers", "xtask drivers --debug --available", true));
    if let Some(only) = &arguments.only {
        steps.retain(|step| step.name.contains(only.as_str()));
        if steps.is_empty() {
            bail!("there is no step with `{only}` in its name");
        }
    }
    // cargo would do it as well, but without showing anything
    if steps.iter().any(|step| step.needs_postgres) {
        build::for_this_machine()?;
        tools::ensure_for_tests(&Progress::new(), true)?;
    }

    let mut outcomes = Vec::new();
    for step in steps {
        println!("\n== {}", step.name);
        outcomes.push(step.run(&workspace));
        if arguments.fail_fast && outcomes.last().is_some_and(|outcome| outcome.error.is_some()) {
            break;
        }
    }
    summary(&outcomes)
}

impl Step {
    fn new(name: &str, arguments: &str, needs_postgres: bool) -> Self {
        let arguments = arguments.split_whitespace().map(str::to_owned).collect();
        Self { name: name.into(), arguments, needs_postgres }
    }

    fn run(self, workspace: &Workspace) -> Outcome {
        let start = Instant::now();
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&workspace.root).args(&self.arguments);
        let (mut passed, mut failed) = (0, 0);
        let result = child::lines(command, &mut |line| {
            println!("{line}");
            if let Some(counts) = counts(line) {
                passed += counts.0;
                failed += counts.1;
            }
        });
        let error = result.err().map(|error| error.to_string());
        Outcome { step: self.name, passed, failed, error, seconds: start.elapsed().as_secs_f64() }
    }
}

/// Reads `test result: ok. 11 passed; 0 failed; ...`.
fn counts(line: &str) -> Option<(u64, u64)> {
    let (_, result) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |what: &str| result.split("; ").find_map(|part| part.strip_suffix(what)?.trim().parse().ok());
    Some((number("passed")?, number("failed")?))
}

fn summary(outcomes: &[Outcome]) -> Result<()> {
    println!("\n== summary");
    for Outcome { step, passed, failed, error, seconds } in outcomes {
        let result = if error.is_some() { "FAILED" } else { "ok" };
        let tests = match (passed, failed) {
            (0, 0) => String::new(),
            (passed, 0) => format!("{passed} tests passed"),
            (passed, failed) => format!("{passed} tests passed, {failed} FAILED"),
        };
        println!("{result:<7}{step:<40}{seconds:>7.1} s  {tests}");
    }
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
    if failed > 0 {
        bail!("{failed} of {} steps failed", outcomes.len());
    }
    println!("all {} steps passed", outcomes.len());
    Ok(())
}

fn is_member(workspace: &Workspace, name: &str) -> bool {
    name == "xtask" || workspace.root.join("crates").join(name).join("Cargo.toml").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_results() {
        let line = "test result: FAILED. 10 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.25s";
        assert_eq!(counts(line), Some((10, 2)));
        assert_eq!(counts("test result: ok. 3 passed; 0 failed; 0 ignored"), Some((3, 0)));
        assert_eq!(counts("test result_parser ... ok"), None);
    }

    #[test]
    fn one_failed_step_fails_the_run() {
        let outcome = |error: Option<&str>| Outcome {
            step: "x".into(),
            passed: 1,
            failed: 0,
            error: error.map(str::to_owned),
            seconds: 0.0,
        };
        assert!(summary(&[outcome(None)]).is_ok());
        assert!(summary(&[outcome(None), outcome(Some("y"))]).unwrap_err().to_string().contains("1 of 2"));
    }
}
