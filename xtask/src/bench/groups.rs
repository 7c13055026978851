//! What is measured, group by group, and the goals.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use postgres_build::child;

use super::dump;
use super::figure::{Figure, Goal, SIDES, Samples, Side, Values};
use super::lab::{Lab, text};
use super::server::Server;
use crate::folder::Folder;

/// Measurements that belong together.
pub(crate) struct Group {
    name: &'static str,
    pub(crate) measure: fn(&Lab) -> Result<Vec<Figure>>,
}

const GROUPS: [Group; 10] = [
    Group { name: "open-new", measure: open_new },
    Group { name: "reopen", measure: reopen },
    Group { name: "standalone", measure: standalone },
    Group { name: "session", measure: session },
    Group { name: "connect", measure: connect },
    Group { name: "pgbench", measure: pgbench },
    Group { name: "bulk", measure: bulk },
    Group { name: "dump", measure: dump::dump },
    Group { name: "memory", measure: memory },
    Group { name: "growth", measure: growth },
];

/// The groups of these names, in the order of all; all where there is no name.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<&'static Group>> {
    if let Some(unknown) = names.iter().find(|name| GROUPS.iter().all(|group| group.name != name.as_str())) {
        let known: Vec<&str> = GROUPS.iter().map(|group| group.name).collect();
        bail!("there is nothing called {unknown} to measure, but {}", known.join(", "));
    }
    Ok(GROUPS.iter().filter(|group| names.is_empty() || names.iter().any(|name| name == group.name)).collect())
}

/// A new cluster in an empty directory.
fn open_new(lab: &Lab) -> Result<Vec<Figure>> {
    let mut figures = vec![open_new_in(lab, &lab.disk, "open-new-disk")?];
    if let Some(folder) = &lab.memory {
        figures.push(open_new_in(lab, folder, "open-new-tmpfs")?);
    }
    Ok(figures)
}

fn open_new_in(lab: &Lab, folder: &Folder, name: &str) -> Result<Figure> {
    let mut samples = lab.rounds(name, 9, &SIDES, |side| {
        let data = lab.empty(folder, side)?;
        // what is left to write and to discard of the round before is not this one's
        rustix::fs::sync();
        let values = match side {
            Side::Ours => lab.bench(&["open", text(&data)?], None),
            Side::Stock(flavour) => lab.start(flavour, &data, true),
        };
        std::fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
        values
    })?;
    Ok(Figure::new(name, "ms", samples.take("first")).goals(Goal::Value(100.0), Goal::Value(50.0)))
}

/// An existing cluster that was closed.
fn reopen(lab: &Lab) -> Result<Vec<Figure>> {
    let clusters = lab.clusters(|_| Ok(()))?;
    let mut samples = lab.rounds("reopen", 15, &SIDES, |side| match side {
        Side::Ours => lab.bench(&["open", text(clusters.path(side))?], None),
        Side::Stock(flavour) => lab.start(flavour, clusters.path(side), false),
    })?;
    Ok(vec![
        Figure::new("reopen", "ms", samples.take("first")).goals(Goal::Value(40.0), Goal::Value(16.0)),
        Figure::new("close", "ms", samples.take("close")),
    ])
}

/// `SELECT 1` in a standalone session.
fn standalone(lab: &Lab) -> Result<Vec<Figure>> {
    let clusters = lab.clusters(|_| Ok(()))?;
    let count = lab.effort.of("200000", "20000");
    let mut samples = lab.rounds("standalone", 9, &[Side::Ours], |side| {
        lab.bench(&["standalone", "--data", text(clusters.path(side))?, "--count", count], None)
    })?;
    let p50 = Figure::new("standalone-p50", "us", samples.take("p50"));
    Ok(vec![p50.goals(Goal::Value(4.5), Goal::Value(3.0)), Figure::new("standalone-p99", "us", samples.take("p99"))])
}

