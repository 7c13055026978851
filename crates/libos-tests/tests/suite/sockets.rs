//! Sockets: inside the system without the kernel's file tree, outside where that is allowed.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use libos::{Policy, Status};
use libos_tests::{Machine, Options, Running, in_own_process, native};

fn server(machine: &Machine, path: &str) -> Running {
    let server = machine.start("sockets", &["serve", path]);
    server.wait_for("ready");
    server
}

fn ask(stream: &mut UnixStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).expect("it listens");
    let mut answer = [0; 100];
    let n = stream.read(&mut answer).expect("it answers");
    String::from_utf8_lossy(&answer[..n]).into_owned()
}

#[test]
fn processes_of_one_system() {
    let machine = Machine::new();
    let server = server(&machine, "/tmp/s");
    for _ in 0..20 {
        assert_eq!(machine.run("sockets", &["client", "/tmp/s", "hello"]).ok(), "own hello\n");
    }
    assert_eq!(Machine::new().run("sockets", &["client", "/tmp/s", "hello"]).out, "ENOENT\n", "another system's");
    assert_eq!(machine.run("sockets", &["client", "/tmp/s", "end"]).ok(), "own end\n");
    assert!(server.wait().success());
}

#[test]
fn the_host_connects() {
    let machine = Machine::new();
    let error = |path: &str| machine.system.connect(path).expect_err("nobody listens").raw_os_error();
    assert_eq!(error("/tmp/s"), libc::ENOENT);
    let server = server(&machine, "/tmp/s");
    let mut own = machine.system.connect("/tmp/s").expect("a connection");
    assert_eq!(ask(&mut own, "first"), "own first");
    assert_eq!(ask(&mut own, "second"), "own second");
    drop(own);
    // Sockets that the host got itself: trusted or not.
    for (trusted, word) in [(true, "own"), (false, "other")] {
        let (mut ours, theirs) = UnixStream::pair().expect("a pair");
        machine.system.hand_over("/tmp/s", theirs.into(), trusted).expect("it listens");
        assert_eq!(ask(&mut ours, "x"), format!("{word} x"));
    }
    assert_eq!(ask(&mut machine.system.connect("/tmp/s").expect("a connection"), "end"), "own end");
    assert!(server.wait().success());
    assert_eq!(error("/tmp/s"), libc::ENOENT);
}

#[test]
fn a_listener_that_died_refuses() {
    let machine = Machine::new();
    let server = server(&machine, "/tmp/s");
    server.kill(libc::SIGKILL);
    server.wait();
    let error = machine.system.connect("/tmp/s").expect_err("nobody listens").raw_os_error();
    assert_eq!(error, libc::ECONNREFUSED);
    assert_eq!(machine.run("sockets", &["client", "/tmp/s", "x"]).out, "ECONNREFUSED\n");
}

#[test]
fn epoll() {
    let machine = Machine::new();
    let server = machine.start("sockets", &["epoll", "/tmp/s", "200"]);
    server.wait_for("ready");
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let system = machine.system.clone();
            std::thread::spawn(move || {
                for _ in 0..50 {
                    let mut text = String::new();
                    let mut stream = system.connect("/tmp/s").expect("a connection");
                    stream.read_to_string(&mut text).expect("its greeting");
                    assert_eq!(text, "hello");
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().expect("all are served"));
    assert!(server.wait().success());
}

#[test]
fn errors() {
    let machine = Machine::new();
    machine.run("sockets", &["errors", "/tmp/s"]).ok();
    let folder = tempfile::tempdir().expect("a folder");
    let machine = Machine::with(&Options { host: &[folder.path()], ..Options::default() });
    machine.run("sockets", &["errors", folder.path().join("s").to_str().expect("UTF-8")]).ok();
}

#[test]
fn messages_and_their_sigpipe() {
    let ours = Machine::new().run("sockets", &["pair"]);
    assert_eq!(ours, native("sockets", &["pair"], &[]));
    assert_eq!((ours.status, ours.out.as_str()), (Status::Signaled(libc::SIGPIPE), "alive\n"));
    in_own_process("sockets::messages_and_their_sigpipe", || {
        // SAFETY: the disposition of a process of our own: as hosts in C have it.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        assert_eq!(Machine::new().run("sockets", &["pair"]).status, Status::Signaled(libc::SIGPIPE));
    });
}

/// In a directory of the host, the socket is the host's too.
#[test]
fn sockets_of_the_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let machine = Machine::with(&Options { host: &[folder.path()], ..Options::default() });
    let server = server(&machine, &path("ours"));
    let mut stream = UnixStream::connect(path("ours")).expect("the host connects");
    assert_eq!(ask(&mut stream, "hello"), "other hello");
    drop(stream);
    assert_eq!(native("sockets", &["client", &path("ours"), "hello"], &[]).ok(), "other hello\n");
    assert_eq!(machine.run("sockets", &["client", &path("ours"), "end"]).ok(), "other end\n");
    assert!(server.wait().success());
    assert!(!Path::new(&path("ours")).exists());
    let listener = UnixListener::bind(path("theirs")).expect("a listener");
    let host = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut text = [0; 5];
        stream.read_exact(&mut text).expect("its text");
        stream.write_all(b"from the host").expect("it reads");
    });
    assert_eq!(machine.run("sockets", &["client", &path("theirs"), "hello"]).ok(), "from the host\n");
    host.join().expect("the host's end");
}

#[test]
fn the_host_outside_the_roots_is_not_reached() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s");
    let _listener = UnixListener::bind(&path).expect("a listener");
    let ours = Machine::new().run("sockets", &["client", path.to_str().expect("UTF-8"), "hello"]);
    assert_eq!(ours.status, Status::Exited(1));
    assert!(["EACCES\n", "ENOENT\n"].contains(&ours.out.as_str()), "{}", ours.out);
}

#[test]
fn the_network_is_denied_unless_granted() {
    assert_eq!(Machine::new().run("sockets", &["network"]).ok(), "EACCES EACCES EACCES\nEACCES\n");
    let machine =
        Machine::with(&Options { policy: Policy { network: true, ..Policy::default() }, ..Options::default() });
    assert_eq!(machine.run("sockets", &["network"]).ok(), "made made bound\nrefused\n");
}
