//! Signals and non-local jumps, compared with the real kernel.

use libos::Status;
use libos_tests::{Machine, native};

#[track_caller]
fn same(program: &str, arguments: &[&str]) {
    let ours = Machine::new().run(program, arguments);
    assert_eq!(ours, native(program, arguments, &[]), "{arguments:?}");
}

#[test]
fn dispositions() {
    same("signals", &["dispositions"]);
}

#[test]
fn masks_and_pending_signals() {
    same("signals", &["masks"]);
}

#[test]
fn handlers_and_their_flags() {
    same("signals", &["handlers"]);
}

#[test]
fn errno_survives_a_handler() {
    assert_eq!(Machine::new().run("signals", &["errno"]).ok(), "EBUSY\n");
}

#[test]
fn interrupted_calls() {
    same("signals", &["interrupted"]);
}

#[test]
fn restarted_calls() {
    same("signals", &["restarted"]);
}

#[test]
fn interval_timers() {
    same("signals", &["timers"]);
}

#[test]
fn signalfd() {
    same("signals", &["signalfd"]);
}

#[test]
fn sigsuspend() {
    same("signals", &["suspend"]);
    same("signals", &["suspend_end"]);
}

#[test]
fn default_actions() {
    for signal in 1..=31 {
        // Stopping is not modelled, and faults that nothing caused are the kernel's to send.
        if ![libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&signal) {
            same("signals", &["default", &signal.to_string()]);
        }
    }
}

#[test]
fn a_closed_pipe_ends_the_process() {
    let ours = Machine::new().run("signals", &["pipe"]);
    assert_eq!((ours.status, ours.out.as_str()), (Status::Signaled(libc::SIGPIPE), "still here\n"));
    same("signals", &["pipe"]);
}

/// Hazard 2.
#[test]
fn a_jump_out_of_a_handler_restores_the_mask() {
    same("jumps", &["out_of_handler"]);
    same("jumps", &["asynchronous"]);
}

#[test]
fn jumps_and_masks() {
    same("jumps", &["unsaved"]);
    same("jumps", &["restores"]);
    same("jumps", &["delivers"]);
    same("jumps", &["plain"]);
}
