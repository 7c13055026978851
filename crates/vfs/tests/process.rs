//! What depends on the state of the whole process: run in a child of its own.

mod common;

use std::os::fd::AsRawFd;
use std::process::Command;

use common::{at_data, namespace, put};
use vfs::{Access, File};

/// Runs the ignored test `name` of this program alone in a new process.
fn run_alone(name: &str) {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--test-threads=1"])
        .status()
        .unwrap();
    assert!(status.success(), "{name}: {status}");
}

#[test]
fn descriptors_are_never_those_of_stdio() {
    run_alone("child_without_stdio");
}

#[test]
fn the_umask_has_no_effect_and_stays() {
    run_alone("child_with_umask");
}

fn descriptor(file: File) -> i32 {
    let File::Kernel(fd) = file else { panic!("a file of the host has a descriptor") };
    assert!(rustix::io::fcntl_getfd(&fd).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    fd.as_raw_fd()
}

#[test]
#[ignore = "run by descriptors_are_never_those_of_stdio"]
fn child_without_stdio() {
    let directory = tempfile::tempdir().unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    assert!(null.as_raw_fd() > 2);
    for fd in 0..3 {
        // SAFETY: nothing of this process uses them from here to its end.
        unsafe { libc::close(fd) };
    }
    let outcome = std::panic::catch_unwind(|| {
        for walking in [false, true] {
            let (namespace, cwd) = at_data(directory.path(), walking);
            namespace.grant(b"/dev/null", Access::ReadOnly).unwrap();
            let flags = libc::O_RDWR | libc::O_CREAT;
            for (path, flags) in [
                (&b"f"[..], flags),
                (b"f", libc::O_RDONLY),
                (b"f", libc::O_PATH),
                (b"./f", libc::O_RDONLY),
                (b".", libc::O_RDONLY | libc::O_DIRECTORY),
                (b"/dev/null", libc::O_RDONLY),
            ] {
                assert!(descriptor(namespace.open(&cwd, path, flags, 0o600).unwrap()) > 2);
            }
            let entry = namespace.host_entry(&cwd, b"x").unwrap().unwrap();
            assert!(entry.directory.as_raw_fd() > 2);
            // What the name space itself holds for long is out of the way too.
            for fd in 0..3 {
                // SAFETY: only asks whether the number is in use.
                assert_eq!(unsafe { libc::fcntl(fd, libc::F_GETFD) }, -1);
            }
        }
    });
    std::process::exit(i32::from(outcome.is_err()));
}

#[test]
#[ignore = "run by the_umask_has_no_effect_and_stays"]
fn child_with_umask() {
    let directory = tempfile::tempdir().unwrap();
    let old = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o137));
    for walking in [false, true] {
        let (namespace, cwd) = at_data(directory.path(), walking);
        for mode in [0o777u32, 0o600, 0o666, 0o711, 0o4755, 0o400] {
            let name = format!("f{walking}{mode}");
            let file = namespace.open(&cwd, name.as_bytes(), libc::O_RDWR | libc::O_CREAT, mode).unwrap();
            drop(file);
            assert_eq!(namespace.stat(&cwd, name.as_bytes()).unwrap().st_mode & 0o7777, mode);
            let name = format!("x{walking}{mode}");
            let exclusive = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
            namespace.open(&cwd, name.as_bytes(), exclusive, mode).unwrap();
            assert_eq!(namespace.stat(&cwd, name.as_bytes()).unwrap().st_mode & 0o7777, mode);
        }
        for mode in [0o777u32, 0o700, 0o1777, 0o300] {
            let name = format!("d{walking}{mode}/");
            namespace.mkdir(&cwd, name.as_bytes(), mode).unwrap();
            assert_eq!(namespace.stat(&cwd, name.as_bytes()).unwrap().st_mode & 0o7777, mode);
        }
        // One that exists keeps its mode.
        let name = format!("f{walking}{}", 0o600);
        namespace.open(&cwd, name.as_bytes(), libc::O_RDWR | libc::O_CREAT, 0o777).unwrap();
        assert_eq!(namespace.stat(&cwd, name.as_bytes()).unwrap().st_mode & 0o7777, 0o600);
    }
    let mask = rustix::process::umask(old);
    assert_eq!(mask.as_raw_mode(), 0o137);
    let namespace = namespace();
    namespace.mount(b"/data", vfs::MemoryFs::new(None), Access::ReadWrite).unwrap();
    put(&namespace, &namespace.root(), "/data/f", b"x");
}
