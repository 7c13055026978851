//! How long one thing takes that is done many times.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use libpglite::Database;

use crate::server::Where;
use crate::wire::{Session as WireSession, query};
use crate::{Figures, mix};

/// Does `step` `count` times, after a warm-up of a tenth of that; the durations in nanoseconds, sorted.
fn durations(count: usize, mut step: impl FnMut() -> Result<()>) -> Result<Vec<u64>> {
    for _ in 0..count / 10 {
        step()?;
    }
    let mut all = Vec::with_capacity(count);
    let mut last = Instant::now();
    for _ in 0..count {
        step()?;
        let now = Instant::now();
        all.push((now - last).as_nanos() as u64);
        last = now;
    }
    all.sort_unstable();
    Ok(all)
}

/// The value that this fraction of the sorted durations does not exceed, in microseconds.
fn percentile(sorted: &[u64], fraction: f64) -> f64 {
    let at = ((sorted.len() as f64 * fraction).ceil() as usize).clamp(1, sorted.len()) - 1;
    sorted[at] as f64 / 1e3
}

fn figures(sorted: &[u64]) -> Figures {
    vec![("p50", percentile(sorted, 0.5)), ("p99", percentile(sorted, 0.99))]
}

/// `SELECT 1` in a standalone session, by bytes.
#[derive(clap::Args)]
pub(crate) struct Standalone {
    /// The data directory, of an existing cluster
    #[arg(long)]
    data: PathBuf,
    /// How often
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
}

impl Standalone {
    pub(crate) fn run(&self) -> Result<Figures> {
        let mut session = Database::builder(&self.data).no_log().existing_only().open_standalone()?;
        let request = query("SELECT 1");
        let mut reply = Vec::new();
        let sorted = durations(self.count as usize, || {
            reply.clear();
            session.exchange(&request, |bytes| reply.extend_from_slice(bytes))?;
            ensure!(reply.ends_with(b"Z\0\0\0\x05I"), "the reply has no end");
            Ok(())
        })?;
        session.close()?;
        Ok(figures(&sorted))
    }
}

/// The mix of queries in a standalone session.
#[derive(clap::Args)]
pub(crate) struct Mix {
    /// The data directory, of a new cluster
    #[arg(long)]
    data: PathBuf,
    /// How often the whole mix is run
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

impl Mix {
    pub(crate) fn run(&self) -> Result<Figures> {
        let mut session = Database::builder(&self.data).no_log().open_standalone()?;
        let mut reply = Vec::new();
        let figures = mix::run(self.rounds, |sql| {
            reply.clear();
            session.exchange(&query(sql), |bytes| reply.extend_from_slice(bytes))?;
            ensure!(reply.ends_with(b"Z\0\0\0\x05I"), "{sql}: the reply has no end");
            ensure!(reply[0] != b'E', "{sql}: {}", String::from_utf8_lossy(&reply));
            anyhow::Ok(())
        })?;
        session.close()?;
        Ok(figures)
    }
}

/// `SELECT 1` in a session of a server.
#[derive(clap::Args)]
pub(crate) struct Session {
    #[command(flatten)]
    server: Where,
    /// With the client of the `postgres` crate, instead of the bare protocol
    #[arg(long)]
    client: bool,
    /// How often
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
}

impl Session {
    pub(crate) fn run(&self) -> Result<Figures> {
        let server = self.server.open()?;
        let sorted = if self.client {
            let mut client = server.client()?;
            durations(self.count as usize, || {
                let rows = client.simple_query("SELECT 1")?;
                ensure!(rows.len() == 3, "a description, a row and an end were expected");
                Ok(())
            })?
        } else {
            let mut session = server.session()?;
            ensure!(session.value("SELECT 1")? == "1", "the result is wrong");
            let request = query("SELECT 1");
            let sorted = durations(self.count as usize, || session.exchange(&request))?;
            session.end()?;
            sorted
        };
        server.close()?;
        Ok(figures(&sorted))
    }
}

/// New sessions to their first result.
#[derive(clap::Args)]
pub(crate) struct Connect {
    #[command(flatten)]
    server: Where,
    /// How often
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
}

impl Connect {
    pub(crate) fn run(&self) -> Result<Figures> {
        let server = self.server.open()?;
        let one = || -> Result<(u64, WireSession<_>)> {
            let start = Instant::now();
            let mut session = server.session()?;
            ensure!(session.value("SELECT 1")? == "1", "the result is wrong");
            Ok((start.elapsed().as_nanos() as u64, session))
        };
        let mut all = Vec::new();
        for round in 0..self.count + self.count / 10 {
            let (duration, session) = one()?;
            session.end()?;
            if round >= self.count / 10 {
                all.push(duration);
            }
        }
        all.sort_unstable();
        server.close()?;
        Ok(figures(&all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let all: Vec<u64> = (1..=100).map(|i| i * 1000).collect();
        assert_eq!(percentile(&all, 0.5), 50.0);
        assert_eq!(percentile(&all, 0.99), 99.0);
        assert_eq!(percentile(&all, 1.0), 100.0);
        assert_eq!(percentile(&[7000], 0.5), 7.0);
    }

    #[test]
    fn the_warm_up_is_not_counted() {
        let mut calls = 0;
        let all = durations(100, || {
            calls += 1;
            Ok(())
        });
        assert_eq!((all.unwrap().len(), calls), (100, 110));
    }
}
