//! `PGLITE_WASM=FOLDER cargo run --release --example mix`: `bench mix` of crates/bench, in a sandbox.

use std::error::Error;
use std::path::PathBuf;
use wasm_host::{Engine, Modules, Options, Session};

#[path = "../../bench/src/mix.rs"]
mod mix;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::var_os("PGLITE_WASM").ok_or("PGLITE_WASM names the modules")?);
    let data = tempfile::tempdir()?;
    let engine = Engine::new(&Modules::at(&folder), &folder.join("compiled"))?;
    let mut session = Session::open(&engine, &Options::new(data.path()))?;
    let figures = mix::run(5, |sql| {
        let reply = session.simple_query(sql)?;
        if reply.first() == Some(&b'E') || !reply.ends_with(b"Z\0\0\0\x05I") {
            return Err(Box::<dyn Error>::from(format!("{sql}: {}", String::from_utf8_lossy(&reply))));
        }
        Ok(())
    })?;
    let all: Vec<String> = figures.iter().map(|(name, time)| format!("\"{name}\":{time}")).collect();
    println!("{{{}}}", all.join(","));
    Ok(())
}
