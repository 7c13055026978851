//! The command line, as scripts use it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn pglite(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pglite")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn path(directory: &tempfile::TempDir) -> String {
    directory.path().join("db").to_str().unwrap().to_owned()
}

#[test]
fn psql_prints_what_psql_prints_and_the_data_stays() {
    let directory = tempfile::tempdir().unwrap();
    let db = path(&directory);
    let made =
        pglite(&["psql", &db, "-X", "-A", "-t", "-c", "CREATE TABLE t AS SELECT g FROM generate_series(1, 3) g"]);
    assert_eq!((text(&made.stdout).as_str(), made.status.code()), ("SELECT 3\n", Some(0)), "{}", text(&made.stderr));
    let read = pglite(&["psql", &db, "-X", "-A", "-t", "-c", "SELECT sum(g), current_user FROM t"]);
    assert_eq!(text(&read.stdout), "6|postgres\n");
}

#[test]
fn psql_gives_its_own_status_and_reads_files_of_the_caller() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script.sql");
    std::fs::write(&script, "SELECT 1;\nSELECT 1/0;\n").unwrap();
    let script = script.to_str().unwrap();
    let run = pglite(&["psql", ":memory:", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", script]);
    assert_eq!(run.status.code(), Some(3));
    assert_eq!(text(&run.stdout), "1\n");
    assert!(text(&run.stderr).contains("division by zero"));
}

#[test]
fn errors_have_codes_and_remedies() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("letter.txt"), "dear").unwrap();
    let other = pglite(&["info", directory.path().to_str().unwrap()]);
    assert_eq!(other.status.code(), Some(4));
    assert!(text(&other.stderr).contains("name an empty directory"));
    let setting = pglite(&["psql", "--set", "no_such=1", ":memory:", "-c", "SELECT 1"]);
    assert_eq!(setting.status.code(), Some(5), "{}", text(&setting.stderr));
    assert!(text(&setting.stderr).contains("no_such"));
    assert_eq!(pglite(&["psql"]).status.code(), Some(2));
}

#[test]
fn init_makes_a_database_once_and_info_tells_about_it() {
    let directory = tempfile::tempdir().unwrap();
    let db = path(&directory);
    assert_eq!(pglite(&["init", &db]).status.code(), Some(0));
    let again = pglite(&["init", &db]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("already"));
    let info = text(&pglite(&["info", &db]).stdout);
    assert!(info.contains("state              shut down") && info.contains("open in            nobody"), "{info}");
}

#[test]
fn serve_tells_when_it_is_ready_and_stops_on_sigterm() {
    let directory = tempfile::tempdir().unwrap();
    let db = path(&directory);
    let mut server = Command::new(env!("CARGO_BIN_EXE_pglite"))
        .args(["serve", &db, "--socket", directory.path().to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let uri = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("{line}"));
    assert!(uri.starts_with("postgresql://postgres:"), "{uri}");

    // The data directory is taken, and somebody with the URI can use it all the same.
    let refused = pglite(&["psql", &db, "-c", "SELECT 1"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(text(&refused.stderr).contains(&server.id().to_string()), "{}", text(&refused.stderr));
    let through = pglite(&["psql", ":memory:", "-X", "-A", "-t", "-c", "SHOW data_directory", uri]);
    assert_eq!(
        Path::new(text(&through.stdout).trim()),
        Path::new(&db).canonicalize().unwrap(),
        "{}",
        text(&through.stderr)
    );

    let stopped = Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    assert_eq!(server.wait().unwrap().code(), Some(0));
}
