//! Makes the template cluster of a build of the modules: `wasm-mkcluster MODULES DIRECTORY`. A step of `cargo xtask build --target wasm32-wasip1`.

use std::error::Error;
use std::path::PathBuf;
use wasm_host::{Modules, initdb};

/// As the native template, but for what a process alone cannot have.
const ARGUMENTS: [&str; 20] = [
    "--username=postgres",
    "--auth=trust",
    "--wal-segsize=1",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-sync",
    // One session, without background processes, in memory that only grows.
    "-c",
    "shared_buffers=16MB",
    "-c",
    "max_connections=5",
    "-c",
    "max_wal_senders=0",
    "-c",
    "max_worker_processes=0",
    "-c",
    "autovacuum_worker_slots=1",
    "-c",
    "max_wal_size=64MB",
];

/// A process alone gives out numbers below those of users' objects, as initdb does: so they are used up here.
const NUMBERS: &str = "do $$ begin loop exit when pg_nextoid('pg_class', 'oid', 'pg_class_oid_index')::int8 >= 16384; end loop; end $$;\n\n";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(modules), Some(data)) = (arguments.next(), arguments.next()) else {
        return Err("usage: wasm-mkcluster MODULES DIRECTORY".into());
    };
    let cache = modules.join("compiled");
    let modules = Modules::at(modules);
    std::fs::create_dir_all(&data)?;
    initdb::run(&modules, &cache, &data, &ARGUMENTS)?;
    initdb::single(&modules, &cache, &data, "template1", NUMBERS)?;
    Ok(())
}
