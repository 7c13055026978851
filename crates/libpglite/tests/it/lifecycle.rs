//! Opening, closing, opening again; who has a directory; what a crash leaves.

use crate::support::{self, Killed, guard, isolated, role, this_program};
use libpglite::{Database, Error};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

fn open(path: &Path) -> libpglite::Result<Database> {
    Database::builder(path).no_log().open()
}

#[test]
fn data_survives_closing() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let db = open(&path).unwrap();
    assert!(db.is_new());
    assert_eq!(db.path(), std::fs::canonicalize(&path).unwrap());
    let mut client = db.connect().unwrap();
    client.batch_execute("CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 1000)").unwrap();
    // PostgreSQL's tools take what they do not know there for a relation's file.
    let global = std::fs::read_dir(path.join("global")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(global.filter(|name| name.to_str().unwrap().starts_with("config")).count(), 0);
    db.close().unwrap();
    assert!(client.simple_query("SELECT 1").is_err(), "a session ends with its server");
    assert!(!path.join("postmaster.pid").exists());

    let db = Database::builder(&path).no_log().existing_only().open().unwrap();
    assert!(!db.is_new());
    assert_eq!(db.connect().unwrap().query_one("SELECT sum(a) FROM t", &[]).unwrap().get::<_, i64>(0), 500_500);
    // Dropped, not closed: the same.
    drop(db);
    let db = open(&path).unwrap();
    assert_eq!(db.connect().unwrap().query_one("SELECT count(*) FROM t", &[]).unwrap().get::<_, i64>(0), 1000);
    db.close().unwrap();
}

#[test]
fn existing_only_makes_nothing() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("missing"), folder.path().to_owned()] {
        let error = Database::builder(&path).no_log().existing_only().open().unwrap_err();
        assert!(matches!(error, Error::NotACluster(_)), "{error}");
    }
    assert!(support::contents(folder.path()).is_empty());
}

#[test]
fn clusters_have_their_own_identifiers() {
    let (one, two) = (support::memory(), support::memory());
    let identifier = |db: &Database| -> i64 {
        let row = db.connect().unwrap().query_one("SELECT system_identifier FROM pg_control_system()", &[]).unwrap();
        row.get(0)
    };
    assert_ne!(identifier(&one), identifier(&two));
    one.close();
    two.close();
}

#[test]
fn looking_at_a_directory_is_in_nobodys_way() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).unwrap().close().unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                libpglite::info(folder.path()).unwrap();
            }
        });
        let opened: Vec<_> = (0..10).map(|_| open(folder.path()).and_then(Database::close)).collect();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        opened.into_iter().for_each(|result| result.unwrap());
    });
}

/// Threads, descriptors and mappings of this process.
fn resources() -> (usize, usize, usize) {
    let count = |path: &str| std::fs::read_dir(path).unwrap().count();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
    (count("/proc/self/task"), count("/proc/self/fd"), maps)
}

#[test]
fn a_hundred_opens_leave_nothing() {
    isolated(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let once = |i: i32| {
            let db = Database::builder(&path).no_log().setting("fsync", "off").open().unwrap();
            let mut client = db.connect().unwrap();
            if i == 0 {
                client.batch_execute("CREATE TABLE t (a int)").unwrap();
            }
            client.execute("INSERT INTO t VALUES ($1)", &[&i]).unwrap();
            let mut memory = Database::builder(":memory:").no_log().open_standalone().unwrap();
            memory.simple_query("SELECT 1").unwrap();
            memory.close().unwrap();
            drop(client);
            db.close().unwrap();
        };
        // The first ones fill what is filled once: the C library's arenas, say.
        (0..10).for_each(once);
        let (threads, descriptors, mappings) = resources();
        (10..100).for_each(once);
        // The kernel may show a thread a little longer than it takes to wait for its end.
        support::until("threads are gone", || resources().0 <= threads);
        let (_, descriptors_now, mappings_now) = resources();
        assert_eq!(descriptors_now, descriptors);
        // An arena or two more: less than one mapping for ten opens.
        assert!(mappings_now < mappings + 9, "{mappings} mappings grew to {mappings_now}");
        let db = open(&path).unwrap();
        assert_eq!(db.connect().unwrap().query_one("SELECT count(*) FROM t", &[]).unwrap().get::<_, i64>(0), 100);
    });
}

#[test]
fn several_databases_at_once() {
    let all = [support::directory_with(|b| b), support::directory_with(|b| b), support::memory()];
    let mut clients: Vec<_> = all.iter().map(|db| db.connect().unwrap()).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        client.batch_execute(&format!("CREATE TABLE t AS SELECT {i} AS a")).unwrap();
    }
    for (i, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.query_one("SELECT a FROM t", &[]).unwrap().get::<_, i32>(0), i as i32);
    }
    let [one, two, three] = all;
    one.close();
    clients[2].batch_execute("INSERT INTO t VALUES (7)").unwrap();
    three.close();
    clients[1].batch_execute("INSERT INTO t VALUES (7)").unwrap();
    two.close();
}

