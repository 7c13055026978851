//! Handlers with and without `SA_RESTART`, compared with the real kernel.

use libos_tests::{Machine, Options, native};

#[track_caller]
fn same(arguments: &[&str]) -> String {
    let ours = Machine::new().run("restarts", arguments);
    assert_eq!(ours, native("restarts", arguments, &[]), "{arguments:?}");
    ours.ok()
}

#[test]
fn with_the_flag_the_calls_go_on_that_the_kernel_restarts() {
    let all = same(&["calls", "restart"]);
    assert!(all.contains("read goes on") && all.contains("poll fails EINTR"), "{all}");
}

#[test]
fn without_the_flag_every_call_ends() {
    let all = same(&["calls", "plain"]);
    assert!(!all.contains("goes on"), "{all}");
}

#[test]
fn a_timer_goes_by_the_disposition_of_the_moment() {
    same(&["changed"]);
}

#[test]
fn what_is_ignored_or_blocked_interrupts_nothing() {
    same(&["nothing"]);
}

#[test]
fn ppoll_has_a_mask_of_its_own() {
    same(&["masked"]);
}

#[test]
fn accept() {
    let (theirs, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let expected = native("restarts", &["accept", theirs.path().to_str().expect("UTF-8")], &[]);
    let machine = Machine::with(&Options { host: &[ours.path()], ..Options::default() });
    assert_eq!(machine.run("restarts", &["accept", ours.path().to_str().expect("UTF-8")]), expected);
}
