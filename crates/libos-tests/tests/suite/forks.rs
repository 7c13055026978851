//! `fork` where the system allows it, compared with the real kernel.

use libos_tests::{Machine, Options, native};

fn machine() -> Machine {
    Machine::with(&Options { forks: true, ..Options::default() })
}

#[track_caller]
fn same(arguments: &[&str]) {
    assert_eq!(machine().run("forks", arguments), native("forks", arguments, &[]), "{arguments:?}");
}

#[test]
fn it_is_refused_unless_allowed() {
    assert_eq!(Machine::new().run("forks", &["refused"]).ok(), "ENOSYS\n");
}

#[test]
fn statuses() {
    same(&["statuses"]);
}

#[test]
fn memory_is_copied_and_pipes_are_shared() {
    same(&["memory"]);
}

#[test]
fn signals_reach_the_child_and_its_end_the_parent() {
    same(&["signals"]);
}

#[test]
fn the_child_reaches_listeners_inside_the_system() {
    let machine = machine();
    let server = machine.start("sockets", &["serve", "/tmp/s"]);
    server.wait_for("ready");
    assert_eq!(machine.run("forks", &["socket", "/tmp/s"]).ok(), "5\n");
    assert!(server.wait().success());
}

#[test]
fn a_child_that_was_left_behind_goes_with_the_system() {
    let machine = machine();
    let pid: i32 = machine.run("forks", &["abandon"]).ok().trim().parse().expect("a pid");
    machine.system.shutdown();
    // SAFETY: asks only; it was waited for, so nobody has that number yet.
    assert_eq!(unsafe { libc::kill(pid, 0) }, -1);
}
