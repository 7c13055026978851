//! The drivers, and the scenarios that each suite in `tests/drivers` has.

use anyhow::{Result, bail};

/// What every suite reports, in this order.
pub(super) const SCENARIOS: [&str; 14] = [
    "simple-query",
    "extended-query",
    "prepared-names",
    "pipeline-error",
    "copy-in",
    "copy-out",
    "listen-notify",
    "cursor",
    "cancel",
    "transactions",
    "client-dies-query",
    "client-dies-copy",
    "hundred-connections",
    "unix-socket",
];

/// What a driver is installed and run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Toolchain {
    Rust,
    Python,
    Node,
    Go,
    Java,
}

impl Toolchain {
    /// Its name, which on the command line stands for all its drivers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Node => "node",
            Self::Go => "go",
            Self::Java => "java",
        }
    }

    /// The programs that must be there.
    pub(super) fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["cargo"],
            Self::Python => &["python3"],
            Self::Node => &["node", "npm"],
            Self::Go => &["go"],
            Self::Java => &["java", "javac", "mvn"],
        }
    }
}

/// A suite against one kind of database.
pub(super) struct Driver {
    pub(super) name: &'static str,
    pub(super) toolchain: Toolchain,
    /// What the suite is started with: a file, or arguments of the program that was built.
    pub(super) arguments: &'static [&'static str],
    /// Whether the database is in the suite's own process, in memory.
    pub(super) memory: bool,
}

const fn driver(name: &'static str, toolchain: Toolchain, arguments: &'static [&'static str]) -> Driver {
    Driver { name, toolchain, arguments, memory: false }
}

const fn in_memory(name: &'static str, arguments: &'static [&'static str]) -> Driver {
    Driver { name, toolchain: Toolchain::Rust, arguments, memory: true }
}

/// All drivers.
pub(super) const DRIVERS: [Driver; 17] = [
    driver("postgres", Toolchain::Rust, &["postgres"]),
    in_memory("postgres-memory", &["postgres"]),
    driver("tokio-postgres", Toolchain::Rust, &["tokio-postgres"]),
    in_memory("tokio-postgres-memory", &["tokio-postgres"]),
    driver("sqlx", Toolchain::Rust, &["sqlx"]),
    in_memory("sqlx-memory", &["sqlx"]),
    driver("diesel", Toolchain::Rust, &["diesel"]),
    in_memory("diesel-memory", &["diesel"]),
    driver("psycopg", Toolchain::Python, &["psycopg_suite.py"]),
    driver("asyncpg", Toolchain::Python, &["asyncpg_suite.py"]),
    driver("sqlalchemy-psycopg", Toolchain::Python, &["sqlalchemy_suite.py", "psycopg"]),
    driver("sqlalchemy-asyncpg", Toolchain::Python, &["sqlalchemy_suite.py", "asyncpg"]),
    driver("node-postgres", Toolchain::Node, &["pg.mjs"]),
    driver("postgres.js", Toolchain::Node, &["postgresjs.mjs"]),
    driver("drizzle", Toolchain::Node, &["drizzle.mjs"]),
    driver("pgx", Toolchain::Go, &[]),
    driver("jdbc", Toolchain::Java, &[]),
];

/// The drivers with these names, or of these toolchains; all where none is named.
pub(super) fn chosen(names: &[String]) -> Result<Vec<&'static Driver>> {
    let is = |driver: &Driver, name: &String| driver.name == name || driver.toolchain.name() == name;
    for name in names {
        if !DRIVERS.iter().any(|driver| is(driver, name)) {
            let known: Vec<_> = DRIVERS.iter().map(|driver| driver.name).collect();
            bail!(
                "there is no driver `{name}`; there are {}, and rust, python, node, go, java for all of a kind",
                known.join(", ")
            );
        }
    }
    Ok(DRIVERS.iter().filter(|driver| names.is_empty() || names.iter().any(|name| is(driver, name))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_chosen_by_name_and_by_kind() {
        let names = |list: &[&str]| {
            let list: Vec<String> = list.iter().map(|name| (*name).to_owned()).collect();
            chosen(&list).map(|chosen| chosen.iter().map(|driver| driver.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap().len(), DRIVERS.len());
        assert_eq!(names(&["jdbc", "sqlx"]).unwrap(), ["sqlx", "jdbc"]);
        assert_eq!(names(&["go", "pgx"]).unwrap(), ["pgx"]);
        assert_eq!(names(&["node"]).unwrap().len(), 3);
        assert!(names(&["odbc"]).unwrap_err().to_string().contains("postgres.js"));
    }
}
