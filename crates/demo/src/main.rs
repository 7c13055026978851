//! Opens a new database, loads 144,000 places of the world, runs several sessions at once, closes it, opens it again.
//!
//! `cargo xtask demo` runs it. Usage: `demo DATA.csv DIRECTORY`.

use anyhow::{Context, Result, ensure};
use fallible_iterator::FallibleIterator;
use libpglite::Database;
use libpglite::postgres::Client;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const WRITERS: u32 = 4;
const VISITS: u32 = 250;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(data), Some(directory)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: demo DATA.csv DIRECTORY");
    };
    let directory = Path::new(&directory);
    if directory.exists() {
        std::fs::remove_dir_all(directory).context("cannot remove the database of the last run")?;
    }

    let start = Instant::now();
    let db = Database::open(directory)?;
    let mut client = db.connect()?;
    let version: String = client.query_one("SELECT version()", &[])?.get(0);
    step("a new database, to its first result", start);
    println!("    {version}");
    println!("    in {}, inside this process ({})", directory.display(), std::process::id());

    load(&mut client, Path::new(&data))?;
    let visits = work(&db)?;
    let start = Instant::now();
    drop(client);
    db.close()?;
    step("close", start);

    let start = Instant::now();
    let db = Database::open(directory)?;
    let mut client = db.connect()?;
    let row = client.query_one("SELECT (SELECT count(*) FROM place), (SELECT count(*) FROM visit)", &[])?;
    step("open it again, count everything", start);
    let (places, kept): (i64, i64) = (row.get(0), row.get(1));
    println!("    {places} places and {kept} visits are still there");
    ensure!(kept == visits, "{visits} visits were committed, {kept} are there");
    drop(client);
    db.close()?;
    println!("\nThe directory is an ordinary PostgreSQL 18 data directory: {}", directory.display());
    Ok(())
}

fn step(what: &str, start: Instant) {
    println!("{:>9.1} ms  {what}", start.elapsed().as_secs_f64() * 1e3);
}

fn load(client: &mut Client, data: &Path) -> Result<()> {
    let start = Instant::now();
    client.batch_execute(
        "CREATE TABLE place (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lat float8, lon float8,
                             name text, admin1 text, admin2 text, country text);
         CREATE TABLE visit (place int REFERENCES place, visitor int, at timestamptz DEFAULT clock_timestamp());",
    )?;
    let text = std::fs::read(data).with_context(|| format!("cannot read {}", data.display()))?;
    let mut copy =
        client.copy_in("COPY place (lat, lon, name, admin1, admin2, country) FROM STDIN (FORMAT csv, HEADER)")?;
    copy.write_all(&text)?;
    let rows = copy.finish()?;
    step(&format!("COPY {rows} places in"), start);
    ensure!(rows > 100_000, "the data has only {rows} rows");

    let start = Instant::now();
    client.batch_execute("CREATE EXTENSION pg_trgm; CREATE INDEX ON place USING gin (name gin_trgm_ops); ANALYZE")?;
    step("an extension (pg_trgm), a trigram index, ANALYZE", start);
    Ok(())
}

/// One long query with parallel workers, writers, and a listener, all at once. Returns the number of committed visits.
fn work(db: &Database) -> Result<i64> {
    let start = Instant::now();
    let done = AtomicBool::new(false);
    let ready = std::sync::Barrier::new(WRITERS as usize + 2);
    let (heard, plan) = std::thread::scope(|scope| -> Result<(u32, String)> {
        let listener = scope.spawn(|| listen(db, &ready, &done));
        let writers: Vec<_> = (0..WRITERS)
            .map(|i| {
                scope.spawn({
                    let ready = &ready;
                    move || write(db, ready, i)
                })
            })
            .collect();
        let analysis = scope.spawn(|| analyse(db, &ready));
        for writer in writers {
            writer.join().expect("a writer")?;
        }
        step(&format!("{WRITERS} sessions wrote {VISITS} transactions each, meanwhile:"), start);
        let plan = analysis.join().expect("the analysis")?;
        done.store(true, Ordering::SeqCst);
        Ok((listener.join().expect("the listener")?, plan))
    })?;
    println!("    a LISTENer heard {heard} notifications");
    println!("    the analytical query used {plan}");
    ensure!(heard == WRITERS * VISITS, "{} notifications were sent, {heard} were heard", WRITERS * VISITS);
    Ok(i64::from(WRITERS * VISITS))
}

fn listen(db: &Database, ready: &std::sync::Barrier, done: &AtomicBool) -> Result<u32> {
    let mut client = db.connect()?;
    client.batch_execute("LISTEN visit")?;
    ready.wait();
    let mut heard = 0;
    loop {
        let ended = done.load(Ordering::SeqCst);
        let mut notifications = client.notifications();
        let mut waiting = notifications.timeout_iter(Duration::from_millis(200));
        while waiting.next()?.is_some() {
            heard += 1;
        }
        if ended {
            return Ok(heard);
        }
    }
}

fn write(db: &Database, ready: &std::sync::Barrier, visitor: u32) -> Result<()> {
    let mut client = db.connect()?;
    let insert = client.prepare("INSERT INTO visit (place, visitor) VALUES (1 + floor(random() * 100000)::int, $1)")?;
    ready.wait();
    for i in 0..VISITS {
        let mut transaction = client.transaction()?;
        transaction.execute(&insert, &[&(visitor as i32)])?;
        // A payload of its own: PostgreSQL sends equal notifications of one transaction once.
        transaction.execute("SELECT pg_notify('visit', $1)", &[&format!("{visitor}:{i}")])?;
        transaction.commit()?;
    }
    Ok(())
}

fn analyse(db: &Database, ready: &std::sync::Barrier) -> Result<String> {
    const QUERY: &str = "SELECT a.country, count(*), round(avg(b.lat - a.lat)::numeric, 3)
        FROM place a JOIN place b ON a.name = b.name AND a.id < b.id GROUP BY 1 ORDER BY 2 DESC LIMIT 5";
    let mut client = db.connect()?;
    client.batch_execute(
        "SET max_parallel_workers_per_gather = 2; SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0",
    )?;
    ready.wait();
    let start = Instant::now();
    let rows = client.query(QUERY, &[])?;
    step("the countries whose place names other places share most:", start);
    for row in &rows {
        println!("    {:<3}{:>8} pairs", row.get::<_, String>(0), row.get::<_, i64>(1));
    }
    let plan = client.query(&format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS OFF) {QUERY}"), &[])?;
    let launched = plan.iter().map(|row| row.get::<_, String>(0)).find(|line| line.contains("Workers Launched"));
    let launched = launched.context("the plan has no parallel workers")?;
    Ok(launched.trim().to_lowercase())
}
