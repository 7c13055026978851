//! `cargo xtask`: builds PostgreSQL, tests, shows and measures libpglite.

mod bench;
mod build;
mod conformance;
mod demo;
mod dist;
mod drivers;
mod folder;
mod prepared;
mod profile;
mod setup;
mod tap;
mod test;
mod user;
mod wasm;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use postgres_build::child;

/// Drives the development of libpglite.
///
/// A new checkout needs nothing but Rust: `cargo xtask setup` installs the tools (as root on
/// Debian) or names the command that does, `cargo xtask build` turns PostgreSQL's release into a
/// library (about six minutes, once), and `cargo xtask test` runs everything that CI does.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = ENVIRONMENT, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const ENVIRONMENT: &str = "\
Environment:
  PGLITE_POSTGRES_SOURCE  a source tree or tarball of PostgreSQL 18 to build, instead of the cached or downloaded one
  PGLITE_POSTGRES_URL     a site to download from, instead of PostgreSQL's own
  PGLITE_PREBUILT         a prepared build (folder or .tar.zst) that `cargo build` links, instead of making one
  PGLITE_POSTGRES_DEBUG   1: `cargo build` links PostgreSQL's debug information as well
  XDG_CACHE_HOME          the cache is in its folder libpglite (default: ~/.cache)";

#[derive(Subcommand)]
enum Command {
    /// Install the tools that building PostgreSQL needs, or name the command that does
    Setup,
    /// Compile PostgreSQL into a prepared build: a static library, its share files, a template
    /// cluster
    Build(build::Arguments),
    /// Write a prepared build to an archive, for machines without LLVM
    Prepared(prepared::Arguments),
    /// Run everything that CI runs: format, lints, and the tests of every crate
    Test(test::Arguments),
    /// Build the WebAssembly modules, and test them in their hosts, the first of which compiles wasmtime
    Wasm(wasm::Arguments),
    /// Show what libpglite can do
    Demo,
    /// Measure it against stock servers
    Bench(bench::Arguments),
    /// Let an instrumented server work, to find out what it does most: the compiler lays out code by that
    Profile,
    /// Run PostgreSQL's own regression tests against a server inside our process
    Conformance(conformance::Arguments),
    /// Run PostgreSQL's own TAP tests against an installation whose programs are pglite
    Tap(tap::Arguments),
    /// Run the suites of real drivers, of five languages, against `pglite serve`
    Drivers(drivers::Arguments),
    /// Make release archives
    Dist,
}

fn main() -> ExitCode {
    if let Err(error) = ctrlc::set_handler(interrupted) {
        eprintln!("Ctrl-C will not stop the programs that are started: {error}");
    }
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Setup => setup::run(),
        Command::Build(arguments) => build::run(&arguments),
        Command::Prepared(arguments) => prepared::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Wasm(arguments) => wasm::run(&arguments),
        Command::Demo => demo::run(),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Profile => profile::run(),
        Command::Conformance(arguments) => conformance::run(&arguments),
        Command::Tap(arguments) => tap::run(&arguments),
        Command::Drivers(arguments) => drivers::run(&arguments),
        Command::Dist => dist::run(),
    }
}

/// On Ctrl-C, and on a signal to terminate.
fn interrupted() {
    eprintln!("\ninterrupted, stopping what was started");
    child::stop_all();
    folder::remove_folders();
    std::process::exit(130);
}
