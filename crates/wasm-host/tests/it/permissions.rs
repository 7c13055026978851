//! Owners, permissions, and paths of programs, which WASI does not have and PostgreSQL asks for.

use crate::support::{ask, engine, fresh};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use wasm_host::{Options, Session};

#[test]
fn a_directory_of_any_permissions_is_the_sessions_own() {
    let (folder, session) = fresh();
    session.close().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    // PostgreSQL refuses one that is somebody else's, or that others can look into.
    let mut session = Session::open(engine(), &Options::new(folder.path())).unwrap();
    assert_eq!(ask(&mut session, "SHOW data_directory_mode").unwrap(), "0700");
    // These change permissions of what they make.
    ask(&mut session, "COPY (SELECT 'x') TO '/data/file'").unwrap();
    let object = ask(&mut session, "SELECT lo_from_bytea(0, 'y')").unwrap();
    ask(&mut session, &format!("SELECT lo_export({object}, '/data/object')")).unwrap();
    assert_eq!(ask(&mut session, "SELECT pg_read_file('file') || pg_read_file('object')").unwrap(), "x\ny");
    ask(&mut session, "SET allow_in_place_tablespaces = on").unwrap();
    ask(&mut session, "CREATE TABLESPACE place LOCATION ''").unwrap();
    ask(&mut session, "CREATE TABLE t (a int) TABLESPACE place").unwrap();
}

#[test]
fn paths_above_what_is_open_are_resolved() {
    let (_folder, mut session) = fresh();
    // It is found by the real path of the program.
    let sql = "SELECT setting FROM pg_config() WHERE name = 'SHAREDIR'";
    assert_eq!(ask(&mut session, sql).unwrap(), "/pglite/share/postgresql");
    assert_eq!(ask(&mut session, "SHOW data_directory").unwrap(), "/data");
    // Time zones are files below it.
    assert_eq!(
        ask(&mut session, "SELECT timestamptz '2020-07-01 12:00 UTC' AT TIME ZONE 'Europe/Berlin'").unwrap(),
        "2020-07-01 14:00:00"
    );
}
