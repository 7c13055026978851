//! Hazard 3: signals race with the end of processes. Thousands of times, for each is a chance to go wrong.

use libos::Status;
use libos_tests::{Machine, Options, spawn};

#[test]
fn kill_races_with_exit() {
    let machine = Machine::new();
    let all = [0; 3].map(|_| machine.start("storm", &["kill", "1000"]));
    for running in &all {
        assert_eq!(running.wait(), Status::Exited(0), "{:?}", machine.log.text(libos::Stream::Error, None));
    }
}

#[test]
fn the_hosts_kill_races_with_exit() {
    let machine = Machine::new();
    for i in 0..200 {
        let child = machine.system.spawn(spawn("storm", &["short", &i.to_string()])).expect("a process");
        while child.try_wait().is_none() {
            // The process may end at any time.
            let _ = child.kill(libc::SIGUSR1);
        }
        assert!([Status::Exited(0), Status::Signaled(libc::SIGUSR1)].contains(&child.wait()));
        assert_eq!(child.kill(libc::SIGUSR1).map_err(|e| e.raw_os_error()), Err(libc::ESRCH));
    }
}

#[test]
fn two_processes_signal_each_other() {
    let machine = Machine::new();
    assert_eq!(machine.run("storm", &["cross"]).ok(), "done\n");
    let first = machine.start("storm", &["ping", "0", "100000"]);
    first.wait_for("ready");
    let second = machine.start("storm", &["ping", &first.child.pid().to_string(), "3000"]);
    second.wait_for("ready");
    // The first one answers its parent, which is nobody: it ends. The second one answers the first until then.
    second.kill(libc::SIGUSR1);
    assert!(first.wait().success());
    let _ = second.child.kill(libc::SIGTERM);
    second.wait();
}

#[test]
fn a_late_signal_writes_into_nobodys_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let machine = Machine::with(&Options { host: &[folder.path()], ..Options::default() });
    let all = [
        machine.start("storm", &["signalfd", "1000"]),
        machine.start("storm", &["files", path, "10000"]),
        machine.start("storm", &["signalfd", "1000"]),
        machine.start("storm", &["files", path, "10000"]),
        machine.start("storm", &["pester", path, "2000"]),
    ];
    for running in &all {
        assert_eq!(running.wait(), Status::Exited(0), "{:?}", machine.log.text(libos::Stream::Error, None));
    }
}

#[test]
fn signals_in_the_middle_of_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let machine = Machine::with(&Options { host: &[folder.path()], ..Options::default() });
    let all = ["/tmp", path, "/tmp", path].map(|path| machine.start("storm", &["busy", path]));
    for running in &all {
        assert_eq!(running.wait(), Status::Exited(0), "{:?}", machine.log.text(libos::Stream::Error, None));
    }
}

/// A handler that jumps, or ends the process, does so between calls of the C library, never in the middle of one: its locks are the host's.
#[test]
fn handlers_that_do_not_come_back_leave_no_lock_behind() {
    let machine = Machine::new();
    let all = [0; 3].map(|_| machine.start("storm", &["jump", "1000"]));
    for running in &all {
        assert_eq!(running.wait(), Status::Exited(0), "{:?}", machine.log.text(libos::Stream::Error, None));
    }
    for i in 0..300 {
        let running = machine.start("storm", &["leave"]);
        running.wait_for("ready");
        std::thread::sleep(std::time::Duration::from_micros(i * 7 % 1000));
        running.kill(libc::SIGUSR1);
        assert_eq!(running.wait(), Status::Exited(5));
    }
}

#[test]
fn shutdown_races_with_everything() {
    for i in 0..100 {
        let machine = Machine::new();
        let all = [
            machine.start("family", &["many", "1000"]),
            machine.start("storm", &["kill", "1000"]),
            machine.start("storm", &["busy", "/tmp"]),
            machine.start("memory", &["heap", "100000000"]),
        ];
        // Somewhere in the middle, each time elsewhere.
        std::thread::sleep(std::time::Duration::from_micros(i * 97));
        machine.system.shutdown();
        drop(all);
        assert_eq!(machine.system.process_count(), 0);
    }
}
