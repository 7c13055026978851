//! Descriptors and streams, compared with the real kernel and C library.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::Stdio as HostStdio;

use libos::{Status, Stdio};
use libos_tests::{Counts, Machine, Options, in_own_process, in_prepared_process, native, spawn};

/// In memory, in a directory of the host, and under the kernel: all the same.
#[track_caller]
fn same(command: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let theirs = native("files", &[command, folder.path().to_str().expect("UTF-8")], &[]);
    let again = tempfile::tempdir().expect("a folder");
    let machine = Machine::with(&Options { host: &[again.path()], ..Options::default() });
    assert_eq!(
        machine.run("files", &[command, again.path().to_str().expect("UTF-8")]),
        theirs,
        "{command} on the host"
    );
    assert_eq!(machine.run("files", &[command, "/tmp"]), theirs, "{command} in memory");
}

#[test]
fn standard_streams_and_dup2() {
    same("standard");
}

#[test]
fn offsets_are_shared_by_duplicates() {
    same("offsets");
}

#[test]
fn streams() {
    same("streams");
}

#[test]
fn reopened_streams() {
    same("reopen");
}

#[test]
fn error_messages() {
    same("errors");
}

#[test]
fn waiting_for_descriptors() {
    same("waiting");
}

/// Whoever may read a file may change its mode and times by the descriptor, says the kernel. Not in a read-only mount.
#[test]
fn descriptors_of_read_only_mounts_change_nothing() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    let text = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let arguments = [text(&path), text(folder.path())];
    let make = || {
        std::fs::write(&path, "text").expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).expect("its mode");
    };
    let seen = || {
        let [file, directory] = [&*path, folder.path()].map(|path| std::fs::metadata(path).expect("it is there"));
        [
            (file.mode() & 0o777, file.mtime() == 1_000_000_000),
            (directory.mode() & 0o777, directory.mtime() == 1_000_000_000),
        ]
    };
    let run = |machine: &Machine, [path, folder]: [&str; 2]| machine.run("files", &["change", path, folder]).ok();
    let refused = "EROFS EROFS EROFS EINVAL ENOTTY\n".repeat(5) + "EPERM\n";
    make();
    let machine = Machine::with(&Options { read_only: &[folder.path()], ..Options::default() });
    assert_eq!(run(&machine, [&arguments[0], &arguments[1]]), refused);
    assert_eq!(seen(), [(0o600, false), (0o700, false)]);
    assert_eq!(run(&machine, ["/bin/child", "/bin"]), refused, "in memory");
    // Where the mount is not, the kernel's rules are the rules.
    let machine = Machine::with(&Options { host: &[folder.path()], ..Options::default() });
    assert!(run(&machine, [&arguments[0], &arguments[1]]).starts_with("done done done EINVAL "));
    assert_eq!(seen(), [(0o750, true), (0o750, true)]);
}

/// The process's streams are pipes, as they would be behind a driver.
#[test]
fn pipes_of_the_host() {
    let machine = Machine::new();
    let (input, mut to) = std::io::pipe().expect("a pipe");
    let (mut from, output) = std::io::pipe().expect("a pipe");
    let mut copy = spawn("files", &["copy"]);
    copy.stdio = [Stdio::Fd(input.into()), Stdio::Fd(output.into()), Stdio::Log];
    let running = machine.start_spawn(copy);
    let sent: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_ne_bytes).collect();
    let expected = sent.clone();
    let writer = std::thread::spawn(move || to.write_all(&sent));
    let mut received = Vec::new();
    from.read_to_end(&mut received).expect("the output");
    assert!(received == expected);
    writer.join().expect("the writer").expect("all is read");
    assert!(running.wait().success());
}

#[test]
fn files_of_the_host() {
    let machine = Machine::new();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out");
    std::fs::write(folder.path().join("in"), "some text").expect("a file");
    let mut copy = spawn("files", &["copy"]);
    copy.stdio = [
        Stdio::Fd(File::open(folder.path().join("in")).expect("a file").into()),
        Stdio::Fd(File::create(&path).expect("a file").into()),
        Stdio::Null,
    ];
    assert!(machine.run_spawn(copy).status.success());
    assert_eq!(std::fs::read_to_string(&path).expect("a file"), "some text");
}

