//! A database into an archive, and out of it again, by each side's own programs.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use postgres_build::child;
use postgres_build::stock::Flavour;

use super::figure::{Figure, Goal, Side, Values};
use super::lab::{Clusters, Lab};

/// Both sides compress with the same library, if they do: what is measured is the rest.
const FORMATS: [(&str, &[&str]); 2] =
    [("custom", &["--format=custom", "--compress=none"]), ("plain", &["--format=plain"])];

const STOCK: Side = Side::Stock(Flavour::Gcc);

/// How the programs of ours find the database. A stock server runs already.
#[derive(Clone, Copy)]
enum Way {
    /// They open its directory, and close it when they are done.
    Directory,
    /// `pglite serve` runs already.
    Server,
}

/// `pg_dump` and `pg_restore` of 500 MB, both ways.
pub(super) fn dump(lab: &Lab) -> Result<Vec<Figure>> {
    let scale = lab.effort.of("34", "1");
    let clusters = lab.clusters(|server| {
        let mut command = lab.pgbench(server);
        command.args(["--initialize", "--quiet", "--scale", scale]);
        child::run(command).context("cannot fill the database")
    })?;
    let server = clusters.serve(STOCK, None)?;
    let mut figures = measured(lab, &clusters, Way::Directory)?;
    let ours = clusters.serve(Side::Ours, None)?;
    figures.extend(measured(lab, &clusters, Way::Server)?);
    ours.stop()?;
    server.stop()?;
    Ok(figures)
}

fn measured(lab: &Lab, clusters: &Clusters<'_>, way: Way) -> Result<Vec<Figure>> {
    let (title, suffix) = match way {
        Way::Directory => ("dump a directory", "-directory"),
        Way::Server => ("dump", ""),
    };
    let folder = lab.memory.as_ref().unwrap_or(&lab.disk);
    let program = |side, name: &str, arguments: &[&str]| -> Result<f64> {
        let mut command = match (side, way) {
            (Side::Ours, Way::Directory) => lab.program_in(clusters.path(side), name),
            _ => lab.program(side, name)?,
        };
        command.args(arguments);
        let start = Instant::now();
        child::run(command).with_context(|| format!("{name} {}", arguments.join(" ")))?;
        Ok(start.elapsed().as_secs_f64())
    };
    let mut samples = lab.rounds(title, 5, &[Side::Ours, STOCK], |side| {
        let mut values = Values::new();
        let archive = folder.join("archive");
        for (format, options) in FORMATS {
            let file = format!("--file={}", archive.display());
            let seconds = program(side, "pg_dump", &[options, &["--dbname=postgres", &file]].concat())?;
            values.insert(format!("dump-{format}{suffix}"), seconds);
            if format == "custom" {
                let seconds = restored(&archive, |name, arguments| program(side, name, arguments))?;
                values.insert(format!("restore{suffix}"), seconds);
            }
            std::fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))?;
        }
        Ok(values)
    })?;
    let figures = ["dump-custom", "dump-plain", "restore"].map(|name| {
        let name = format!("{name}{suffix}");
        let samples = samples.take(&name);
        Figure::new(&name, "s", samples).goals(Goal::Ratio(1.05), Goal::Ratio(1.0))
    });
    Ok(figures.into())
}

/// How long it takes to restore an archive into a new database, in seconds.
fn restored(archive: &Path, program: impl Fn(&str, &[&str]) -> Result<f64>) -> Result<f64> {
    program("createdb", &["--maintenance-db=postgres", "restored"])?;
    // what one left to be written is not the other's to wait for
    rustix::fs::sync();
    let seconds = program("pg_restore", &["--dbname=restored", &archive.to_string_lossy()])?;
    program("dropdb", &["--maintenance-db=postgres", "restored"])?;
    Ok(seconds)
}
