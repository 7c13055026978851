//! What the libraries export, and what they need.

use crate::support::{folder, libraries};
use std::collections::BTreeSet;
use std::process::Command;

/// The names of functions that a header declares.
fn declared() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for header in ["pglite.h", "pglite_compat.h"] {
        let text = std::fs::read_to_string(folder().join("include").join(header)).unwrap();
        for line in text.lines().filter(|line| !line.starts_with([' ', '/', '#', '}'])) {
            if let Some((before, _)) = line.split_once('(')
                && !line.starts_with("typedef")
            {
                names.insert(before.rsplit([' ', '*']).next().unwrap().to_owned());
            }
        }
    }
    names
}

fn output(program: &str, arguments: &[&str]) -> String {
    let library = libraries().join("libpglite.so");
    let output = Command::new(program).args(arguments).arg(library).output().expect("binutils are needed");
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_shared_library_exports_what_the_headers_declare_and_nothing_else() {
    let text = output("nm", &["-D", "--defined-only"]);
    let exported: BTreeSet<String> = text.lines().filter_map(|l| l.split(' ').nth(2)).map(str::to_owned).collect();
    assert_eq!(exported, declared());
    assert!(exported.len() > 40, "{exported:?}");
}

#[test]
fn the_shared_library_needs_nothing_newer_than_debian_12() {
    for line in output("objdump", &["-T"]).lines() {
        if let Some((_, version)) = line.split_once("GLIBC_") {
            let version: String = version.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            let mut numbers = version.split('.').map(|n| n.parse::<u32>().unwrap());
            assert!(numbers.next() == Some(2) && numbers.next() <= Some(36), "{line}");
        }
    }
    let needed = output("readelf", &["-d"]);
    for line in needed.lines().filter(|line| line.contains("(NEEDED)")) {
        let known = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"];
        assert!(known.iter().any(|name| line.contains(name)), "{line}");
    }
    assert!(!needed.contains("TEXTREL"));
}