#[test]
fn a_directory_is_open_once_in_a_process() {
    let db = support::directory_with(|b| b);
    let this = format!("this process ({})", std::process::id());
    for error in [
        open(db.path()).unwrap_err(),
        Database::builder(db.path()).no_log().open_standalone().map(drop).unwrap_err(),
        Database::builder(db.path().join("base/..")).no_log().existing_only().open().unwrap_err(),
    ] {
        assert!(matches!(&error, Error::InUse { holder, .. } if *holder == this), "{error}");
    }
    assert!(db.connect().unwrap().simple_query("SELECT 1").is_ok(), "the first is as it was");
    let path = db.path().to_owned();
    db.close();
    assert!(!path.exists(), "the fixture removed it");
}

/// Starts this test again, and waits until it says that it is ready.
fn holder(name: &str, path: &Path) -> (Killed, impl Iterator<Item = String>) {
    let mut child = this_program(name, path.to_str().unwrap()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "READY"), "the other process did not get ready");
    (Killed(child), lines)
}

/// Tells the other process's test, past the test harness.
fn tell(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").unwrap();
    out.flush().unwrap();
}

#[test]
fn a_directory_is_open_in_one_process() {
    if let Some(path) = role() {
        let db = Database::open(Path::new(&path)).unwrap();
        tell("\nREADY");
        std::thread::sleep(2 * support::LIMIT);
        drop(db);
        return;
    }
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let (holder, _) = holder("lifecycle::a_directory_is_open_in_one_process", &path);
    let pid = holder.0.id().to_string();
    for error in [open(&path).map(drop), Database::builder(&path).no_log().open_standalone().map(drop)] {
        let error = error.unwrap_err();
        assert!(matches!(&error, Error::InUse { holder, .. } if holder.contains(&pid)), "{error}");
    }
    drop(holder);
    open(&path).unwrap().close().unwrap();
}

#[test]
fn a_killed_process_loses_nothing() {
    if let Some(path) = role() {
        let db = Database::open(Path::new(&path)).unwrap();
        let mut client = db.connect().unwrap();
        client.batch_execute("CREATE TABLE t (a int PRIMARY KEY)").unwrap();
        tell("\nREADY");
        for i in 1.. {
            client.execute("INSERT INTO t VALUES ($1)", &[&i]).unwrap();
            tell(&i.to_string());
        }
    }
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let (mut writer, mut lines) = holder("lifecycle::a_killed_process_loses_nothing", &path);
    let mut committed = 0;
    for line in lines.by_ref().take(40) {
        committed = line.parse::<i64>().unwrap();
    }
    writer.0.kill().unwrap();
    writer.0.wait().unwrap();
    committed = lines.filter_map(|line| line.parse().ok()).last().unwrap_or(committed);
    assert!(committed >= 40);
    let lock = path.join("postmaster.pid");
    let left = std::fs::read_to_string(&lock).unwrap();

    // The pid belongs to somebody else today.
    let mut somebody = Killed(Command::new("sleep").arg("600").spawn().unwrap());
    let (_, rest) = left.split_once('\n').unwrap();
    std::fs::write(&lock, format!("{}\n{rest}", somebody.0.id())).unwrap();
    let db = open(&path).unwrap();
    let row = db.connect().unwrap().query_one("SELECT count(*), max(a)::bigint FROM t", &[]).unwrap();
    let (count, last): (i64, i64) = (row.get(0), row.get(1));
    assert_eq!(count, last, "no row is missing in between");
    // One more may have been committed without being told.
    assert!(count == committed || count == committed + 1, "{committed} rows were committed, {count} are there");
    db.close().unwrap();
    assert!(somebody.0.try_wait().unwrap().is_none(), "nobody was harmed");
}

#[test]
fn a_server_that_works_in_the_directory_is_respected() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    open(&path).unwrap().close().unwrap();
    let server = Killed(Command::new("sleep").arg("600").current_dir(&path).spawn().unwrap());
    let lock = path.join("postmaster.pid");
    std::fs::write(&lock, format!("{}\n{}\n0\n5432\n\n\n\n", server.0.id(), path.display())).unwrap();
    let error = open(&path).unwrap_err();
    let pid = server.0.id().to_string();
    assert!(matches!(&error, Error::InUse { holder, .. } if holder.contains(&pid)), "{error}");
    drop(server);
    open(&path).unwrap().close().unwrap();
}

#[test]
fn a_crash_of_the_process_between_two_opens_of_its_own_pid() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    open(&path).unwrap().close().unwrap();
    // In a container the next process may well have the pid of the one that crashed.
    let lock = path.join("postmaster.pid");
    std::fs::write(&lock, format!("{}\n{}\n0\n5432\n\n\n\n", std::process::id(), path.display())).unwrap();
    open(&path).unwrap().close().unwrap();
    assert!(!lock.exists());
}

#[test]
fn a_directory_can_be_looked_at() {
    let db = support::directory_with(|b| b);
    let info = libpglite::info(db.path()).unwrap();
    assert_eq!((info.version.as_str(), info.state, info.databases), ("18", "in production", 3));
    assert!(info.holder.unwrap().contains(&std::process::id().to_string()));
    let row = db.connect().unwrap().query_one("SELECT system_identifier FROM pg_control_system()", &[]).unwrap();
    assert_eq!(info.system_identifier as i64, row.get::<_, i64>(0));
    assert!(libpglite::info(db.path().join("base")).is_err());
    db.close();
}
