//! Loadable modules: built into the program, and stock shared objects that know nothing of the library OS.

use std::path::Path;

use libos::Status;
use libos_tests::{Counts, Machine, Options, Outcome, Running, built_in_modules, in_own_process, stock_module};

fn machine() -> Machine {
    let folder = stock_module("stock").parent().expect("a folder").to_owned();
    Machine::with(&Options { host: &[&folder], ..Options::default() })
}

fn stock() -> String {
    stock_module("stock").to_str().expect("UTF-8").to_owned()
}

fn call(machine: &Machine, function: &str, argument: &str) -> Outcome {
    machine.run("modules", &["stock_call", &stock(), function, argument])
}

#[test]
fn built_in() {
    assert_eq!(libos_tests::program("modules").module_names().collect::<Vec<_>>(), ["adder"]);
    assert!(built_in_modules().is_empty());
    // Each process has its own.
    for _ in 0..2 {
        assert_eq!(Machine::new().run("modules", &["built_in"]).ok(), "3 3 1 1 1 named\n");
    }
}

#[test]
fn an_unknown_path_is_an_error_that_names_it() {
    let machine = Machine::new();
    for path in ["/modules/none.so", "/tmp/none.so", "/etc/none.so"] {
        assert!(machine.run("modules", &["unknown", path]).ok().starts_with("1\n"), "{path}");
    }
    // A file that is no module.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("text.so");
    std::fs::write(&path, "not a module at all").expect("a file");
    let machine = Machine::with(&Options { host: &[folder.path()], ..Options::default() });
    assert!(machine.run("modules", &["unknown", path.to_str().expect("UTF-8")]).ok().starts_with("1\n"));
}

/// In the library's words: count = 100 + n + 1000 + n + 10000.
#[test]
fn stock_modules_have_their_own_data_in_every_process() {
    let machine = machine();
    let expected = |n: i32| format!("{} 1 theirs 17 7 10 22 1\n", 11100 + 2 * (n + 1));
    let all: Vec<(Running, i32)> =
        (0..6).map(|n| (machine.start("modules", &["stock", &stock(), &n.to_string()]), n)).collect();
    for (running, n) in all {
        assert!(running.wait().success());
        assert_eq!(machine.log.text(libos::Stream::Output, Some(running.child.pid())), expected(n));
    }
}

#[test]
fn what_stock_modules_do_is_the_processs() {
    let machine = machine();
    assert_eq!(call(&machine, "leave", "9").status, Status::Exited(9));
    assert_eq!(call(&machine, "crash", "").status, Status::Signaled(libc::SIGSEGV));
    assert_eq!(call(&machine, "send_signal", "15").status, Status::Signaled(libc::SIGTERM));
    assert_eq!(call(&machine, "environment", "BIN").ok(), "before 4\n");
    assert_eq!(call(&machine, "environment", "PATH").ok(), "before -1\n");
    assert_eq!(call(&machine, "open_file", "/etc/passwd").ok(), format!("before {}\n", -libc::EACCES));
    assert_eq!(call(&machine, "open_file", "/bin/child").ok(), "before 0\n");
    let printed = call(&machine, "print", "text ");
    assert_eq!((printed.out.as_str(), printed.err.as_str()), ("before text 1\n", "text "));
}

/// A module's own loop is the process's own code.
#[test]
fn sigkill_in_a_stock_module() {
    let machine = machine();
    let running = machine.start("modules", &["stock_call", &stock(), "spin", ""]);
    running.wait_for("spinning");
    running.kill(libc::SIGKILL);
    assert_eq!(running.wait(), Status::Signaled(libc::SIGKILL));
}

#[test]
fn stock_modules_are_finished_at_exit() {
    let ours = call(&machine(), "finish_with", "");
    assert!(ours.status.success());
    assert!(ours.out.ends_with("before 1\nfinished\n"), "{}", ours.out);
}

#[test]
fn nothing_is_left_of_stock_modules() {
    in_own_process("modules::nothing_is_left_of_stock_modules", || {
        let machine = machine();
        let round = || {
            machine.run("modules", &["stock", &stock(), "1"]).ok();
            call(&machine, "leak", "1000000");
            call(&machine, "crash", "");
        };
        (0..5).for_each(|_| round());
        let before = Counts::now();
        (0..100).for_each(|_| round());
        Counts::now().assert_not_grown(&before, 4 << 20);
    });
}

#[test]
fn modules_outside_the_roots_are_not_found() {
    assert!(Path::new(&stock()).exists());
    let seen = Machine::new().run("modules", &["unknown", &stock()]).ok();
    assert!(seen.starts_with("1\n"), "{seen}");
}
