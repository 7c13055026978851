//! Programs with every kind of global do the same as without the pass: in two instances at once, and in a fresh one
//! after those have written to everything.

mod common;

use common::{Bench, LEVELS, expected, source};
use privatize::Report;

/// Compares a program of `programs/` with and without the pass. The report is that of the first level, `-O0`.
fn compare(files: &[&str], flags: &[&str]) -> Report {
    let mut first = None;
    for level in LEVELS {
        let bench = Bench::new();
        let mut flags = flags.to_vec();
        flags.push(level);
        let objects: Vec<_> = files.iter().map(|file| bench.compile(&source("programs").join(file), &flags)).collect();
        let (bitcode, report) = bench.privatize(&bench.unit(&objects));
        let one = bench.run_plain(files, &flags, "1");
        let two = bench.run_plain(files, &flags, "2");
        assert_ne!(one, two, "the program must depend on its argument, or it shows nothing");
        assert_eq!(bench.run(&bitcode, "test"), expected(&one, &two), "{files:?} {level}");
        first.get_or_insert(report);
    }
    first.expect("there are levels")
}

#[test]
fn scalars_and_aggregates() {
    let report = compare(&["scalars.c"], &[]);
    assert_eq!(report.block_align, 128);
    assert!(report.libc_data.contains(&"stdout".to_owned()));
}

#[test]
fn initialisers_with_addresses() {
    let report = compare(&["pointers.c"], &[]);
    assert!(report.fixups > 30, "{report:?}");
    assert!(report.private_variables > report.mutable_variables, "constants that point at variables: {report:?}");
}

#[test]
fn thread_local_variables() {
    compare(&["threads.c", "threads_other.c"], &[]);
}

#[test]
fn aliases() {
    compare(&["aliases.c"], &[]);
}

#[test]
fn constructors_and_destructors() {
    let report = compare(&["hooks.c", "hooks_other.c"], &[]);
    assert_eq!((report.constructors, report.destructors), (6, 5));
}

#[test]
fn weak_and_common_symbols() {
    compare(&["weak.c", "weak_other.c"], &["-fcommon"]);
}

#[test]
fn static_variables_in_functions() {
    compare(&["statics.c", "statics_other.c"], &[]);
}

#[test]
fn inline_assembly_with_operands() {
    compare(&["inline_assembly.c"], &[]);
}

#[test]
fn jumps_and_switches() {
    compare(&["jumps.c"], &[]);
}

#[test]
fn addresses_in_code() {
    compare(&["expressions.c"], &[]);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn constants_of_every_shape() {
    let report = compare(&["constants.ll"], &[]);
    // @pairs points at private variables, so that it is private too; @pairs and @vector have two pointers, @wrapped as well.
    assert_eq!((report.mutable_variables, report.private_variables, report.fixups), (9, 10, 7));
}

#[test]
fn a_program_without_variables() {
    let bench = Bench::new();
    let object = bench.object("empty", &["-O2"], "int main(void) { return 3; }");
    let (bitcode, report) = bench.privatize(&bench.unit(&[object]));
    assert_eq!((report.block_size, report.template_size, report.private_variables), (4096, 64, 0));
    assert_eq!(bench.run(&bitcode, "test"), expected("status 3\n", "status 3\n"));
}
