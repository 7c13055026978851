//! Streams are their process's: neither the host nor the process's own end gets in their way.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use libos::{Status, Stdio};
use libos_tests::{Counts, Machine, Options, Running, in_own_process, in_prepared_process, native, spawn};

fn machine(folder: &Path) -> Machine {
    Machine::with(&Options { host: &[folder], ..Options::default() })
}

fn start(machine: &Machine, arguments: &[&str]) -> (Running, std::io::PipeWriter) {
    let (input, go) = std::io::pipe().expect("a pipe");
    let mut spawn = spawn("streams", arguments);
    spawn.stdio[0] = Stdio::Fd(OwnedFd::from(input));
    let running = machine.start_spawn(spawn);
    running.wait_for("ready");
    (running, go)
}

fn flush_all() {
    // SAFETY: flushes the host's streams.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

#[test]
fn the_host_flushes_all_its_streams() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("halves");
    let machine = machine(folder.path());
    let (running, mut go) = start(&machine, &["halves", path.to_str().expect("UTF-8")]);
    flush_all();
    assert_eq!(std::fs::read_to_string(&path).expect("a file"), "", "nobody but the process writes");
    go.write_all(b"go\n").expect("it reads");
    assert!(running.wait().success());
    assert_eq!(std::fs::read_to_string(&path).expect("a file"), "first second");
    let text = machine.log.text(libos::Stream::Output, Some(running.child.pid()));
    assert_eq!(text, "ready\nout twice");
}

#[test]
fn the_host_flushes_all_the_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let machine = machine(folder.path());
    let path = |i: usize| folder.path().join(i.to_string()).to_str().expect("UTF-8").to_owned();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                flush_all();
            }
        });
        let all = [0, 1, 2].map(|i| machine.start("streams", &["numbers", &path(i), "300000"]));
        let all = all.map(|running| running.wait());
        over.store(true, Ordering::Relaxed);
        assert_eq!(all, [Status::Exited(0); 3], "{:?}", machine.log.text(libos::Stream::Error, None));
    });
}

/// Hazard 6: whoever exits flushes, and makes streams unbuffered, which are in use.
#[test]
fn the_host_exits_in_the_middle() {
    let folder = tempfile::tempdir().expect("a folder");
    in_prepared_process(
        "streams::the_host_exits_in_the_middle",
        |command| {
            command.env("FOLDER", folder.path());
        },
        || {
            let folder = std::env::var_os("FOLDER").expect("the test sets it");
            let machine = std::mem::ManuallyDrop::new(machine(Path::new(&folder)));
            let path = |name: &str| Path::new(&folder).join(name).to_str().expect("UTF-8").to_owned();
            let waits = start(&machine, &["halves", &path("halves")]);
            for i in 0..4 {
                let running = machine.start("streams", &["numbers", &path(&i.to_string()), "100000000"]);
                running.wait_for("ready");
                std::mem::forget(running);
            }
            std::mem::forget(waits);
            // SAFETY: as a host in C ends.
            unsafe { libc::exit(17) };
        },
        |status, text| assert_eq!(status.code(), Some(17), "{text}"),
    );
    assert_eq!(std::fs::read_to_string(folder.path().join("halves")).expect("a file"), "");
}

#[test]
fn buffers_are_in_the_processs_heap() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file").to_str().expect("UTF-8").to_owned();
    let expected = native("streams", &["buffers", &path], &[]);
    assert_eq!(machine(folder.path()).run("streams", &["buffers", &path]), expected);
}

/// In the middle of `printf`, when nobody reads what it writes.
#[test]
fn nothing_is_left_of_a_process_that_ends_while_it_prints() {
    in_own_process("streams::nothing_is_left_of_a_process_that_ends_while_it_prints", || {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file").to_str().expect("UTF-8").to_owned();
        let machine = machine(folder.path());
        let round = |signal: i32| {
            let (from, output) = std::io::pipe().expect("a pipe");
            let mut flood = spawn("streams", &["flood", &path]);
            flood.stdio[1] = Stdio::Fd(OwnedFd::from(output));
            let running = machine.start_spawn(flood);
            // Until the pipe is full.
            std::thread::sleep(std::time::Duration::from_millis(2));
            running.kill(signal);
            assert_eq!(running.wait(), Status::Signaled(signal));
            drop(from);
            assert_eq!(std::fs::read(&path).map_or(0, |bytes| bytes.len()), 0);
        };
        (0..20).for_each(|_| round(libc::SIGKILL));
        let before = Counts::now();
        for _ in 0..200 {
            round(libc::SIGKILL);
            round(libc::SIGTERM);
        }
        Counts::now().assert_not_grown(&before, 6 << 20);
    });
}

#[test]
fn streams_that_are_left_open_are_closed() {
    in_own_process("streams::streams_that_are_left_open_are_closed", || {
        let machine = Machine::new();
        let round = || machine.run("streams", &["many", "/tmp/file"]).ok();
        (0..5).for_each(|_| drop(round()));
        let before = Counts::now();
        (0..60).for_each(|_| drop(round()));
        Counts::now().assert_not_grown(&before, 4 << 20);
    });
}

#[test]
fn a_handler_ends_a_process_that_prints() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file").to_str().expect("UTF-8").to_owned();
    let machine = machine(folder.path());
    let (from, output) = std::io::pipe().expect("a pipe");
    let mut leave = spawn("streams", &["leave", &path]);
    leave.stdio[1] = Stdio::Fd(OwnedFd::from(output));
    assert_eq!(machine.run_spawn(leave).status, Status::Exited(7));
    drop(from);
    assert_eq!(std::fs::read(&path).expect("a file").len(), 0, "what was not flushed is lost");
}

#[test]
fn closing_a_stream_can_be_interrupted() {
    let machine = Machine::new();
    for signal in [libc::SIGKILL, libc::SIGTERM] {
        let running = machine.start("streams", &["close"]);
        running.wait_for("ready");
        running.kill(signal);
        assert_eq!(running.wait(), Status::Signaled(signal));
    }
    assert_eq!(machine.run("streams", &["close_interrupted"]), native("streams", &["close_interrupted"], &[]));
}

/// A named pipe without a writer: `open` waits for one.
#[test]
fn opening_a_named_pipe_can_be_interrupted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fifo");
    let name = std::ffi::CString::new(path.to_str().expect("UTF-8")).expect("no NUL");
    // SAFETY: a C string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let machine = machine(folder.path());
    for signal in [libc::SIGKILL, libc::SIGTERM] {
        let running = machine.start("streams", &["fifo", path.to_str().expect("UTF-8")]);
        running.wait_for("ready");
        std::thread::sleep(std::time::Duration::from_millis(10));
        running.kill(signal);
        assert_eq!(running.wait(), Status::Signaled(signal));
    }
}
