//! Every process has its own globals.

use libos_tests::{Machine, native};

#[test]
fn globals_are_as_in_an_ordinary_program() {
    assert_eq!(Machine::new().run("globals", &["5000"]), native("globals", &["5000"], &[]));
}

#[test]
fn processes_of_one_program_do_not_share_them() {
    let machine = Machine::new();
    let expected = native("globals", &["30000"], &[]).out;
    let all: Vec<_> = (0..6).map(|_| machine.start("globals", &["30000"])).collect();
    for running in &all {
        assert!(running.wait().success());
        assert_eq!(machine.log.text(libos::Stream::Output, Some(running.child.pid())), expected);
    }
}

#[test]
fn units_and_programs_with_the_same_names_do_not_share_them() {
    let machine = Machine::new();
    for program in ["args", "one", "two"] {
        let all = ["again", "-x", "-yvalue", "rest"];
        assert_eq!(machine.run(program, &all), native("args", &all, &[]), "{program}");
    }
}
