//! The stand-in for the compiler compiles, links, and records as PostgreSQL's makefiles need it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use postgres_build::recipe::RECORDER;

/// Writes the recorder around `cc`, and a C program.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("recorder");
    let text =
        RECORDER.replace("@COMPILER@", "cc").replace("@PROFILE@", "/nonexistent").replace("@PROFILE_ARGUMENTS@", "");
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(dir.path().join("main.c"), "int main(void) { return 7; }\n").unwrap();
    dir
}

fn run(folder: &Path, record: bool, arguments: &[&str]) {
    let mut command = Command::new(folder.join("recorder"));
    command.current_dir(folder).args(arguments).env_remove("RECORD_LINKS");
    if record {
        command.env("RECORD_LINKS", "1");
    }
    assert!(command.status().unwrap().success(), "{arguments:?}");
}

#[test]
fn a_link_is_recorded_and_a_compilation_is_not() {
    let dir = folder();
    run(dir.path(), true, &["-c", "main.c", "-o", "main.o"]);
    assert!(std::fs::read(dir.path().join("main.o")).unwrap().starts_with(b"\x7fELF"));
    run(dir.path(), true, &["main.o", "-Wl,--as-needed", "-DTEXT=\"a b\"", "-o", "program"]);
    let record = std::fs::read_to_string(dir.path().join("program")).unwrap();
    let folder = dir.path().canonicalize().unwrap();
    let expected = format!("#linked\n{}\nmain.o\n-Wl,--as-needed\n-DTEXT=\"a b\"\n-o\nprogram\n", folder.display());
    assert_eq!(record, expected);
    let mode = std::fs::metadata(dir.path().join("program")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "make install wants a program that can be executed");
}

#[test]
fn zic_and_what_configure_links_are_programs() {
    let dir = folder();
    run(dir.path(), true, &["main.c", "-o", "./zic"]);
    run(dir.path(), false, &["main.c", "-o", "conftest"]);
    for program in ["zic", "conftest"] {
        assert_eq!(Command::new(dir.path().join(program)).status().unwrap().code(), Some(7), "{program}");
    }
}
