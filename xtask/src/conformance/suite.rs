//! The suites: what PostgreSQL's makefiles list, and the two big ones.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use postgres_build::suites::{self, Tests};

/// Which program runs a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `pg_regress`: scripts for psql.
    Regress,
    /// `pg_isolation_regress`: interleavings of several sessions.
    Isolation,
}

/// Which tests a suite has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    /// Those of a schedule, a file of the suite's folder.
    Schedule(&'static str),
    /// These.
    Listed(Vec<String>),
}

/// Tests that share a server and a database.
#[derive(Debug, Clone)]
pub(crate) struct Suite {
    /// What it is called here, such as `contrib/hstore`.
    pub(crate) name: String,
    /// Its folder in the source.
    pub(crate) folder: String,
    pub(crate) kind: Kind,
    pub(crate) tests: Selection,
    /// Options of the test program, without paths of ours.
    pub(crate) options: Vec<String>,
    /// Settings that the server must have.
    pub(crate) settings: Vec<(String, String)>,
    /// How long it may take at most: several times what it takes on a slow machine.
    pub(crate) limit: Duration,
}

impl Suite {
    /// How many tests it has.
    pub(crate) fn count(&self, tests: &Tests) -> Result<usize> {
        match &self.tests {
            Selection::Listed(names) => Ok(names.len()),
            Selection::Schedule(file) => {
                let path = tests.folder.join("source").join(&self.folder).join(file);
                let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let lines = text.lines().filter_map(|line| line.strip_prefix("test:"));
                Ok(lines.map(|names| names.split_whitespace().count()).sum())
            }
        }
    }
}

/// All suites, the most important first.
pub(crate) fn all(tests: &Tests) -> Result<Vec<Suite>> {
    let big = |name: &str, folder: &str, kind, schedule, minutes: u64| Suite {
        name: name.into(),
        folder: folder.into(),
        kind,
        tests: Selection::Schedule(schedule),
        options: Vec::new(),
        settings: Vec::new(),
        limit: Duration::from_secs(60 * minutes),
    };
    let mut core = big("core", "src/test/regress", Kind::Regress, "parallel_schedule", 15);
    core.options = vec!["--max-concurrent-tests=20".into()];
    let mut found = vec![core, big("isolation", "src/test/isolation", Kind::Isolation, "isolation_schedule", 20)];
    let mut small = Vec::new();
    for suite in &tests.suites {
        small.extend(listed(suite, Kind::Regress)?);
        small.extend(listed(suite, Kind::Isolation)?);
    }
    // PL/pgSQL first
    small.sort_by_key(|suite| suite.name.contains('/'));
    found.extend(small);
    Ok(found)
}

/// Those whose name is one of `wanted`, or in a folder that is; all where none is wanted.
pub(crate) fn choose(suites: Vec<Suite>, wanted: &[String]) -> Result<Vec<Suite>> {
    let fits = |suite: &Suite, wish: &String| {
        let rest = suite.name.strip_prefix(wish.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest == ISOLATION)
    };
    if let Some(wish) = wanted.iter().find(|wish| !suites.iter().any(|suite| fits(suite, wish))) {
        bail!("there is no suite {wish}: `cargo xtask conformance --list` names them");
    }
    let mut chosen = suites;
    chosen.retain(|suite| wanted.is_empty() || wanted.iter().any(|wish| fits(suite, wish)));
    Ok(chosen)
}

/// The end of an isolation suite's name, where a folder has another suite as well.
const ISOLATION: &str = "-isolation";

fn listed(suite: &suites::Suite, kind: Kind) -> Result<Option<Suite>> {
    let (names, options) = match kind {
        Kind::Regress => (&suite.regress, &suite.regress_options),
        Kind::Isolation => (&suite.isolation, &suite.isolation_options),
    };
    if names.is_empty() {
        return Ok(None);
    }
    let mut name = match suite.folder.as_str() {
        "src/pl/plpgsql/src" => "plpgsql".to_owned(),
        folder => folder.strip_prefix("src/test/").unwrap_or(folder).to_owned(),
    };
    if kind == Kind::Isolation && !suite.regress.is_empty() {
        name.push_str(ISOLATION);
    }
    let (mut kept, mut settings) = (Vec::new(), Vec::new());
    let mut all = options.iter();
    while let Some(option) = all.next() {
        let file = match option.strip_prefix("--temp-config") {
            Some("") => all.next().map(String::as_str),
            Some(rest) => rest.strip_prefix('='),
            None => {
                kept.push(option.clone());
                continue;
            }
        };
        let file = file.with_context(|| format!("{name}: --temp-config names no file"))?;
        settings.extend(configuration(Path::new(file))?);
    }
    Ok(Some(Suite {
        name,
        folder: suite.folder.clone(),
        kind,
        tests: Selection::Listed(names.clone()),
        options: kept,
        settings,
        limit: Duration::from_secs(600),
    }))
}

/// The settings of a configuration file.
fn configuration(file: &Path) -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(settings(&text))
}

fn settings(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.trim().into(), value.trim().trim_matches('\'').into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_configuration_file() {
        let text = "# comment\nwal_level = logical # why\nshared_preload_libraries = 'a, b'\n\n";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(settings(text), [pair("wal_level", "logical"), pair("shared_preload_libraries", "a, b")]);
    }

    #[test]
    fn a_folder_means_all_suites_in_it() {
        let suite = |name: &str| Suite {
            name: name.into(),
            folder: String::new(),
            kind: Kind::Regress,
            tests: Selection::Listed(Vec::new()),
            options: Vec::new(),
            settings: Vec::new(),
            limit: Duration::ZERO,
        };
        let all = ["core", "contrib/cube", "contrib/postgres_fdw", "contrib/postgres_fdw-isolation"];
        let names = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            let chosen = choose(all.map(suite).to_vec(), &wanted)?;
            anyhow::Ok(chosen.into_iter().map(|suite| suite.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap(), all);
        assert_eq!(names(&["contrib/"]).unwrap(), all[1..]);
        assert_eq!(names(&["contrib/postgres_fdw", "core"]).unwrap(), [all[0], all[2], all[3]]);
        assert!(names(&["contrib/c"]).unwrap_err().to_string().contains("no suite contrib/c"));
    }
}
