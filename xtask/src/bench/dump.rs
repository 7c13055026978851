//! A database into an archive, and out of it again, by each side's own programs.

use std::time::Instant;

use anyhow::{Context, Result};
use postgres_build::child;
use postgres_build::stock::Flavour;

use super::figure::{Figure, Goal, Side, Values};
use super::lab::Lab;

/// Both sides compress with the same library, if they do: what is measured is the rest.
const FORMATS: [(&str, &[&str]); 2] =
    [("custom", &["--format=custom", "--compress=none"]), ("plain", &["--format=plain"])];

/// `pg_dump` and `pg_restore` of 500 MB. Ours open the database and close it again; a stock server runs already.
pub(super) fn dump(lab: &Lab) -> Result<Vec<Figure>> {
    let stock = Side::Stock(Flavour::Gcc);
    let scale = lab.effort.of("34", "1");
    let clusters = lab.clusters(|server| {
        let mut command = lab.pgbench(server);
        command.args(["--initialize", "--quiet", "--scale", scale]);
        child::run(command).context("cannot fill the database")
    })?;
    let server = clusters.serve(stock, None)?;
    let folder = lab.memory.as_ref().unwrap_or(&lab.disk);
    let program = |side, name: &str, arguments: &[&str]| -> Result<f64> {
        let mut command = lab.program(side, name, clusters.path(side))?;
        command.args(arguments);
        let start = Instant::now();
        child::run(command).with_context(|| format!("{name} {}", arguments.join(" ")))?;
        Ok(start.elapsed().as_secs_f64())
    };
    let mut samples = lab.rounds("dump", 5, &[Side::Ours, stock], |side| {
        let mut values = Values::new();
        for (format, options) in FORMATS {
            let archive = folder.join("archive");
            let file = format!("--file={}", archive.display());
            let seconds = program(side, "pg_dump", &[options, &["--dbname=postgres", &file]].concat())?;
            values.insert(format!("dump-{format}"), seconds);
            if format == "custom" {
                program(side, "createdb", &["restored"])?;
                // what one left to be written is not the other's to wait for
                rustix::fs::sync();
                let archive = archive.to_string_lossy();
                values.insert("restore".into(), program(side, "pg_restore", &["--dbname=restored", &archive])?);
                program(side, "dropdb", &["restored"])?;
            }
            std::fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))?;
        }
        Ok(values)
    })?;
    server.stop()?;
    let figures = ["dump-custom", "dump-plain", "restore"]
        .map(|name| Figure::new(name, "s", samples.take(name)).goals(Goal::Ratio(1.05), Goal::Ratio(1.0)));
    Ok(figures.into())
}
