//! Clusters that the template is not right for are made by `initdb`.

use crate::support::{Fixture, directory_with, memory_with, sqlstate};
use libpglite::{Database, Error, Session};

fn show(db: &Fixture, sql: &str) -> String {
    db.connect().unwrap().query_one(sql, &[]).unwrap().get(0)
}

#[test]
fn the_default_is_utf8_everywhere() {
    let db = memory_with(|b| b);
    let sql = "SELECT concat_ws(' ', pg_encoding_to_char(encoding), datlocprovider, datlocale) FROM pg_database \
               WHERE datname = current_database()";
    assert_eq!(show(&db, sql), "UTF8 b C.UTF-8");
    assert_eq!(show(&db, "SELECT upper('straße ñ')"), "STRASSE Ñ".replace("STRASSE", "STRAßE"));
    assert_eq!(show(&db, "SHOW data_checksums"), "on");
    assert_eq!(show(&db, "SHOW io_method"), "sync");
    db.close();
}

#[test]
fn another_encoding() {
    let db = memory_with(|b| b.encoding("LATIN1").locale("C"));
    assert_eq!(show(&db, "SHOW server_encoding"), "LATIN1");
    let mut client = db.connect().unwrap();
    client.batch_execute("CREATE TABLE t AS SELECT 'é'::text AS a").unwrap();
    let row = client.query_one("SELECT a, octet_length(a) FROM t", &[]).unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, i32>(1)), ("é", 1));
    assert_eq!(sqlstate(client.query("SELECT '€'", &[])), "22P05");
    db.close();
}

#[test]
fn options_of_initdb() {
    let db = directory_with(|b| b.initdb_option("--no-data-checksums"));
    assert_eq!(show(&db, "SHOW data_checksums"), "off");
    assert_eq!(show(&db, "SHOW io_method"), "sync");
    db.close();
}

#[test]
fn another_superuser() {
    let sockets = tempfile::tempdir().unwrap();
    let db = directory_with(|b| b.user("alice").listen_socket(sockets.path()));
    assert_eq!(show(&db, "SELECT current_user::text"), "alice");
    assert_eq!(show(&db, "SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolsuper"), "alice");
    assert!(db.uri().unwrap().starts_with("postgresql://alice:"));
    db.close();
}

#[test]
fn what_initdb_refuses_leaves_nothing() {
    let _guard = crate::support::guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    for builder in [
        Database::builder(&path).encoding("KLINGON"),
        Database::builder(&path).locale("xx_XX.none"),
        Database::builder(&path).initdb_option("--no-such-option"),
        Database::builder(&path).user("pg_reserved"),
    ] {
        let error = builder.no_log().open().map(drop).unwrap_err();
        assert!(matches!(&error, Error::Initdb { log, .. } if !log.is_empty()), "{error:?}");
        assert!(!path.exists());
    }
}

#[test]
fn a_configuration_file_is_honoured() {
    let _guard = crate::support::guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let open = || Database::builder(&path).no_log().open().unwrap();
    let show = |db: &Database| -> String { db.connect().unwrap().query_one("SHOW work_mem", &[]).unwrap().get(0) };
    let db = open();
    db.connect().unwrap().batch_execute("ALTER SYSTEM SET work_mem = '7MB'").unwrap();
    db.connect().unwrap().batch_execute("SELECT pg_reload_conf()").unwrap();
    crate::support::until("it is read again", || show(&db) == "7MB");
    db.close().unwrap();
    let db = open();
    assert_eq!(show(&db), "7MB");
    db.close().unwrap();
    let db = Database::builder(&path).no_log().setting("work_mem", "9MB").open().unwrap();
    assert_eq!(show(&db), "9MB", "the program's settings win");
    db.close().unwrap();
}

#[test]
fn a_new_cluster_is_whole_for_whoever_looks() {
    let _guard = crate::support::guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let open = || Database::builder(&path).no_log().open().unwrap();
    let files = "SELECT count(*) FROM pg_ls_dir('base/1')";
    let db = open();
    let mut client = db.connect().unwrap();
    let first: i64 = client.query_one(files, &[]).unwrap().get(0);
    client.batch_execute("CREATE DATABASE copy TEMPLATE template1 STRATEGY file_copy").unwrap();
    let mut other = db.connect_with(&Session::new().database("copy")).unwrap();
    let relations = "SELECT count(pg_relation_size(oid)) FROM pg_class WHERE relkind IN ('r', 'i', 't')";
    let in_copy: i64 = other.query_one(relations, &[]).unwrap().get(0);
    assert_eq!(in_copy, client.query_one(relations, &[]).unwrap().get::<_, i64>(0));
    drop((client, other));
    db.close().unwrap();
    let db = open();
    assert_eq!(first, db.connect().unwrap().query_one(files, &[]).unwrap().get::<_, i64>(0));
    db.close().unwrap();
}