/// `SELECT 1` in a session of a server, in memory against a Unix socket; on one core, and on all.
fn session(lab: &Lab) -> Result<Vec<Figure>> {
    let clusters = lab.clusters(|_| Ok(()))?;
    let stock = &SIDES[1..];
    let one = Some(lab.core);
    let pinned = clusters.serve_all(stock, one)?;
    let count = lab.effort.of("50000", "5000");
    let measure = |title: &str, servers: &BTreeMap<Side, Server>, core, extra: &[&str]| {
        lab.rounds(title, 9, &SIDES, |side| {
            let mut arguments = vec!["session", "--count", count];
            arguments.extend(place(clusters.path(side), servers.get(&side))?);
            arguments.extend(extra);
            lab.bench(&arguments, core)
        })
    };
    let mut wire = measure("session, one core", &pinned, one, &[])?;
    let mut client = measure("session, one core, client of the postgres crate", &pinned, one, &["--client"])?;
    stop(pinned)?;
    let free = clusters.serve_all(stock, None)?;
    let mut all = measure("session, all cores", &free, None, &[])?;
    stop(free)?;
    Ok(vec![
        Figure::new("session-p50", "us", wire.take("p50")).goals(Goal::Below(1.0), Goal::Ratio(0.5)),
        Figure::new("session-p99", "us", wire.take("p99")),
        Figure::new("session-client-p50", "us", client.take("p50")),
        Figure::new("session-all-cores-p50", "us", all.take("p50")),
    ])
}

/// New sessions on a running server.
fn connect(lab: &Lab) -> Result<Vec<Figure>> {
    let clusters = lab.clusters(|_| Ok(()))?;
    let servers = clusters.serve_all(&SIDES[1..], None)?;
    let count = lab.effort.of("300", "30");
    let mut samples = lab.rounds("connect", 9, &SIDES, |side| {
        let mut arguments = vec!["connect", "--count", count];
        arguments.extend(place(clusters.path(side), servers.get(&side))?);
        lab.bench(&arguments, None)
    })?;
    stop(servers)?;
    let p50 = Figure::new("connect-p50", "us", samples.take("p50"));
    Ok(vec![p50.goals(Goal::Ratio(1.0), Goal::Ratio(0.5))])
}

/// Scripts of pgbench: name and arguments.
const SCRIPTS: [(&str, &[&str]); 2] = [("select", &["-S", "-n"]), ("tpcb", &["-b", "tpcb-like"])];

/// All servers with a Unix socket, and pgbench as it is.
fn pgbench(lab: &Lab) -> Result<Vec<Figure>> {
    let (scale, seconds) = (lab.effort.of("10", "1"), lab.effort.of("3", "1"));
    let clusters = lab.clusters(|server| {
        let step = lab.progress.step("pgbench: make the tables", 0);
        let mut command = lab.pgbench(server);
        command.args(["-i", "-q", "-s", scale]);
        child::run(command)?;
        step.finish("");
        Ok(())
    })?;
    let servers = clusters.serve_all(&SIDES, None)?;
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let mut figures = Vec::new();
    for (script, arguments) in SCRIPTS {
        for mode in ["simple", "prepared"] {
            for clients in [1, 4, 16] {
                let name = format!("pgbench-{script}-{mode}-{clients}");
                let mut samples = lab.rounds(&name, 7, &SIDES, |side| {
                    let server = &servers[&side];
                    lab.bench(&["run", "--socket", text(server.socket())?, "CHECKPOINT"], None)?;
                    let mut command = lab.pgbench(server);
                    command.args(arguments).args(["-M", mode, "-T", seconds, "-c", &clients.to_string()]);
                    command.arg(format!("-j{}", cores.min(clients)));
                    rate(command)
                })?;
                let figure = Figure::new(name, "thousand/s", samples.take("rate")).higher_is_better();
                figures.push(match clients {
                    16 => figure.goals(Goal::Ratio(1.0), Goal::Ratio(1.15)),
                    _ => figure.at_least(Goal::Ratio(1.0)),
                });
            }
        }
    }
    stop(servers)?;
    Ok(figures)
}

/// Transactions that pgbench did, thousands a second.
fn rate(command: std::process::Command) -> Result<Values> {
    let mut rate = None;
    child::lines(command, &mut |line| {
        rate = rate.or(transactions_per_second(line));
    })?;
    let rate = rate.context("pgbench tells no rate")?;
    Ok(Values::from([("rate".to_owned(), rate / 1e3)]))
}

fn transactions_per_second(line: &str) -> Option<f64> {
    line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok()
}

/// COPY, an aggregate, an index.
fn bulk(lab: &Lab) -> Result<Vec<Figure>> {
    let clusters = lab.clusters(|_| Ok(()))?;
    let servers = clusters.serve_all(&SIDES[1..], None)?;
    let rows = lab.effort.of("1000000", "50000");
    let mut samples = lab.rounds("bulk", 7, &SIDES, |side| {
        let mut arguments = vec!["bulk", "--rows", rows];
        arguments.extend(place(clusters.path(side), servers.get(&side))?);
        lab.bench(&arguments, None)
    })?;
    stop(servers)?;
    let figures = ["copy", "aggregate", "index"].map(|name| {
        let figure = Figure::new(name, "thousand rows/s", samples.take(name)).higher_is_better();
        figure.goals(Goal::Ratio(0.97), Goal::Ratio(1.0))
    });
    Ok(figures.into())
}

