//! What is cut short: creating, working, ending; and what is there afterwards.

use crate::support::{self, Killed, contents, guard, memory, memory_with, role, sqlstate, this_program, until};
use libpglite::{Database, Error};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

#[test]
fn a_creation_that_was_cut_short_begins_again() {
    if let Some(path) = role() {
        let builder = Database::builder(Path::new(&path)).no_log();
        // The template is not right for the second.
        let builder = if path.ends_with("data") { builder } else { builder.encoding("LATIN1").locale("C") };
        builder.open().unwrap().close().unwrap();
        return;
    }
    let _guard = guard();
    for (i, name) in (0..8).map(|i| (i, "data")).chain((0..4).map(|i| (i * 20, "initdb"))) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let name = "crashes::a_creation_that_was_cut_short_begins_again";
        let mut command = this_program(name, path.to_str().unwrap());
        let mut child = Killed(command.stdout(std::process::Stdio::null()).spawn().unwrap());
        // Anywhere between the first file and the end.
        until("it began", || path.exists());
        std::thread::sleep(Duration::from_millis(i * 4));
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        let db = Database::builder(&path).no_log().open().unwrap();
        db.connect().unwrap().batch_execute("CREATE TABLE t (a int)").unwrap();
        db.close().unwrap();
        assert!(!path.join("libpglite.unfinished").exists());
    }
}

#[test]
fn a_half_made_cluster_is_made_again() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("libpglite.unfinished"), "").unwrap();
    std::fs::write(folder.path().join("PG_VERSION"), "18\n").unwrap();
    std::fs::create_dir(folder.path().join("base")).unwrap();
    let db = Database::builder(folder.path()).no_log().open().unwrap();
    assert!(db.is_new());
    db.close().unwrap();
    assert!(!Database::builder(folder.path()).no_log().open().unwrap().is_new());
}

#[test]
fn a_commit_waits_until_the_cluster_is_durable() {
    let _guard = guard();
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::builder(folder.path()).no_log().open().unwrap();
        db.connect().unwrap().batch_execute("CREATE TABLE t (a int)").unwrap();
        assert!(!folder.path().join("libpglite.unfinished").exists());
        db.close().unwrap();
    }
}

#[test]
fn a_crash_of_the_machine_before_the_cluster_was_durable() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("libpglite.unfinished");
    let open = || Database::builder(folder.path()).no_log().open().unwrap();
    open().close().unwrap();
    let control = std::fs::read(folder.path().join("global/pg_control")).unwrap();
    let checkpoint = u64::from_le_bytes(control[32..40].try_into().unwrap());
    // Somebody else has made checkpoints since: it is a database by now, whatever the marker says.
    std::fs::write(&marker, format!("another-boot {:X}\n", checkpoint - 8)).unwrap();
    let db = open();
    assert!(!db.is_new());
    db.close().unwrap();
    assert!(!marker.exists());
    // Nobody has: nothing in it was promised to anybody, and it may have holes.
    let control = std::fs::read(folder.path().join("global/pg_control")).unwrap();
    let checkpoint = u64::from_le_bytes(control[32..40].try_into().unwrap());
    std::fs::write(&marker, format!("another-boot {checkpoint:X}\n")).unwrap();
    let db = open();
    assert!(db.is_new());
    db.close().unwrap();
    assert!(!marker.exists());
}

#[test]
fn one_of_many_makes_it() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let open: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| Database::builder(&path).no_log().open())).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = open.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1, "{lost:?}");
    for error in lost.into_iter().map(Result::unwrap_err) {
        assert!(matches!(error, Error::InUse { .. }), "{error:?}");
    }
    let db = won.into_iter().next().unwrap().unwrap();
    db.connect().unwrap().simple_query("SELECT 1").unwrap();
    db.close().unwrap();
}

#[test]
fn closing_ends_what_runs() {
    let db = memory();
    let (mut idle, mut sleeping, mut busy) = (db.connect().unwrap(), db.connect().unwrap(), db.connect().unwrap());
    std::thread::scope(|scope| {
        let running = [
            scope.spawn(|| sleeping.batch_execute("SELECT pg_sleep(3600)")),
            scope.spawn(|| busy.batch_execute("DO 'BEGIN LOOP END LOOP; END'")),
        ];
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() \
                   AND backend_type = 'client backend'";
        until("they run", || idle.query_one(sql, &[]).unwrap().get::<_, i64>(0) == 2);
        db.close();
        for thread in running {
            assert!(thread.join().unwrap().is_err());
        }
    });
    assert!(idle.simple_query("SELECT 1").is_err());
}

#[test]
fn a_server_that_ends_by_itself_says_why() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let db = Database::builder(&path).no_log().setting("restart_after_crash", "off").open().unwrap();
    let mut client = db.connect().unwrap();
    client.batch_execute("CREATE TABLE t AS SELECT 1 AS a").unwrap();
    client.batch_execute("CREATE FUNCTION fault(bigint) RETURNS int LANGUAGE internal STRICT AS 'textlen'").unwrap();
    assert!(!db.has_ended());
    assert!(client.batch_execute("SELECT fault(8)").is_err());
    assert!(db.wait(support::LIMIT));
    assert!(db.has_ended());
    for error in [db.connect().map(drop).unwrap_err(), db.stream().map(drop).unwrap_err()] {
        assert!(matches!(error, Error::Ended(_)), "{error:?}");
    }
    let error = db.close().unwrap_err();
    assert!(matches!(&error, Error::Ended(text) if text.contains("signal 11")), "{error}");
    let db = Database::builder(&path).no_log().open().unwrap();
    assert_eq!(db.connect().unwrap().query_one("SELECT a FROM t", &[]).unwrap().get::<_, i32>(0), 1);
    db.close().unwrap();
}

