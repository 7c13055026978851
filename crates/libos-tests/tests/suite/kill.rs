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
    spin memory format sort heap system_calls files read fgetc write semaphore epoll poll select nanosleep accept receive send wait
    sigwait sigsuspend
}

/// Nobody would meet it outside of the C library by chance. It ends where it returns from there.
#[test]
fn a_process_ends_at_its_next_return_from_the_c_library() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("calls");
    let machine = Machine::with(&Options { host: &[folder.path()], ..Options::default() });
    let calls = || {
        let bytes = std::fs::read(&path).expect("its file");
        i32::from_ne_bytes(bytes[..4].try_into().expect("four bytes"))
    };
    for _ in 0..5 {
        let running = machine.start("targets", &["search", path.to_str().expect("UTF-8")]);
        running.wait_for("ready");
        std::thread::sleep(std::time::Duration::from_millis(30));
        running.kill(libc::SIGKILL);
        let before = calls();
        assert_eq!(running.wait(), Status::Signaled(libc::SIGKILL));
        // The thread may not have run at once.
        let after = calls() - before;
        assert!(after <= 5, "{after} calls more");
    }
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
