//! What SQL can reach: nothing outside the data directory, not for a superuser either, unless it was allowed.

use crate::support::{Fixture, directory_with, memory_with, sqlstate};
use libpglite::Access;
use libpglite::postgres::Client;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Every one of these statements must fail.
fn all_fail(client: &mut Client, statements: &[String]) {
    for sql in statements {
        match client.batch_execute(sql) {
            Ok(()) => panic!("this statement must fail: {sql}"),
            Err(e) => assert!(e.as_db_error().is_some(), "{sql}: the session must survive: {e}"),
        }
    }
}

#[test]
fn a_superuser_stays_inside() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("file");
    std::fs::write(&file, "1\n").unwrap();
    let (file, out) = (file.display(), outside.path().join("out"));
    let db = directory_with(|b| b);
    let mut client = db.connect().unwrap();
    client
        .batch_execute(
            "CREATE TABLE t (a text); CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw",
        )
        .unwrap();
    let depth = db.path().components().count();
    let up = "../".repeat(depth + 2);
    let to = out.display();
    all_fail(
        &mut client,
        &[
            format!("COPY t TO PROGRAM 'cat > {to}'"),
            format!("COPY t FROM PROGRAM 'cat {file}'"),
            format!("COPY t FROM '{file}'"),
            format!("COPY t TO '{to}'"),
            "COPY t FROM '/etc/passwd'".into(),
            "COPY t FROM '/proc/self/environ'".into(),
            "SELECT pg_read_file('/etc/passwd')".into(),
            format!("SELECT pg_read_file('{file}')"),
            format!("SELECT pg_read_binary_file('{up}etc/passwd')"),
            format!("SELECT * FROM pg_stat_file('{file}')"),
            "SELECT pg_ls_dir('/etc')".into(),
            format!("SELECT pg_ls_dir('{up}etc')"),
            "SELECT lo_import('/etc/passwd')".into(),
            format!("SELECT lo_export(lo_from_bytea(0, 'x'), '{to}')"),
            format!("CREATE TABLESPACE x LOCATION '{}'", outside.path().display()),
            "LOAD '/lib/x86_64-linux-gnu/libc.so.6'".into(),
            format!("CREATE FUNCTION f() RETURNS int LANGUAGE c AS '{file}', 'f'"),
            "CREATE FOREIGN TABLE f (a text) SERVER s OPTIONS (filename '/etc/passwd'); SELECT * FROM f".into(),
            "CREATE FOREIGN TABLE g (a text) SERVER s OPTIONS (program 'id'); SELECT * FROM g".into(),
        ],
    );
    assert!(!out.exists());
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    // Inside, a superuser can do all that PostgreSQL lets him.
    client.batch_execute("COPY (SELECT 7) TO PROGRAM 'true'").unwrap_err();
    assert_eq!(client.query_one("SELECT pg_read_file('PG_VERSION')", &[]).unwrap().get::<_, &str>(0), "18\n");
    db.close();
}

#[test]
fn programs_of_the_configuration_are_not_run() {
    let outside = tempfile::tempdir().unwrap();
    let trace = outside.path().join("trace");
    let db = directory_with(|b| {
        b.setting("archive_mode", "on").setting("archive_command", format!("touch {}", trace.display()))
    });
    let mut client = db.connect().unwrap();
    client.batch_execute("CREATE TABLE t (a int); SELECT pg_switch_wal()").unwrap();
    let sql = "SELECT failed_count FROM pg_stat_archiver";
    crate::support::until("the archiver failed", || client.query_one(sql, &[]).unwrap().get::<_, i64>(0) > 0);
    assert!(!trace.exists());
    db.close();
}

#[test]
fn programs_can_be_allowed() {
    let outside = tempfile::tempdir().unwrap();
    let out = outside.path().join("out");
    let db = memory_with(|b| b.allow_programs(true));
    let mut client = db.connect().unwrap();
    client.batch_execute(&format!("COPY (SELECT 42) TO PROGRAM 'cat > {}'", out.display())).unwrap();
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "42\n");
    client.batch_execute("CREATE TABLE t (a text); COPY t FROM PROGRAM 'echo hello; echo world'").unwrap();
    assert_eq!(client.query("SELECT a FROM t", &[]).unwrap().len(), 2);
    assert_eq!(sqlstate(client.batch_execute("COPY t FROM PROGRAM 'exit 3'")), "38000");
    db.close();
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["allowed", "other"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("in"), "1\n2\n").unwrap();
    }
    folder
}

fn with_table(path: &Path, access: Access) -> (Fixture, Client) {
    let db = directory_with(|b| b.allow_path(path, access));
    let mut client = db.connect().unwrap();
    client.batch_execute("CREATE TABLE t (a text)").unwrap();
    (db, client)
}

#[test]
fn an_allowed_folder_can_be_used() {
    let folder = folder();
    let (allowed, other) = (folder.path().join("allowed"), folder.path().join("other"));
    symlink(&other, allowed.join("link")).unwrap();
    symlink(other.join("in"), allowed.join("file")).unwrap();
    let (db, mut client) = with_table(&allowed, Access::ReadWrite);
    let allowed = allowed.display();
    client.batch_execute(&format!("COPY t FROM '{allowed}/in'; COPY t TO '{allowed}/out'")).unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("allowed/out")).unwrap(), "1\n2\n");
    all_fail(
        &mut client,
        &[
            format!("COPY t FROM '{}/in'", other.display()),
            format!("COPY t FROM '{allowed}/../other/in'"),
            format!("COPY t FROM '{allowed}/link/in'"),
            format!("COPY t FROM '{allowed}/file'"),
            format!("COPY t TO '{allowed}/file'"),
            format!("COPY t TO '{allowed}/../out'"),
        ],
    );
    assert_eq!(std::fs::read_to_string(other.join("in")).unwrap(), "1\n2\n");
    db.close();
}

