//! Runs scenarios and reports.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use libpglite::Database;

pub const ROWS: i64 = 20_000;
pub const ASLEEP: &str = "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'";
pub const GONE: &str = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $1";
pub const BLOCKED: &str = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted";
pub const HUNDRED: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hundred'";

/// Where the database is.
pub struct Place {
    /// For clients that need an address.
    pub uri: String,
    /// The folder of its Unix socket.
    pub socket: PathBuf,
    /// The database, where it is in this process.
    pub database: Option<Database>,
    _folder: Option<tempfile::TempDir>,
}

impl Place {
    pub fn open(uri: &str) -> Result<Self> {
        if uri != ":memory:" {
            let socket = std::env::var_os("DRIVERS_SOCKET").context("DRIVERS_SOCKET is not set")?.into();
            return Ok(Self { uri: uri.into(), socket, database: None, _folder: None });
        }
        let folder = tempfile::tempdir()?;
        let database =
            Database::builder(":memory:").setting("max_connections", "120").listen_socket(folder.path()).open()?;
        let given = database.uri()?;
        let login = given.strip_prefix("postgresql://").and_then(|rest| rest.split_once("@/postgres?"));
        let (login, rest) = login.with_context(|| format!("an unexpected URI: {given}"))?;
        let (user, password) = login.split_once(':').context("no password in the URI")?;
        // sqlx takes no user before an empty host
        let uri = format!("postgresql:///postgres?{rest}&user={user}&password={password}");
        Ok(Self { uri, socket: folder.path().into(), database: Some(database), _folder: Some(folder) })
    }

    /// The URI with the Unix socket.
    pub fn socket_uri(&self) -> Result<String> {
        if self.database.is_some() {
            return Ok(self.uri.clone());
        }
        let url = url::Url::parse(&self.uri)?;
        let password = url.password().context("no password in the URI")?;
        let (user, port, folder) = (url.username(), url.port().unwrap_or(5432), self.socket.display());
        Ok(format!("postgresql:///postgres?host={folder}&port={port}&user={user}&password={password}"))
    }

    pub fn close(self) -> Result<()> {
        self.database.map_or(Ok(()), |database| Ok(database.close()?))
    }
}

/// The driver has no such thing.
#[derive(Debug)]
pub struct NotApplicable(pub &'static str);

impl std::fmt::Display for NotApplicable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotApplicable {}

pub type Scenario = (&'static str, fn(&Place) -> Result<()>);

/// Asks until the answer is true.
pub fn until(mut ask: impl FnMut() -> Result<bool>) -> Result<()> {
    for _ in 0..3000 {
        if ask()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("a condition never became true")
}

/// Wants an error of the `postgres` crates with this SQLSTATE.
pub fn fails<T>(state: &str, result: Result<T, tokio_postgres::Error>) -> Result<()> {
    match result {
        Ok(_) => bail!("no error, but {state} was expected"),
        Err(error) if error.code().is_some_and(|code| code.code() == state) => Ok(()),
        Err(error) => Err(anyhow::Error::from(error).context(format!("{state} was expected"))),
    }
}

pub fn equal<T: PartialEq + std::fmt::Debug>(actual: T, expected: T) -> Result<()> {
    ensure!(actual == expected, "{actual:?} instead of {expected:?}");
    Ok(())
}

/// Runs them, says how each ended, and whether none failed.
pub fn run(version: &str, scenarios: &[Scenario], place: &Place, only: &[String]) -> bool {
    println!("version {version}");
    let mut passed = true;
    for (name, scenario) in scenarios {
        if !only.is_empty() && !only.iter().any(|one| one == name) {
            continue;
        }
        let start = Instant::now();
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| scenario(place)));
        match result.unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked"))) {
            Ok(()) => println!("ok {name} {:.3}", start.elapsed().as_secs_f64()),
            Err(error) if error.is::<NotApplicable>() => println!("n/a {name} {error}"),
            Err(error) => {
                passed = false;
                println!("FAILED {name} {}", format!("{error:?}").split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
    }
    passed
}
