//! New clusters, which are used before they are whole.

use crate::support::{ask, engine, fresh};
use std::path::Path;
use wasm_host::{Options, Session};

const MARKER: &str = "libpglite.unfinished";

fn files(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for database in std::fs::read_dir(path.join("base")).unwrap() {
        let database = database.unwrap();
        for file in std::fs::read_dir(database.path()).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            // Made by the session.
            if name != "pg_internal.init" {
                found.push(format!("{}/{name}", database.file_name().display()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_committed_is_in_a_cluster_that_is_whole_and_on_the_disk() {
    let (folder, mut session) = fresh();
    ask(&mut session, "CREATE TABLE t (a int)").unwrap();
    assert!(!folder.path().join(MARKER).exists(), "a commit was acknowledged before the cluster was on the disk");
    ask(&mut session, "DROP TABLE t; CHECKPOINT").unwrap();
    session.close().unwrap();
    assert_eq!(files(folder.path()), files(&engine().modules().folder().join("root/template")));
}

#[test]
fn every_database_of_a_new_cluster_can_be_used_at_once() {
    let template = engine().modules().folder().join("root/template");
    let count = files(&template).iter().filter(|file| file.starts_with("1/")).count();
    let (_folder, mut session) = fresh();
    // A listing of another database's directory, and reading its files, wait for them.
    let sql = "SELECT count(*) FROM pg_ls_dir('base/1') name WHERE name <> 'pg_internal.init'";
    assert_eq!(ask(&mut session, sql).unwrap(), count.to_string());
    let (_folder, mut session) = fresh();
    assert_eq!(ask(&mut session, "SELECT length(pg_read_file('base/4/PG_VERSION'))").unwrap(), "3");
    let (_folder, mut session) = fresh();
    session.restart(None, "template1", &[], &[]).unwrap();
    assert_eq!(ask(&mut session, "SELECT count(*) > 1000 FROM pg_proc").unwrap(), "t");
    let (_folder, mut session) = fresh();
    ask(&mut session, "CREATE DATABASE other TEMPLATE template0").unwrap();
    session.restart(None, "other", &[], &[]).unwrap();
    assert_eq!(ask(&mut session, "SELECT count(*) > 1000 FROM pg_proc").unwrap(), "t");
}

#[test]
fn what_a_crash_of_the_machine_left_unfinished_is_made_again() {
    for marker in ["", "another-boot\n", "another-boot CHECKPOINT\n"] {
        let (folder, mut session) = fresh();
        ask(&mut session, "CREATE TABLE t (a int)").unwrap();
        session.close().unwrap();
        let control = std::fs::read(folder.path().join("global/pg_control")).unwrap();
        let checkpoint = u64::from_le_bytes(control[32..40].try_into().unwrap());
        let marker = marker.replace("CHECKPOINT", &format!("{checkpoint:X}"));
        std::fs::write(folder.path().join(MARKER), marker).unwrap();
        std::fs::remove_file(folder.path().join("base/1/1259")).unwrap();
        let mut session = Session::open(engine(), &Options::new(folder.path())).unwrap();
        assert!(ask(&mut session, "SELECT * FROM t").is_err(), "it is a new one");
        ask(&mut session, "CREATE TABLE t (a int)").unwrap();
        assert!(folder.path().join("base/1/1259").exists());
    }
}

#[test]
fn what_is_all_there_is_kept_and_brought_to_the_disk() {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    // The last: somebody else has used it since.
    for marker in [boot.clone(), format!("{} 28\n", boot.trim()), "another-boot 28\n".into()] {
        let (folder, mut session) = fresh();
        ask(&mut session, "CREATE TABLE t (a int)").unwrap();
        // As in a crash of the process: the session that recovers makes a checkpoint.
        drop(session);
        std::fs::write(folder.path().join(MARKER), &marker).unwrap();
        let mut session = Session::open(engine(), &Options::new(folder.path())).unwrap();
        assert!(!folder.path().join(MARKER).exists(), "{marker}");
        assert_eq!(ask(&mut session, "SELECT count(*) FROM t").unwrap(), "0", "{marker}");
    }
}

#[test]
fn a_crash_of_the_process_right_after_the_start_loses_nothing() {
    let (folder, mut session) = fresh();
    ask(&mut session, "SET synchronous_commit = off; CREATE TABLE t (a int)").unwrap();
    drop(session);
    let mut session = Session::open(engine(), &Options::new(folder.path())).unwrap();
    // Whether the table is there depends on when the log was written; the cluster is whole in any case.
    ask(&mut session, "CREATE TABLE IF NOT EXISTS t (a int); INSERT INTO t VALUES (1)").unwrap();
    assert!(!folder.path().join(MARKER).exists());
}