#[test]
fn the_null_device() {
    let machine = Machine::new();
    let mut copy = spawn("files", &["copy"]);
    copy.stdio = [Stdio::Null, Stdio::Null, Stdio::Null];
    assert!(machine.run_spawn(copy).status.success());
}

/// The reader of its output has gone.
#[test]
fn sigpipe_ends_the_process_and_not_the_host() {
    in_own_process("files::sigpipe_ends_the_process_and_not_the_host", || {
        // SAFETY: the disposition of a process of our own: as hosts in C have it.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let machine = Machine::new();
        let (from, output) = std::io::pipe().expect("a pipe");
        drop(from);
        let mut echo = spawn("child", &["echo", "text"]);
        echo.stdio[1] = Stdio::Fd(output.into());
        assert_eq!(machine.run_spawn(echo).status, Status::Signaled(libc::SIGPIPE));
    });
}

#[test]
fn what_is_left_open_is_closed() {
    in_own_process("files::what_is_left_open_is_closed", || {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_str().expect("UTF-8");
        let machine = Machine::with(&Options { host: &[folder.path()], ..Options::default() });
        for end in [&["litter", path][..], &["litter", path, "abort"], &["litter", "/tmp"]] {
            let round = || machine.run("files", end).status;
            (0..5).for_each(|_| {
                round();
            });
            let before = Counts::now();
            (0..30).for_each(|_| assert_ne!(round(), Status::Exited(99)));
            Counts::now().assert_not_grown(&before, 8 << 20);
        }
        // What was not flushed was not written.
        assert_eq!(std::fs::metadata(folder.path().join("litter")).expect("a file").len(), 0);
    });
}

/// A descriptor's number 0 to 2 is the host's, also when the host has closed its own.
#[test]
fn numbers_of_the_standard_streams_stay_the_hosts() {
    in_own_process("files::numbers_of_the_standard_streams_stay_the_hosts", || {
        let folder = tempfile::tempdir().expect("a folder");
        // SAFETY: a process of our own, whose stdin nobody reads.
        unsafe { libc::close(0) };
        let machine = Machine::with(&Options { host: &[folder.path()], ..Options::default() });
        let path = folder.path().to_str().expect("UTF-8");
        machine.run("files", &["numbers", path]).ok();
        machine.run("files", &["numbers", "/tmp"]).ok();
        machine.run("sockets", &["numbers"]).ok();
        machine.run("files", &["streams", path]).ok();
        let kept = machine.start("sockets", &["listen", "/tmp/listener"]);
        kept.wait_for("ready");
        let held = machine.system.connect("/tmp/listener").expect("a connection");
        assert!(held.as_raw_fd() > 2);
        let (from, output) = std::io::pipe().expect("a pipe");
        // The pipe took the free number: the host's own descriptors may.
        assert_eq!(from.as_raw_fd(), 0);
        let mut echo = spawn("child", &["echo", "text"]);
        echo.stdio[1] = Stdio::Fd(output.into());
        machine.run_spawn(echo);
        drop(from);
        // SAFETY: a system call.
        assert_eq!(unsafe { libc::fcntl(0, libc::F_GETFD) }, -1, "something of the system has taken stdin's number");
    });
}

/// What the host's stdout is does not matter to anything.
fn with_stdout(name: &str, stdout: HostStdio) {
    in_prepared_process(
        name,
        |command| {
            command.stdout(stdout);
        },
        || {
            let machine = Machine::new();
            assert_eq!(machine.run("child", &["echo", "a", "b"]).ok(), "a b\n");
            // SAFETY: a process of our own. Its stdout is not needed any more.
            unsafe { libc::close(1) };
            assert_eq!(machine.run("child", &["echo", "a", "b"]).ok(), "a b\n");
            machine.run("files", &["standard"]).ok();
        },
        |status, text| assert!(status.success(), "{text}"),
    );
}

#[test]
fn the_hosts_stdout_may_be_a_file() {
    let file = tempfile::tempfile().expect("a file");
    with_stdout("files::the_hosts_stdout_may_be_a_file", file.into());
}

#[test]
fn the_hosts_stdout_may_be_a_pipe() {
    with_stdout("files::the_hosts_stdout_may_be_a_pipe", HostStdio::piped());
}

#[test]
fn the_hosts_stdout_may_be_the_null_device() {
    with_stdout("files::the_hosts_stdout_may_be_the_null_device", HostStdio::null());
}