#[test]
fn a_session_that_is_dropped_in_the_middle() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let mut session = Database::builder(&path).no_log().open_standalone().unwrap();
    session.simple_query("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").unwrap();
    // In a transaction, and then in the middle of a message.
    session.simple_query("BEGIN; INSERT INTO t VALUES (2)").unwrap();
    session.exchange(b"Q\0\0\0\xffSELECT", |_| ()).unwrap();
    drop(session);
    let mut session = Database::builder(&path).no_log().open_standalone().unwrap();
    session.simple_query("BEGIN; INSERT INTO t VALUES (3)").unwrap();
    session.exchange(b"Q\0\0\0\x16COPY t FROM STDIN\0", |_| ()).unwrap();
    session.exchange(b"d\0\0\0\x06", |_| ()).unwrap();
    drop(session);
    let db = Database::builder(&path).no_log().open().unwrap();
    assert_eq!(db.connect().unwrap().query_one("SELECT count(*) FROM t", &[]).unwrap().get::<_, i64>(0), 1);
    db.close().unwrap();
}

#[test]
fn a_failed_open_leaves_a_cluster_as_it_was() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    Database::builder(&path).no_log().open().unwrap().close().unwrap();
    let before = contents(&path);
    assert!(Database::builder(&path).no_log().setting("wal_level", "loud").open().is_err());
    assert!(Database::builder(&path).no_log().setting("wal_level", "loud").open_standalone().is_err());
    let names =
        |all: &[(std::path::PathBuf, Option<Vec<u8>>)]| -> BTreeSet<_> { all.iter().map(|(p, _)| p.clone()).collect() };
    let (before, after) = (names(&before), names(&contents(&path)));
    assert_eq!(before.symmetric_difference(&after).collect::<Vec<_>>(), Vec::<&std::path::PathBuf>::new());
    assert!(Database::builder(&path).no_log().open_standalone_in("none").is_err());
    Database::builder(&path).no_log().open().unwrap().close().unwrap();
}

#[test]
fn a_failed_open_takes_its_folders_back() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/data");
    assert!(Database::builder(&path).no_log().setting("wal_level", "loud").open().is_err());
    assert!(contents(folder.path()).is_empty(), "{:?}", contents(folder.path()));
    assert!(Database::builder(&path).no_log().allow_path("/no/such/path", libpglite::Access::Read).open().is_err());
    assert!(contents(folder.path()).is_empty(), "{:?}", contents(folder.path()));
    Database::builder(&path).no_log().open().unwrap().close().unwrap();
}

#[test]
fn a_log_function_that_panics_harms_nobody() {
    let _guard = guard();
    let db = Database::builder(":memory:").log(|_| panic!("on purpose, in a test")).open().unwrap();
    let mut client = db.connect().unwrap();
    assert_eq!(sqlstate(client.batch_execute("SELECT 1/0")), "22012");
    client.simple_query("SELECT 1").unwrap();
    db.close().unwrap();
}

#[test]
fn paths_of_any_kind() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("a b'c\"d,e=f\\g%h ü\u{1F418}");
    std::fs::create_dir(&odd).unwrap();
    let db = Database::builder(odd.join("data")).no_log().open().unwrap();
    db.connect().unwrap().batch_execute("CREATE TABLE t (a int)").unwrap();
    db.close().unwrap();
    let mut session = Database::builder(odd.join("data")).no_log().open_standalone().unwrap();
    session.simple_query("SELECT 1").unwrap();
    session.close().unwrap();

    let link = folder.path().join("link");
    std::os::unix::fs::symlink(odd.join("data"), &link).unwrap();
    let db = Database::builder(&link).no_log().open().unwrap();
    let again = Database::builder(odd.join("data")).no_log().open().map(drop).unwrap_err();
    assert!(matches!(again, Error::InUse { .. }), "{again:?}");
    db.close().unwrap();

    use std::os::unix::ffi::OsStrExt;
    let strange = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    let error = Database::builder(&strange).no_log().open().map(drop).unwrap_err();
    assert!(error.to_string().contains("UTF-8"), "{error}");
    assert!(!strange.exists());
}

#[test]
fn many_open_and_close_at_the_same_time() {
    let _guard = guard();
    std::thread::scope(|scope| {
        for i in 0..6 {
            scope.spawn(move || {
                for _ in 0..4 {
                    let db = memory_with(|b| b.setting("shared_buffers", "4MB"));
                    let row = db.connect().unwrap().query_one("SELECT $1::int", &[&i]).unwrap();
                    assert_eq!(row.get::<_, i32>(0), i);
                    db.close();
                }
            });
        }
    });
}
