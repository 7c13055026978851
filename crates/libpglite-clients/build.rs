//! Links the client programs of the prepared build that `postgres-sys` has found.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use postgres_build::prepared::{CLIENTS_LIBRARY, Prepared};

fn main() -> Result<()> {
    let folder = PathBuf::from(variable("DEP_PGLITE_POSTGRES_FOLDER")?);
    let prepared = Prepared::open(&folder)?;
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rustc-link-search=native={}", variable("DEP_PGLITE_POSTGRES_LIBRARIES")?);
    println!("cargo::rustc-link-lib=static={CLIENTS_LIBRARY}");
    let mut text = String::from("unsafe extern \"C\" {\n");
    let clients = &prepared.manifest.clients;
    for (number, name) in clients.iter().enumerate() {
        writeln!(
            text,
            "    #[link_name = \"privatized_program_{name}\"] safe static PROGRAM_{number}: postgres_sys::Opaque;"
        )?;
    }
    text.push_str("}\nstatic PROGRAMS: &[(&str, &postgres_sys::Opaque)] = &[\n");
    for (number, name) in clients.iter().enumerate() {
        writeln!(text, "    ({name:?}, &PROGRAM_{number}),")?;
    }
    text.push_str("];\n");
    let path = PathBuf::from(variable("OUT_DIR")?).join("clients.rs");
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("cargo has not set {name}"))
}
