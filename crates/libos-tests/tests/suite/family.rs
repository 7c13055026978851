//! Parents and children, compared with the real kernel.

use libos::Status;
use libos_tests::{Machine, native};

#[track_caller]
fn same(arguments: &[&str]) {
    let ours = Machine::new().run("family", arguments);
    assert_eq!(ours, native("family", arguments, &[]), "{arguments:?}");
}

#[test]
fn statuses() {
    same(&["statuses"]);
}

#[test]
fn a_program_that_is_not_there() {
    same(&["exec_fails"]);
    same(&["exit_in_child"]);
}

#[test]
fn descriptors_are_inherited_unless_close_on_exec() {
    same(&["descriptors"]);
}

/// Hazard 4: the parent closes what its child was given.
#[test]
fn a_descriptor_lives_as_long_as_an_owner() {
    same(&["handover"]);
}

#[test]
fn waitpid() {
    same(&["wait"]);
}

#[test]
fn sigchld() {
    same(&["sigchld"]);
}

#[test]
fn orphans() {
    same(&["orphans"]);
}

#[test]
fn parent_death_signal() {
    same(&["mourning"]);
}

#[test]
fn process_groups() {
    same(&["groups"]);
}

#[test]
fn signal_state_of_a_child() {
    same(&["state"]);
}

#[test]
fn signals_between_fork_and_exec_wait_for_the_parent() {
    (0..20).for_each(|_| same(&["child_half"]));
    // All but SIGKILL and SIGSTOP.
    assert_eq!(Machine::new().run("family", &["blocked"]).status, Status::Exited(29));
}

#[test]
fn many_children() {
    same(&["many", "300"]);
}

#[test]
fn what_a_process_leaves_behind_goes_with_the_system() {
    let machine = Machine::new();
    assert!(machine.run("family", &["abandon"]).status.success());
    assert!(machine.system.process_count() >= 1);
    machine.system.shutdown();
    assert_eq!(machine.system.process_count(), 0);
}
