//! Several threads in one process, compared with the real kernel.

use libos::Status;
use libos_tests::{Event, Machine, native_in};

#[track_caller]
fn same(arguments: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let ours = Machine::new().run("threads", arguments);
    assert_eq!(ours, native_in(folder.path(), "threads", arguments, &[]), "{arguments:?}");
}

#[test]
fn they_share_memory_and_files() {
    (0..5).for_each(|_| same(&["work"]));
}

#[test]
fn conditions_and_errno() {
    same(&["conditions"]);
}

#[test]
fn the_end_of_main_is_the_end_of_all() {
    for what in ["poll", "spin", "barrier", "malloc", "read"] {
        same(&["end", what]);
    }
}

#[test]
fn any_thread_ends_the_process() {
    same(&["other", "exit"]);
    same(&["other", "exit", "join"]);
    same(&["other", "abort"]);
    same(&["other", "fault", "join"]);
    let machine = Machine::new();
    assert_eq!(machine.run("threads", &["other", "fault"]).status, Status::Signaled(libc::SIGSEGV));
    assert!(machine.log.events().iter().any(|event| matches!(event, Event::Fault(_, libc::SIGSEGV, 8))));
}

#[test]
fn signals_are_handled_by_the_first() {
    same(&["signals"]);
}

#[test]
fn a_process_with_threads_can_be_killed() {
    let machine = Machine::new();
    let running = machine.start("threads", &["end", "spin"]);
    running.kill(libc::SIGKILL);
    assert_eq!(running.wait(), Status::Signaled(libc::SIGKILL));
}
