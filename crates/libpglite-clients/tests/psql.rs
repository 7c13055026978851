//! psql, as a program uses it.

use libpglite::{Database, Error, Status, Stdio};
use std::io::Read;

#[test]
fn psql_runs_inside_the_process() {
    let db = Database::memory().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (script, out) = (folder.path().join("script.sql"), folder.path().join("out"));
    std::fs::write(&script, "CREATE TABLE t (a int);\n\\copy t FROM STDIN\n1\n2\n\\.\nSELECT sum(a) FROM t;\n")
        .unwrap();
    let run = |arguments: &[&str]| -> (Status, String, String) {
        let (mut output, write) = std::io::pipe().unwrap();
        let (mut error, write_error) = std::io::pipe().unwrap();
        let stdio = [Stdio::Null, Stdio::Fd(write.into()), Stdio::Fd(write_error.into())];
        let child =
            libpglite_clients::start(Some(&db), "psql", arguments.iter().map(|a| (*a).to_owned()), &[], stdio).unwrap();
        let status = child.wait();
        drop(child);
        let (mut text, mut errors) = (String::new(), String::new());
        output.read_to_string(&mut text).unwrap();
        error.read_to_string(&mut errors).unwrap();
        (status, text, errors)
    };
    assert_eq!(run(&["-XAtc", "SELECT 42"]), (Status::Exited(0), "42\n".into(), String::new()));
    let (script, out) = (script.to_str().unwrap(), out.to_str().unwrap());
    assert_eq!(run(&["-XAtq", "-f", script, "-o", out]), (Status::Exited(0), String::new(), String::new()));
    assert_eq!(std::fs::read_to_string(out).unwrap(), "3\n");
    let (status, _, errors) = run(&["-X", "-v", "ON_ERROR_STOP=1", "-c", "SELECT 1/0"]);
    assert_eq!(status, Status::Exited(1));
    assert!(errors.contains("division by zero"), "{errors}");
    db.close().unwrap();
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let stdio = [Stdio::Null, Stdio::Null, Stdio::Null];
    match libpglite_clients::start(None, "pg_nothing", [], &[], stdio) {
        Err(Error::Option(message)) => assert!(message.contains("pg_nothing"), "{message}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was started"),
    }
}
