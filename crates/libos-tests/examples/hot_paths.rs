//! What the library OS costs where programs call it most: nanoseconds a call, and under the kernel. An argument names one row.
//!
//! `cargo run --release -p libos-tests --example hot_paths`

use libos_tests::{Machine, Options, native};

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file").to_str().expect("UTF-8").to_owned();
    let row = std::env::args().nth(1);
    let arguments: Vec<&str> = std::iter::once(path.as_str()).chain(row.as_deref()).collect();
    let machine = Machine::with(&Options { host: &[folder.path()], ..Options::default() });
    let ours = machine.run("hot", &arguments).ok();
    let theirs = native("hot", &arguments, &[]).ok();
    println!("{:22} {:>8} {:>8}", "", "here", "kernel");
    for (line, their) in ours.lines().zip(theirs.lines()) {
        println!("{line} {:>8}", their.split_whitespace().last().unwrap_or("?"));
    }
}
