//! `popen` and `system`: programs of the system run in it, the host's only where the policy allows.

use std::io::Read;
use std::os::fd::OwnedFd;

use libos::{Policy, Stdio};
use libos_tests::{Counts, Machine, Options, Outcome, in_own_process, native, spawn};

/// With the output in a pipe, which programs of the host can write to as well.
fn run(machine: &Machine, arguments: &[&str], environment: &[&str]) -> Outcome {
    let (mut from, output) = std::io::pipe().expect("a pipe");
    let mut spawn = spawn("commands", arguments);
    spawn.environment.extend(environment.iter().map(|entry| (*entry).to_owned()));
    spawn.stdio[1] = Stdio::Fd(OwnedFd::from(output));
    let mut outcome = machine.run_spawn(spawn);
    // What was left running has the pipe.
    machine.system.shutdown();
    from.read_to_string(&mut outcome.out).expect("text");
    outcome
}

fn granting() -> Machine {
    Machine::with(&Options { policy: Policy { programs: true, ..Policy::default() }, ..Options::default() })
}

#[test]
fn own_programs() {
    // The last one is left running, by the kernel for good: it is not run there.
    let ours = run(&Machine::new(), &["own"], &[]);
    assert_eq!(ours.ok(), "0 SHOUT\n7 3 5 0 0 done\n");
}

#[test]
fn own_programs_with_redirections() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let expected = native("commands", &["redirect", path], &[]);
    std::fs::remove_file(folder.path().join("out")).expect("it was written");
    let machine = Machine::with(&Options { host: &[folder.path()], ..Options::default() });
    assert_eq!(run(&machine, &["redirect", path], &[]), expected);
    assert_eq!(run(&Machine::new(), &["redirect", "/tmp"], &[]), expected);
}

#[test]
fn programs_of_the_host_are_denied() {
    assert_eq!(run(&Machine::new(), &["host"], &[]).ok(), "EACCES 1 0\n");
}

#[test]
fn programs_of_the_host_where_granted() {
    let environment = ["GIVEN=value", "PATH=/usr/bin:/bin"];
    let expected = native("commands", &["host"], &environment);
    assert_eq!(run(&granting(), &["host"], &environment), expected);
}

#[test]
fn programs_of_the_host_get_the_umask() {
    let expected = native("commands", &["umask"], &[]);
    assert_eq!(run(&granting(), &["umask"], &[]), expected);
}

#[test]
fn commands_with_a_known_answer() {
    let machine = Machine::with(&Options { answers: &[("list things", "one\ntwo\n")], ..Options::default() });
    assert_eq!(run(&machine, &["answer"], &[]).ok(), "one\ntwo\n0\n");
}

#[test]
fn nothing_is_left_of_them() {
    in_own_process("commands::nothing_is_left_of_them", || {
        let round = |machine: &Machine| {
            machine.run_with("commands", &["own"], &[]).ok();
            machine.run_with("commands", &["host"], &["GIVEN=value", "PATH=/usr/bin:/bin"]).ok();
            // Without the variable its shell writes nothing, and the program gives up before it waits for it.
            assert!(!machine.run_with("commands", &["host"], &["PATH=/usr/bin:/bin"]).status.success());
        };
        (0..3).for_each(|_| round(&granting()));
        let before = Counts::now();
        (0..20).for_each(|_| round(&granting()));
        Counts::now().assert_not_grown(&before, 4 << 20);
        // The last of the shells may not have ended when the system looked, but the next system's end finds it.
        let end = std::time::Instant::now() + libos_tests::PATIENCE;
        // SAFETY: a system call: asks for children of any state, and leaves them.
        while unsafe {
            libc::waitid(libc::P_ALL, 0, &mut std::mem::zeroed(), libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)
        } == 0
        {
            assert!(std::time::Instant::now() < end, "the host has a child");
            round(&granting());
        }
    });
}
