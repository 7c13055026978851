//! SIGKILL and SIGTERM end a process wherever it is.

use libos::Status;
use libos_tests::{Machine, Options};

/// Ends the command once it runs, and says how it ended.
#[track_caller]
fn ended_by(command: &str, signal: i32) -> Status {
    let machine = Machine::with(&Options::default());
    let running = machine.start("targets", &[command, "/tmp"]);
    running.wait_for("ready");
    // Let it get into what it does.
    std::thread::sleep(std::time::Duration::from_millis(20));
    running.kill(signal);
    running.wait()
}

macro_rules! kill {
    ($($name:ident)*) => {
        mod sigkill {
            $(#[test] fn $name() {
                assert_eq!(super::ended_by(stringify!($name), libc::SIGKILL), super::Status::Signaled(libc::SIGKILL));
            })*
        }
        mod sigterm {
            $(#[test] fn $name() {
                assert_eq!(super::ended_by(stringify!($name), libc::SIGTERM), super::Status::Signaled(libc::SIGTERM));
            })*
        }
    };
}

kill! {
    spin memory search format sort heap system_calls files read fgetc write semaphore epoll poll select nanosleep accept receive send wait
    sigwait sigsuspend
}

#[test]
fn sigkill_cannot_be_blocked() {
    assert_eq!(ended_by("blocked", libc::SIGKILL), Status::Signaled(libc::SIGKILL));
}

#[test]
fn shutdown_ends_them_all() {
    let machine = Machine::new();
    let all: Vec<_> = ["spin", "read", "semaphore", "accept", "memory", "epoll", "blocked", "wait"]
        .map(|command| machine.start("targets", &[command]))
        .into_iter()
        .collect();
    all.iter().for_each(|running| running.wait_for("ready"));
    machine.system.shutdown();
    for running in &all {
        assert_eq!(running.child.try_wait(), None, "its entry is gone with the system");
    }
}
