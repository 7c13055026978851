//! Clients that die: where a driver keeps its socket to itself, it is a process that is killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;

/// A client in a process of its own.
pub struct Victim {
    child: Child,
    /// Its session.
    pub pid: i32,
}

impl Victim {
    /// Starts one, and waits until it has connected (and, for COPY, sent rows).
    pub fn start(driver: &str, what: &str, uri: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([driver, what]).env("DRIVERS_URI", uri).env("DRIVERS_SOCKET", "").stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let pid = line.trim().parse().with_context(|| format!("the victim says {line:?}"))?;
        Ok(Self { child, pid })
    }

    /// It dies without a word.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// What the victim does.
pub fn run(driver: &str, what: &str, uri: &str) -> Result<()> {
    match (driver, what) {
        ("postgres", "victim-query") => {
            let mut client = postgres::Client::connect(uri, postgres::NoTls)?;
            client.batch_execute("SET client_connection_check_interval = '100ms'")?;
            println!("{}", client.query_one("SELECT pg_backend_pid()", &[])?.get::<_, i32>(0));
            client.batch_execute("SELECT pg_sleep(600)")?;
        }
        ("postgres", "victim-copy") => {
            let mut client = postgres::Client::connect(uri, postgres::NoTls)?;
            let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
            let mut copy = client.copy_in("COPY torn FROM STDIN")?;
            copy.write_all(&b"a row\n".repeat(10_000))?;
            copy.flush()?;
            println!("{pid}");
            std::thread::sleep(Duration::from_secs(600));
        }
        ("diesel", "victim-query") => {
            let mut connection = PgConnection::establish(uri)?;
            connection.batch_execute("SET client_connection_check_interval = '100ms'")?;
            println!("{}", crate::diesel_suite::pid(&mut connection)?);
            connection.batch_execute("SELECT pg_sleep(600)")?;
        }
        ("diesel", "victim-copy") => {
            let mut connection = PgConnection::establish(uri)?;
            let pid = crate::diesel_suite::pid(&mut connection)?;
            crate::diesel_suite::copy_until_killed(&mut connection, pid)?;
        }
        _ => bail!("{driver} has no {what}"),
    }
    Ok(())
}
