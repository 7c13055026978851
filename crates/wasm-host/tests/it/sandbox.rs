//! What SQL cannot reach.

use crate::support::{ask, engine, fresh};
use wasm_host::{Options, Session};

#[test]
fn a_superuser_sees_its_directory_and_nothing_else() {
    let (folder, mut session) = fresh();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "x").unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
    for path in ["/etc/passwd", "../../etc/passwd", "/data/../etc/passwd", "link/secret", "/data/link/secret"] {
        let error = ask(&mut session, &format!("SELECT pg_read_file('{path}')")).unwrap_err();
        assert!(!error.is_empty(), "{path}: {error}");
    }
    let secret = outside.path().join("secret");
    assert!(ask(&mut session, &format!("SELECT pg_read_file('{}')", secret.display())).is_err());
    assert!(ask(&mut session, "COPY (SELECT 1) TO PROGRAM 'true'").is_err());
    assert!(
        ask(&mut session, "COPY (SELECT 1) TO '/pglite/bin/postgres'").is_err(),
        "share files cannot be written to"
    );
    assert!(ask(&mut session, "LOAD '/data/mine.so'").is_err());
}

#[test]
fn a_directory_is_reached_where_it_is_mounted() {
    let (folder, session) = fresh();
    session.close().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path()).mount(outside.path(), "/outside", true);
    let mut session = Session::open(engine(), &options).unwrap();
    ask(&mut session, "COPY (SELECT 42) TO '/outside/file'").unwrap();
    assert_eq!(std::fs::read_to_string(outside.path().join("file")).unwrap(), "42\n");
}

#[test]
fn several_databases_live_in_one_process() {
    let threads: Vec<_> = (0..4)
        .map(|number| {
            std::thread::spawn(move || {
                let (_folder, mut session) = fresh();
                ask(&mut session, &format!("CREATE TABLE t AS SELECT {number} AS n")).unwrap();
                ask(&mut session, "SELECT n FROM t").unwrap()
            })
        })
        .collect();
    let all: Vec<String> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(all, ["0", "1", "2", "3"]);
}