#[test]
fn a_readable_folder_is_not_written() {
    let folder = folder();
    let allowed = folder.path().join("allowed");
    let (db, mut client) = with_table(&allowed, Access::Read);
    let allowed = allowed.display();
    client.batch_execute(&format!("COPY t FROM '{allowed}/in'")).unwrap();
    all_fail(&mut client, &[format!("COPY t TO '{allowed}/out'"), format!("COPY t TO '{allowed}/in'")]);
    assert_eq!(std::fs::read_to_string(folder.path().join("allowed/in")).unwrap(), "1\n2\n");
    assert_eq!(std::fs::read_dir(folder.path().join("allowed")).unwrap().count(), 1);
    db.close();
}

#[test]
fn a_tablespace_in_an_allowed_folder() {
    let folder = tempfile::tempdir().unwrap();
    let space = folder.path().join("space");
    std::fs::create_dir(&space).unwrap();
    let data = folder.path().join("data");
    let open = || libpglite::Database::builder(&data).no_log().allow_path(&space, Access::ReadWrite).open().unwrap();
    let db = open();
    let mut client = db.connect().unwrap();
    client.batch_execute(&format!("CREATE TABLESPACE s LOCATION '{}'", space.display())).unwrap();
    client.batch_execute("CREATE TABLE t TABLESPACE s AS SELECT generate_series(1, 5000) AS a; CHECKPOINT").unwrap();
    assert!(!crate::support::contents(&space).is_empty());
    db.close().unwrap();
    let db = open();
    let sum = "SELECT sum(a) FROM t";
    assert_eq!(db.connect().unwrap().query_one(sum, &[]).unwrap().get::<_, i64>(0), 12_502_500);
    db.close().unwrap();
    // Without the permission the tablespace's link leads nowhere.
    if let Ok(db) = libpglite::Database::builder(&data).no_log().open() {
        assert!(db.connect().unwrap().query(sum, &[]).is_err());
        db.close().unwrap();
    }
}

#[test]
fn planted_links_are_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("file"), "secret").unwrap();
    let db = directory_with(|b| b);
    symlink(outside.path(), db.path().join("folder")).unwrap();
    symlink(outside.path().join("file"), db.path().join("link")).unwrap();
    symlink(outside.path().join("new"), db.path().join("dangling")).unwrap();
    symlink("../".repeat(30), db.path().join("up")).unwrap();
    let mut client = db.connect().unwrap();
    all_fail(
        &mut client,
        &[
            "SELECT pg_read_file('folder/file')".into(),
            "SELECT pg_read_file('link')".into(),
            "SELECT pg_ls_dir('folder')".into(),
            "SELECT pg_read_file('up/etc/passwd')".into(),
            format!("COPY (SELECT 1) TO '{}/dangling'", db.path().display()),
            format!("COPY (SELECT 1) TO '{}/link'", db.path().display()),
            format!("COPY (SELECT 1) TO '{}/folder/new'", db.path().display()),
        ],
    );
    assert_eq!(std::fs::read_to_string(outside.path().join("file")).unwrap(), "secret");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    db.close();
}

/// Connects to a listener of ours by `sql`, which has its port as `PORT`; whether anybody came.
fn knocks(allow: bool, sql: &str) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let db = memory_with(|b| b.allow_network(allow));
    let mut client = db.connect().unwrap();
    client.batch_execute("CREATE EXTENSION dblink; CREATE EXTENSION postgres_fdw").unwrap();
    let came = std::thread::scope(|scope| {
        let query = scope.spawn(|| client.batch_execute(&sql.replace("PORT", &port.to_string())));
        let mut came = false;
        crate::support::until("the statement fails", || {
            match listener.accept() {
                // Hung up on.
                Ok(_) => came = true,
                Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
            }
            query.is_finished()
        });
        query.join().unwrap().unwrap_err();
        came
    });
    client.batch_execute("SELECT 1").unwrap();
    db.close();
    came
}

#[test]
fn the_network_is_denied() {
    let dblink = "SELECT dblink_connect('host=127.0.0.1 port=PORT user=a password=b')";
    let fdw = "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port 'PORT'); \
               CREATE USER MAPPING FOR postgres SERVER s OPTIONS (user 'a', password 'b'); \
               CREATE FOREIGN TABLE f (a int) SERVER s; SELECT * FROM f";
    assert!(!knocks(false, dblink));
    assert!(!knocks(false, fdw));
    assert!(knocks(true, dblink));
    assert!(knocks(true, fdw));
}

#[test]
fn unix_sockets_of_the_host_are_denied() {
    let folder = tempfile::tempdir().unwrap();
    let other = memory_with(|b| b.listen_socket(folder.path()).password("secret"));
    let sql = format!(
        "SELECT dblink_connect('a', 'host={} user=postgres password=secret dbname=postgres')",
        folder.path().display()
    );
    for (allow, reached) in [(false, false), (true, true)] {
        let db =
            memory_with(|b| if allow { b.allow_path(folder.path(), Access::ReadWrite).allow_network(true) } else { b });
        let mut client = db.connect().unwrap();
        client.batch_execute("CREATE EXTENSION dblink").unwrap();
        let result = client.batch_execute(&sql);
        assert_eq!(result.is_ok(), reached, "{result:?}");
        db.close();
    }
    other.close();
}
