//! Paths: in memory, in a directory of the host, and under the kernel all is the same; outside there is nothing.

use libos::Stdio;
use libos_tests::{Machine, Options, native, spawn};

#[test]
fn directories_links_and_modes() {
    let (theirs, ours) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let expected = native("paths", &["tree", theirs.path().to_str().expect("UTF-8")], &[]);
    let machine = Machine::with(&Options { host: &[ours.path()], ..Options::default() });
    assert_eq!(machine.run("paths", &["tree", ours.path().to_str().expect("UTF-8")]), expected, "on the host");
    assert_eq!(Machine::new().run("paths", &["tree", "/tmp"]), expected, "in memory");
}

#[test]
fn the_working_directory_and_the_mask_are_the_processs() {
    let folder = tempfile::tempdir().expect("a folder");
    let expected = native("paths", &["inherit", folder.path().to_str().expect("UTF-8")], &[]);
    let machine = Machine::with(&Options { host: &[folder.path()], ..Options::default() });
    let before = std::env::current_dir().expect("a directory");
    assert_eq!(machine.run("paths", &["inherit", folder.path().to_str().expect("UTF-8")]), expected);
    assert_eq!(machine.run("paths", &["inherit", "/tmp"]), expected);
    assert_eq!(std::env::current_dir().expect("a directory"), before);
}

#[test]
fn outside_the_roots_is_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).expect("a folder");
    std::fs::write(folder.path().join("secret"), "x").expect("a file");
    std::os::unix::fs::symlink("/etc", inside.join("out")).expect("a link");
    std::os::unix::fs::symlink("../secret", inside.join("up")).expect("a link");
    let machine = Machine::with(&Options { host: &[&inside], ..Options::default() });
    let text = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    for path in ["/etc", "/etc/passwd", "/proc/self", "/root", "/tmp/../etc", &text(&inside.join("../secret"))] {
        let seen = machine.run("paths", &["try", path]).ok();
        assert_eq!(seen, "EACCES EACCES EACCES EACCES EACCES\n", "{path}");
    }
    for link in ["out", "up", "out/passwd"] {
        let seen = machine.run("paths", &["try", &text(&inside.join(link))]).ok();
        assert!(seen.starts_with("EACCES EACCES "), "{link}: {seen}");
    }
    assert!(!folder.path().join("secret/new").exists());
}

#[test]
fn what_is_read_only_is() {
    let machine = Machine::new();
    assert_eq!(machine.run("paths", &["try", "/bin"]).ok(), "there opened EROFS in listed\n");
}

#[test]
fn files_belong_to_the_programs_user() {
    let folder = tempfile::tempdir().expect("a folder");
    let machine = Machine::with(&Options { host: &[folder.path()], ..Options::default() });
    machine.run("paths", &["owner", folder.path().to_str().expect("UTF-8")]).ok();
    machine.run("paths", &["owner", "/tmp"]).ok();
}

#[test]
fn a_process_begins_in_its_directory() {
    let machine = Machine::new();
    let mut echo = spawn("paths", &["inherit", "."]);
    echo.directory = "/tmp".into();
    echo.stdio[0] = Stdio::Null;
    machine.run_spawn(echo).ok();
}
