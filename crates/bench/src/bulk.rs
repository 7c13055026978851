//! Many rows at once: COPY, an aggregate, an index.

use std::fmt::Write;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::Figures;
use crate::server::Where;
use crate::wire::message;

/// Bytes of a CopyData message; `psql` and libpq send about as much.
const PIECE: usize = 8192;

/// How often the aggregate runs: it takes no longer than a tenth of the others.
const AGGREGATES: u32 = 5;

/// COPY, an aggregate, an index over it.
#[derive(clap::Args)]
pub(crate) struct Bulk {
    #[command(flatten)]
    server: Where,
    /// How many rows
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    rows: u32,
}

impl Bulk {
    pub(crate) fn run(&self) -> Result<Figures> {
        let data = data(self.rows);
        let rate = |since: Instant| f64::from(self.rows) / since.elapsed().as_secs_f64() / 1e3;
        let server = self.server.open()?;
        let mut session = server.session()?;
        session.run("DROP TABLE IF EXISTS bulk")?;
        session.run("CREATE TABLE bulk (id int, value bigint, label text)")?;
        session.run("CHECKPOINT")?;

        let start = Instant::now();
        session.copy_in("COPY bulk FROM STDIN", &data)?;
        let copy = rate(start);

        // hint bits and statistics, as any table has after a while
        session.run("VACUUM (ANALYZE) bulk")?;
        session.run("CHECKPOINT")?;
        let mut aggregates: Vec<f64> = Vec::new();
        for _ in 0..AGGREGATES {
            let start = Instant::now();
            let groups = session.value(
                "SELECT count(*) FROM (SELECT label, count(*), sum(value), avg(id), max(id) FROM bulk GROUP BY label) g",
            )?;
            aggregates.push(rate(start));
            ensure!(groups == self.rows.min(LABELS).to_string(), "the aggregate has {groups} groups");
        }
        aggregates.sort_by(f64::total_cmp);

        let start = Instant::now();
        session.run("CREATE INDEX ON bulk (value)")?;
        let index = rate(start);
        session.run("DROP TABLE bulk")?;
        session.run("CHECKPOINT")?;
        session.end()?;
        server.close()?;
        Ok(vec![("copy", copy), ("aggregate", aggregates[aggregates.len() / 2]), ("index", index)])
    }
}

/// Number of different labels.
const LABELS: u32 = 1000;

/// Rows in COPY's text format, as CopyData messages. The values are in no order.
fn data(rows: u32) -> Vec<u8> {
    let mut all = Vec::new();
    let mut piece = String::new();
    for id in 0..rows {
        let value = u64::from(id).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16;
        let _ = writeln!(piece, "{id}\t{value}\tlabel number {}", id % LABELS);
        if piece.len() >= PIECE || id + 1 == rows {
            all.extend_from_slice(&message(b'd', piece.as_bytes()));
            piece.clear();
        }
    }
    all
}
