//! Functions of the C library that have something in common for a whole process, compared with the real one.

use std::os::fd::OwnedFd;

use libos::{Stdio, Stream};
use libos_tests::{Machine, in_own_process, native, spawn};

#[track_caller]
fn same(arguments: &[&str]) {
    assert_eq!(Machine::new().run("library", arguments), native("library", arguments, &[]), "{arguments:?}");
}

#[test]
fn formatted_output() {
    same(&["print"]);
}

#[test]
fn input() {
    let machine = Machine::new();
    let (input, mut to) = std::io::pipe().expect("a pipe");
    std::io::Write::write_all(&mut to, b"HAL").expect("it fits");
    drop(to);
    let mut from = spawn("library", &["input"]);
    from.stdio[0] = Stdio::Fd(OwnedFd::from(input));
    assert_eq!(machine.run_spawn(from).ok(), "IBM");
}

#[test]
fn random_numbers_are_the_processs() {
    same(&["random"]);
    // SAFETY: the host's generator.
    unsafe {
        libc::srand(5);
        let expected = libc::rand();
        libc::srand(5);
        Machine::new().run("library", &["random"]).ok();
        assert_eq!(libc::rand(), expected);
    }
}

#[test]
fn the_place_in_a_text_is_the_processs() {
    same(&["tokens"]);
    let machine = Machine::new();
    let all = [0; 3].map(|_| machine.start("library", &["tokens", "slowly"]));
    for running in all {
        assert!(running.wait().success());
        let text = machine.log.text(Stream::Output, Some(running.child.pid()));
        assert_eq!(text, "ready\n[a][b][c][d]\n");
    }
}

#[test]
fn conventions_are_the_processs() {
    same(&["conventions"]);
    let machine = Machine::new();
    let all = [0; 3].map(|_| machine.start("library", &["conventions"]));
    all.iter().for_each(|running| assert!(running.wait().success()));
    // SAFETY: an address.
    let hosts = unsafe { libc::localeconv() };
    assert_ne!(machine.run("library", &["conventions_at"]).ok(), format!("{hosts:p}\n"));
}

/// The host has 1,024 keys, and runs destructors when a thread ends: of a process that is gone.
#[test]
fn keys_are_the_processs() {
    in_own_process("library::keys_are_the_processs", || {
        same(&["keys"]);
        let machine = Machine::new();
        for _ in 0..600 {
            machine.run("library", &["keys"]).ok();
        }
    });
}

#[test]
fn both_names_of_the_environment() {
    same(&["environ"]);
}
