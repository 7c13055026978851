//! Opening, closing, crashing.

use crate::support::{ask, engine, fresh};
use wasm_host::{Error, Options, Session};

#[test]
fn what_was_committed_is_there_after_reopening() {
    let (folder, mut session) = fresh();
    ask(&mut session, "CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 1000)").unwrap();
    session.close().unwrap();
    let mut session = Session::open(engine(), &Options::new(folder.path())).unwrap();
    assert_eq!(ask(&mut session, "SELECT count(*) FROM t").unwrap(), "1000");
}

#[test]
fn a_session_that_is_dropped_is_a_crash_and_is_recovered() {
    let (folder, mut session) = fresh();
    ask(&mut session, "CREATE TABLE t (a int)").unwrap();
    ask(&mut session, "INSERT INTO t SELECT generate_series(1, 1000)").unwrap();
    ask(&mut session, "BEGIN; INSERT INTO t VALUES (0)").unwrap();
    drop(session);
    let mut session = Session::open(engine(), &Options::new(folder.path())).unwrap();
    assert_eq!(ask(&mut session, "SELECT count(*) FROM t").unwrap(), "1000");
}

#[test]
fn a_directory_in_use_is_locked() {
    let (folder, session) = fresh();
    let second = Session::open(engine(), &Options::new(folder.path()));
    assert!(matches!(second, Err(Error::InUse { .. })), "{second:?}");
    session.close().unwrap();
    Session::open(engine(), &Options::new(folder.path())).unwrap();
}

#[test]
fn clusters_have_identifiers_of_their_own() {
    let identifier = "SELECT system_identifier FROM pg_control_system()";
    let (_a, mut first) = fresh();
    let (_b, mut second) = fresh();
    assert_ne!(ask(&mut first, identifier).unwrap(), ask(&mut second, identifier).unwrap());
}

#[test]
fn a_directory_with_other_things_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "x").unwrap();
    let result = Session::open(engine(), &Options::new(folder.path()));
    assert!(matches!(result, Err(Error::Unusable { .. })), "{result:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_cluster_of_another_machine_is_refused_with_advice() {
    let (folder, session) = fresh();
    session.close().unwrap();
    // What tells them apart; the checksum is of no interest to whoever only looks. A server that is at work there keeps its lock file.
    let path = folder.path().join("global/pg_control");
    let mut control = std::fs::read(&path).unwrap();
    assert_eq!(control[248], 0);
    control[248] = 1;
    std::fs::write(&path, control).unwrap();
    std::fs::write(folder.path().join("postmaster.pid"), "1").unwrap();
    let open = || Session::open(engine(), &Options::new(folder.path()));
    let result = open();
    assert!(matches!(result, Err(Error::OtherEngine { .. })), "{result:?}");
    assert!(folder.path().join("postmaster.pid").exists());
    // The native engine left its marker, and a stock server took over: that such a cluster is whole only the native engine can tell.
    std::fs::write(folder.path().join("libpglite.unfinished"), "another-boot 0/1000028\n").unwrap();
    let result = open();
    assert!(matches!(result, Err(Error::OtherEngine { .. })), "{result:?}");
    assert!(folder.path().join("PG_VERSION").exists());
}

#[test]
fn a_hundred_sessions_leave_nothing_behind() {
    let (folder, session) = fresh();
    session.close().unwrap();
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    // Other tests of this process open and close as well: so it is asked for the least.
    let least = |f: &dyn Fn()| {
        (0..10)
            .map(|_| {
                f();
                descriptors()
            })
            .min()
            .unwrap()
    };
    let once = || Session::open(engine(), &Options::new(folder.path())).unwrap().close().unwrap();
    let before = least(&once);
    for _ in 0..40 {
        once();
    }
    assert!(least(&once) <= before + 30);
}
