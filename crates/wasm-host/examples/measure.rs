//! `PGLITE_WASM=FOLDER cargo run --release --example measure`: how long things take, and how much memory.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wasm_host::{Engine, Modules, Options, Session};

/// Of what is sorted.
fn median(all: &[Duration]) -> Duration {
    all[all.len() / 2]
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::var_os("PGLITE_WASM").ok_or("PGLITE_WASM names the modules")?);
    let cache = folder.join("compiled");
    Engine::new(&Modules::at(&folder), &cache)?;
    let before = resident();
    let (mut fresh, mut existing) = (Vec::new(), Vec::new());
    let data = tempfile::tempdir()?;
    for number in 0..15 {
        let start = Instant::now();
        let engine = Engine::new(&Modules::at(&folder), &cache)?;
        let mut session = Session::open(&engine, &Options::new(data.path().join(number.to_string())))?;
        session.simple_query("SELECT 1")?;
        fresh.push(start.elapsed());
        session.close()?;
        let start = Instant::now();
        let engine = Engine::new(&Modules::at(&folder), &cache)?;
        let mut session = Session::open(&engine, &Options::new(data.path().join(number.to_string())))?;
        session.simple_query("SELECT 1")?;
        existing.push(start.elapsed());
    }
    fresh.sort();
    existing.sort();
    println!("to the first result: a new cluster {:?}, median {:?}", fresh[0], median(&fresh));
    println!("of an existing one: {:?}, median {:?}", existing[0], median(&existing));
    let engine = Engine::new(&Modules::at(&folder), &cache)?;
    let mut session = Session::open(&engine, &Options::new(data.path().join("0")))?;
    let mut simple = Vec::new();
    for _ in 0..20_000 {
        let start = Instant::now();
        session.simple_query("SELECT 1")?;
        simple.push(start.elapsed());
    }
    simple.sort();
    println!(
        "SELECT 1: least {:?}, median {:?}, p99 {:?}",
        simple[0],
        median(&simple),
        simple[simple.len() / 100 * 99]
    );
    let start = Instant::now();
    session.simple_query("SELECT sum(g) FROM generate_series(1, 2000000) g")?;
    println!("a sum of two million: {:?}", start.elapsed());
    println!("memory: {} kB more than before", resident() - before);
    Ok(())
}
