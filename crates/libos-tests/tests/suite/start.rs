//! What a process is started with: arguments, options, environment. Compared with the real kernel and C library.

use libos::Status;
use libos_tests::{Machine, native, spawn};

#[track_caller]
fn same(arguments: &[&str]) {
    let environment = ["GIVEN=yes"];
    let ours = Machine::new().run_with("args", arguments, &environment);
    assert_eq!(ours, native("args", arguments, &environment), "{arguments:?}");
}

#[test]
fn arguments() {
    let mut ours = Machine::new().run("args", &["plain", "a b", "", "ü"]);
    ours.out.retain(|c| c != '\n');
    assert_eq!((ours.out.as_str(), ours.status), ("[plain][a b][][ü] end", Status::Exited(4)));
}

#[test]
fn getopt_is_the_c_librarys() {
    for options in ["ab:c", ":ab:c", "+ab:c", "ab::c", "abc"] {
        for rest in [
            &["-a", "-b", "x", "-c", "rest"][..],
            &["-abx", "-c", "--", "-a"],
            &["-acb", "y"],
            &["-b"],
            &["-z", "-a"],
            &["-az"],
            &["-bx", "-", "-a"],
            &["-a", "--"],
            &[],
            &["-cab", "--", "x"],
        ] {
            same(&[&["getopt", options], rest].concat());
        }
    }
}

#[test]
fn getopt_long_is_the_c_librarys() {
    for rest in [
        &["--all", "-f", "x", "op"][..],
        &["op", "--file=x", "op2", "-v"],
        &["--file", "x", "--set-flag", "op"],
        &["--color", "--color=red", "op"],
        &["--col=red"],
        &["--fi"],
        &["--unknown", "-a"],
        &["--all=x", "op"],
        &["--file"],
        &["-avf", "x", "op", "--", "-a", "--all"],
        &["-ofile", "-o", "op"],
        &["a", "b", "-a", "c", "-f", "d", "e"],
        &["-afx", "--file-name", "y"],
    ] {
        same(&[&["long"], rest].concat());
    }
}

#[test]
fn getopt_begins_anew() {
    same(&["again", "-x", "-yval", "rest"]);
}

#[test]
fn getopt_complains_on_stderr() {
    let ours = Machine::new().run("args", &["complain", "-q"]);
    assert!(ours.err.contains("invalid option -- 'q'"), "{}", ours.err);
    let ours = Machine::new().run("args", &["complain", "-a"]);
    assert!(ours.err.contains("option requires an argument -- 'a'"), "{}", ours.err);
}

#[test]
fn environment() {
    same(&["environment"]);
}

#[test]
fn environment_is_inherited_as_it_is() {
    same(&["inherit"]);
}

#[test]
fn what_cannot_start_is_an_error() {
    let machine = Machine::new();
    let error = |change: &dyn Fn(&mut libos::Spawn)| {
        let mut spawn = spawn("args", &["plain"]);
        change(&mut spawn);
        machine.system.spawn(spawn).err().expect("an error").raw_os_error()
    };
    assert_eq!(error(&|s| s.program = "/bin/none".into()), libc::ENOENT);
    assert_eq!(error(&|s| s.directory = "/nowhere".into()), libc::EACCES);
    assert_eq!(error(&|s| s.arguments.push("a\0b".into())), libc::EINVAL);
    let _first = machine.start("child", &["forever"]);
    let pid = _first.child.pid();
    assert_eq!(error(&|s| s.pid = Some(pid)), libc::EEXIST);
}
