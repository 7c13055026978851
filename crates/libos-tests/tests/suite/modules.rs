//! Loadable modules: built into the program, and stock shared objects that know nothing of the library OS.

use std::path::Path;

use libos::Status;
use libos_tests::{Counts, Machine, Options, Outcome, Running, built_in_modules, in_own_process, stock_module};

/// One module, compiled plainly and as distributions do.
const KINDS: [&str; 2] = ["stock", "stock_fortified"];

fn machine() -> Machine {
    let folder = stock_module("stock").parent().expect("a folder").to_owned();
    Machine::with(&Options { host: &[&folder], ..Options::default() })
}

fn path_of(module: &str) -> String {
    stock_module(module).to_str().expect("UTF-8").to_owned()
}

fn stock() -> String {
    path_of("stock")
}

fn call(machine: &Machine, function: &str, argument: &str) -> Outcome {
    call_in("stock", machine, function, argument)
}

fn call_in(module: &str, machine: &Machine, function: &str, argument: &str) -> Outcome {
    machine.run("modules", &["stock_call", &path_of(module), function, argument])
}

/// Why a module is not loaded.
fn refusal(module: &str) -> String {
    machine().run("modules", &["unknown", &path_of(module)]).ok()
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
    for kind in KINDS {
        let call = |function: &str, argument: &str| call_in(kind, &machine, function, argument);
        assert_eq!(call("leave", "9").status, Status::Exited(9));
        assert_eq!(call("crash", "").status, Status::Signaled(libc::SIGSEGV));
        assert_eq!(call("send_signal", "15").status, Status::Signaled(libc::SIGTERM));
        assert!(call("environment", "BIN").ok().starts_with("before 4 "));
        assert!(call("environment", "PATH").ok().starts_with("before -1 "));
        assert_eq!(call("open_file", "/etc/passwd").ok(), format!("before {} EACCES\n", -libc::EACCES));
        assert!(call("open_file", "/bin/child").ok().starts_with("before 0 "));
        assert_eq!(call("fails", "/tmp/nothing").ok(), format!("before {} ENOENT\n", libc::ENOENT));
    }
}

/// The host's streams stay out of it, whatever the compiler makes of `printf`.
#[test]
fn what_stock_modules_print_is_the_processs() {
    let machine = machine();
    for kind in KINDS {
        let printed = call_in(kind, &machine, "print", "text ");
        assert!(printed.out.starts_with("before text 1 "), "{kind}: {}", printed.out);
        assert_eq!(printed.err, "text ");
        let printed = call_in(kind, &machine, "prints", "text").ok();
        assert!(printed.starts_with("before text 1 2.5\nline\ncputs\ntext\ntext-3\n0 "), "{kind}: {printed}");
    }
}

/// A program's errors are jumps, over a module's frames or back into them.
#[test]
fn jumps_into_stock_modules() {
    let machine = machine();
    for kind in KINDS {
        // Again and again at the same place of the stack: what the buffer held before does not count.
        for (keep, blocked) in [("1", 0), ("0", 1), ("1", 0)] {
            let outcome = call_in(kind, &machine, "catches", keep).ok();
            assert!(outcome.starts_with(&format!("before {blocked} ")), "{kind} {keep}: {outcome}");
        }
    }
}

#[test]
fn what_a_stock_module_needs_and_there_is_not_is_named() {
    for module in ["missing", "missing_fortified"] {
        let why = refusal(module);
        for name in ["nobody_has_this", "execve", "posix_spawn"] {
            assert!(why.contains(name), "{name}: {why}");
        }
        assert!(why.starts_with("1\n"), "the path: {why}");
    }
}

/// Hazard 14.
#[test]
fn thread_local_variables_at_a_fixed_place_are_refused_by_name() {
    let why = refusal("initial");
    assert!(why.contains("fixed_place") && why.contains("thread-local"), "{why}");
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
    assert!(ours.out.starts_with("before 1 ") && ours.out.ends_with("finished\n"), "{}", ours.out);
}

#[test]
fn nothing_is_left_of_stock_modules() {
    in_own_process("modules::nothing_is_left_of_stock_modules", || {
        let machine = machine();
        let round = || {
            machine.run("modules", &["stock", &stock(), "1"]).ok();
            call(&machine, "leak", "1000000");
            call(&machine, "crash", "");
            refusal("missing");
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
