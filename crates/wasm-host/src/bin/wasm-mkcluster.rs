//! Makes the template cluster of a build of the modules: `wasm-mkcluster MODULES DIRECTORY`. A step of `cargo xtask build --target wasm32-wasip1`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};
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

/// Bytes of a segment of the log: what `--wal-segsize` says.
const SEGMENT: u64 = 1 << 20;

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
    Ok(remove_spare_segments(&data)?)
}

/// Removes all segments of the log but the one that the checkpoint at the end is in.
fn remove_spare_segments(data: &Path) -> io::Result<()> {
    let control = fs::read(data.join("global/pg_control"))?;
    let location = control.get(32..40).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let segment = location.ok_or_else(|| io::Error::other("pg_control is too short"))? / SEGMENT;
    let per_file = (1 << 32) / SEGMENT;
    let name = format!("{:08X}{:08X}{:08X}", 1, segment / per_file, segment % per_file);
    let log = data.join("pg_wal");
    if !log.join(&name).exists() {
        return Err(io::Error::other(format!("pg_wal has no segment {name}")));
    }
    for entry in fs::read_dir(log)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && *entry.file_name() != *name {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