/// Memory of an open database that does nothing.
fn memory(lab: &Lab) -> Result<Vec<Figure>> {
    let clusters = lab.clusters(|_| Ok(()))?;
    let settle = lab.effort.of(2, 0);
    let mut samples = lab.rounds("memory", 3, &SIDES, |side| {
        if side == Side::Ours {
            let data = text(clusters.path(side))?;
            return lab.bench(&["memory", "--data", data, "--settle", &settle.to_string()], None);
        }
        let server = clusters.serve(side, None)?;
        lab.bench(&["run", "--socket", text(server.socket())?, "SELECT 1"], None)?;
        std::thread::sleep(Duration::from_secs(settle));
        let mut arguments = vec!["memory".to_owned()];
        arguments.extend(with_children(server.pid()?)?.iter().map(u32::to_string));
        let total = lab.bench(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), None)?["total"];
        server.stop()?;
        Ok(Values::from([("database".to_owned(), total), ("total".to_owned(), total)]))
    })?;
    let database = Figure::new("memory", "MB", samples.take("database"));
    Ok(vec![
        database.goals(Goal::Value(40.0), Goal::Value(25.0)),
        Figure::new("memory-with-program", "MB", samples.take("total")),
    ])
}

/// A process and its children.
fn with_children(parent: u32) -> Result<Vec<u32>> {
    let mut found = vec![parent];
    for entry in std::fs::read_dir("/proc").context("cannot list the processes")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // it may be gone by now
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // behind the name, which may have anything in it: the state, then the parent
        let its_parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if its_parent == Some(parent) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// What is left behind by databases and sessions that have ended. The memory that the C library keeps for later varies a
/// little, and so does what background processes have open: one MB, or less than one thing in a thousand times, is no growth.
fn growth(lab: &Lab) -> Result<Vec<Figure>> {
    let clusters = lab.clusters(|_| Ok(()))?;
    let mut figures = Vec::new();
    for (what, count) in [("opens", lab.effort.of(1000, 20)), ("sessions", lab.effort.of(10_000, 200))] {
        let step = lab.progress.step(&format!("growth: {count} {what}"), 0);
        let data = text(clusters.path(Side::Ours))?;
        let values = lab.bench(&[what, "--data", data, "--count", &count.to_string()], None)?;
        step.finish("");
        let mut samples = Samples::default();
        samples.add(Side::Ours, values);
        for (kind, unit) in [("memory", "MB"), ("descriptors", ""), ("mappings", ""), ("threads", "")] {
            let limit = if kind == "memory" { 1.0 } else { (f64::from(count) / 1000.0).ceil() };
            let figure = Figure::new(format!("growth-{count}-{what}-{kind}"), unit, samples.take(kind));
            figures.push(figure.at_least(Goal::Value(limit)));
        }
    }
    Ok(figures)
}

/// Where `bench` finds a server: the socket of a running one, or a data directory to open itself.
fn place<'a>(data: &'a Path, server: Option<&'a Server>) -> Result<[&'a str; 2]> {
    match server {
        Some(server) => Ok(["--socket", text(server.socket())?]),
        None => Ok(["--data", text(data)?]),
    }
}

fn stop(servers: BTreeMap<Side, Server>) -> Result<()> {
    servers.into_values().try_for_each(Server::stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_chosen_by_name() {
        let names = |names: &[&str]| -> Vec<&str> {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            chosen(&names).unwrap().iter().map(|group| group.name).collect()
        };
        assert_eq!(names(&[]).len(), GROUPS.len());
        assert_eq!(names(&["bulk", "reopen"]), ["reopen", "bulk"]);
        assert!(chosen(&["nothing".into()]).err().unwrap().to_string().contains("nothing"));
    }

    #[test]
    fn pgbench_tells_its_rate() {
        assert_eq!(transactions_per_second("tps = 15321.5 (without initial connection time)"), Some(15321.5));
        assert_eq!(transactions_per_second("latency average = 0.065 ms"), None);
    }

    #[test]
    fn children_are_found() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let found = with_children(std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.unwrap().contains(&child.id()));
    }
}
