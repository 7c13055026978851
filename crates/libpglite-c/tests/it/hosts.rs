//! The hosts in other languages (`examples`), each with its own toolchain. A language that the machine does not have is left out, and
//! the test says so.

use crate::support::{folder, libraries, run, show};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A copy of an example, so that nothing is built in the source.
fn copy(name: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder().join("../../examples").join(name)).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    copy
}

/// The library under the names by which linkers and loaders ask for it.
fn library(to: &Path) -> PathBuf {
    for name in ["libpglite.so", "libpglite.so.1"] {
        std::os::unix::fs::symlink(libraries().join("libpglite.so"), to.join(name)).unwrap();
    }
    to.join("libpglite.so")
}

fn has(program: &str, argument: &str) -> bool {
    let found = Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("NOT TESTED: {program} is not on this machine");
    }
    found
}

#[test]
fn python() {
    if has("python3", "--version") {
        let example = copy("python");
        let mut command = Command::new("python3");
        command.arg("test_pglite.py").current_dir(example.path()).env("PGLITE_LIBRARY", library(example.path()));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", show(&output));
        println!("{}", show(&output));
    }
}

#[test]
fn go() {
    if has("go", "version") {
        let example = copy("go");
        library(example.path());
        let place = example.path().display();
        let mut command = Command::new("go");
        command.args(["test", "-count=1", "./..."]).current_dir(example.path());
        command.env("CGO_CFLAGS", format!("-I{}", folder().join("include").display()));
        command.env("CGO_LDFLAGS", format!("-L{place} -Wl,-rpath,{place}")).env("GOFLAGS", "-mod=mod");
        run(&mut command);
    }
}

#[test]
fn jvm() {
    let Some(jna) = jna() else {
        eprintln!("NOT TESTED: there is no jna.jar (Debian: libjna-java, or maven)");
        return;
    };
    if has("javac", "-version") {
        let example = copy("jvm");
        let library = library(example.path());
        run(Command::new("javac").arg("-cp").arg(&jna).arg("Pglite.java").current_dir(example.path()));
        let mut command = Command::new("java");
        command.arg("-cp").arg(format!("{}:.", jna.display())).arg(format!("-Dpglite.library={}", library.display()));
        let text = run(command.arg("Pglite").arg(example.path().join("data")).current_dir(example.path()));
        assert_eq!(text, "all is well\n");
    }
}

/// JNA, from the system or from Maven.
fn jna() -> Option<PathBuf> {
    let system = PathBuf::from("/usr/share/java/jna.jar");
    if system.exists() {
        return Some(system);
    }
    let jar = std::env::home_dir()?.join(".m2/repository/net/java/dev/jna/jna/5.15.0/jna-5.15.0.jar");
    if !jar.exists() {
        let artifact = "-Dartifact=net.java.dev.jna:jna:5.15.0";
        // Without Maven, or without a network, it is not there.
        let _ = Command::new("mvn").args(["--quiet", "dependency:get", artifact]).output();
    }
    jar.exists().then_some(jar)
}

#[test]
fn node() {
    if !has("node", "--version") || !has("npm", "--version") {
        return;
    }
    let example = copy("node");
    let install = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--silent"])
        .current_dir(example.path())
        .output()
        .unwrap();
    assert!(install.status.success(), "npm install: {}", show(&install));
    let mut command = Command::new("npm");
    command.arg("test").current_dir(example.path()).env("PGLITE_LIBRARY", library(example.path()));
    run(&mut command);
}
