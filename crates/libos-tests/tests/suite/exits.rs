//! How processes end.

use libos::Status;
use libos_tests::{Machine, native};

#[track_caller]
fn same(arguments: &[&str]) {
    let environment = ["DESTRUCTOR=1"];
    let ours = Machine::new().run_with("exits", arguments, &environment);
    assert_eq!(ours, native("exits", arguments, &environment), "{arguments:?}");
}

#[test]
fn codes() {
    for code in ["0", "1", "255", "256", "259", "-1"] {
        same(&["return", code]);
        same(&["exit", code]);
    }
}

#[test]
fn handlers_run_in_reverse_order() {
    same(&["order"]);
    same(&["nested"]);
    same(&["again"]);
    same(&["deep"]);
}

#[test]
fn exit_flushes_and_underscore_exit_does_not() {
    same(&["flush"]);
    same(&["no_flush"]);
    same(&["abort"]);
}

#[test]
fn a_failed_assertion_aborts() {
    let ours = Machine::new().run("exits", &["assert"]);
    assert_eq!(ours.status, Status::Signaled(libc::SIGABRT));
    assert!(ours.err.contains("Assertion `argc == 0' failed"), "{}", ours.err);
}

#[test]
fn exit_flushes_however_many_files() {
    let machine = Machine::new();
    assert!(machine.run("exits", &["many", "/tmp"]).status.success());
    let cwd = machine.system.namespace().root();
    for i in 0..60 {
        let stat = machine.system.namespace().stat(&cwd, format!("/tmp/many.{i}").as_bytes()).expect("a file");
        assert_ne!(stat.st_size, 0, "file {i}");
    }
}
