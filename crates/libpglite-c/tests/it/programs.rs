//! C programs: the examples, and tests of what examples do not show.

use crate::support::{Linking, compile, folder, run, show};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

fn example(name: &str) -> PathBuf {
    folder().join("../../examples/c").join(name)
}

fn test(name: &str) -> PathBuf {
    folder().join("tests/c").join(name)
}

fn temporary() -> TempDir {
    tempfile::tempdir().unwrap()
}

const BOTH: [Linking; 2] = [Linking::Shared, Linking::Static];

#[test]
fn the_modern_example() {
    for linking in BOTH {
        let folder = temporary();
        let program = compile(&example("modern.c"), folder.path(), linking, &[]);
        let text = run(Command::new(&program).arg(folder.path().join("data")));
        let expected = "\
CREATE TABLE
INSERT 0 2
text=hello work_mem=8MB
text=NULL work_mem=8MB
SELECT 2
NOTICE: from PL/pgSQL
DO
22012: division by zero
both_see_it=t
SELECT 1
closed
";
        assert_eq!(text, expected, "{linking:?}");
        // What is there stays there, and a standalone session finds it.
        let text = run(Command::new(&program).arg(folder.path().join("data")).arg("--standalone"));
        assert!(text.contains("one session at a time") && text.ends_with("closed\n"), "{text}");
    }
}

#[test]
fn the_example_of_the_draft() {
    for linking in BOTH {
        let folder = temporary();
        let program = compile(&example("compat.c"), folder.path(), linking, &[]);
        let mut command = Command::new(&program);
        command.env("PREFIX", folder.path().join("prefix"));
        let text = run(&mut command);
        let expected = "\
created, the user exists
memory: TDCZ
overflow: 20000273 bytes
file: TDCEZ
 one | two  
-----+------
   1 | text
(1 row)

ERROR:  division by zero
";
        assert_eq!(text, expected, "{linking:?}");
        assert!(run(&mut command).starts_with("resumed, the user exists\n"));
        let settings = fs::read_to_string(folder.path().join("prefix/postgresql.conf")).unwrap();
        assert_eq!(settings, "work_mem = '8MB'\n");
    }
}

#[test]
fn every_function_on_a_server() {
    let folder = temporary();
    let program = compile(&test("modern.c"), folder.path(), Linking::Shared, &[]);
    assert_eq!(run(Command::new(program).arg(folder.path().join("data"))), "all is well\n");
}

#[test]
fn every_function_standalone() {
    let folder = temporary();
    let program = compile(&test("modern.c"), folder.path(), Linking::Static, &[]);
    assert_eq!(run(Command::new(program).arg(folder.path().join("data")).arg("standalone")), "all is well\n");
}

#[test]
fn a_program_with_libpq_as_well() {
    for linking in BOTH {
        let folder = temporary();
        // Without its development files: the names are declared in the program.
        let program = compile(&test("libpq.c"), folder.path(), linking, &["-l:libpq.so.5"]);
        let text = run(Command::new(program).arg(folder.path().join("data")).arg(folder.path()));
        assert!(text.starts_with("from 18"), "{linking:?}: {text}");
    }
}

#[test]
fn under_the_address_sanitizer() {
    let folder = temporary();
    let sanitizer = ["-fsanitize=address", "-fno-omit-frame-pointer"];
    let program = compile(&test("modern.c"), folder.path(), Linking::Shared, &sanitizer);
    assert_eq!(run(Command::new(&program).arg(folder.path().join("one"))), "all is well\n");
    assert_eq!(run(Command::new(&program).arg(folder.path().join("two")).arg("standalone")), "all is well\n");
    let program = compile(&example("compat.c"), folder.path(), Linking::Shared, &sanitizer);
    run(Command::new(program).env("PREFIX", folder.path().join("prefix")));
}

/// A whole server: threads, signals, private globals and all.
#[test]
fn under_valgrind() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("NOT TESTED: there is no valgrind");
        return;
    }
    let folder = temporary();
    let program = compile(&example("modern.c"), folder.path(), Linking::Shared, &[]);
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
    command.arg(format!("--suppressions={}", crate::support::folder().join("tests/valgrind.supp").display()));
    let text = run(command.arg(&program).arg(folder.path().join("data")));
    assert!(text.ends_with("closed\n"), "{text}");
}

#[test]
fn the_draft_tells_what_is_wrong() {
    let folder = temporary();
    let program = compile(&example("compat.c"), folder.path(), Linking::Shared, &[]);
    let prefix = folder.path().join("prefix");
    let fails = |name: &str, value: &str, expected: &str| {
        let output = Command::new(&program).env("PREFIX", &prefix).env(name, value).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", show(&output));
        assert!(show(&output).contains(expected), "{}", show(&output));
    };
    fails("PGL_CMA_MB", "lots", "PGL_CMA_MB is lots");
    fails("PGUSER", "ghost", "role \"ghost\" does not exist");
    fails("PGDATABASE", "none", "database \"none\" does not exist");
    fs::create_dir_all(prefix.join("full")).unwrap();
    fs::write(prefix.join("full/letter.txt"), "dear").unwrap();
    fails("PGDATA", prefix.join("full").to_str().unwrap(), "not a PostgreSQL data directory");
    assert_eq!(fs::read_dir(prefix.join("full")).unwrap().count(), 1, "it is as it was");
    fs::write(prefix.join("postgresql.conf"), "shared_buffers = lots\n").unwrap();
    fails("PG_COLOR", "never", "shared_buffers");
}
