//! The program forks: the child has no engine, and hears so at once.

use crate::support::isolated;
use libpglite::{Database, Error};

/// Forks; the child's `work` says whether all was well.
fn in_child(work: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child has only this thread, and ends with `_exit` whatever happens.
    unsafe {
        match libc::fork() {
            0 => {
                let well = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(false);
                libc::_exit(i32::from(!well));
            }
            child => {
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
                status == 0
            }
        }
    }
}

fn forked<T>(result: libpglite::Result<T>) -> bool {
    match result {
        Err(Error::Forked) => true,
        Err(error) => {
            eprintln!("not what was expected: {error:?}");
            false
        }
        Ok(_) => false,
    }
}

#[test]
fn a_child_is_told() {
    isolated(|| {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::builder(folder.path().join("data")).no_log().open().unwrap();
        let mut client = db.connect().unwrap();
        let mut session = Database::builder(":memory:").no_log().open_standalone().unwrap();
        let well = in_child(|| forked(db.connect()) && forked(db.stream()) && forked(session.simple_query("SELECT 1")));
        assert!(well);
        // Dropping and closing in a child harms nobody.
        let mut pair = Some((db, session));
        assert!(in_child(|| {
            let (db, session) = pair.take().unwrap();
            let well = forked(db.close());
            drop(session);
            well
        }));
        let (db, mut session) = pair.unwrap();
        client.batch_execute("CREATE TABLE t (a int)").unwrap();
        session.simple_query("SELECT 1").unwrap();
        // Still locked: the child's copy of the lock was not the one to let go.
        assert!(matches!(Database::open(db.path()).map(drop), Err(Error::InUse { .. })));
        session.close().unwrap();
        db.close().unwrap();
    });
}

#[test]
fn a_child_can_open_its_own() {
    isolated(|| {
        let db = Database::builder(":memory:").no_log().open().unwrap();
        assert!(in_child(|| {
            let own = Database::builder(":memory:").no_log().open().unwrap();
            let row = own.connect().unwrap().query_one("SELECT 42", &[]).unwrap();
            own.close().unwrap();
            row.get::<_, i32>(0) == 42
        }));
        db.connect().unwrap().simple_query("SELECT 1").unwrap();
        db.close().unwrap();
    });
}
