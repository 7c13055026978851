//! The WebAssembly engine behind the same interface. `cargo xtask wasm` runs these tests.

use libpglite::{Access, Builder, Database, Engine, Error, Identity, Standalone};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;

fn builder(path: impl AsRef<Path>) -> Builder {
    Database::builder(path.as_ref()).engine(Engine::Wasm).no_log()
}

fn fresh() -> (TempDir, Standalone) {
    let folder = tempfile::tempdir().unwrap();
    let session = builder(folder.path()).open_standalone().unwrap();
    (folder, session)
}

/// The messages of a reply.
fn messages(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut all = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        all.push((*kind, &rest[4..length]));
        bytes = &rest[length..];
    }
    all
}

/// The first value of a reply, or the error's SQLSTATE and text.
fn value(reply: &[u8]) -> Result<String, String> {
    let mut found = String::new();
    for (kind, body) in messages(reply) {
        match kind {
            b'E' => {
                let field = |which| body.split(|b| *b == 0).find(|f| f.first() == Some(&which)).map(|f| &f[1..]);
                let text = |which| String::from_utf8_lossy(field(which).unwrap_or_default()).into_owned();
                return Err(format!("{} {}", text(b'C'), text(b'M')));
            }
            b'D' if found.is_empty() => {
                let length = i32::from_be_bytes(body[2..6].try_into().unwrap());
                let length = usize::try_from(length).unwrap_or_default();
                found = String::from_utf8_lossy(&body[6..6 + length]).into_owned();
            }
            _ => {}
        }
    }
    Ok(found)
}

fn ask(session: &mut Standalone, sql: &str) -> Result<String, String> {
    value(&session.simple_query(sql).map_err(|e| e.to_string())?)
}

#[test]
fn it_is_the_same_interface() {
    let (folder, mut session) = fresh();
    assert_eq!(session.path(), folder.path().canonicalize().unwrap());
    assert!(
        messages(session.greeting()).iter().any(|(kind, body)| *kind == b'S' && body.starts_with(b"server_version\0"))
    );
    assert!(session.greeting().ends_with(b"Z\0\0\0\x05I"));
    assert!(ask(&mut session, "SELECT version()").unwrap().contains("wasm32"));
    ask(&mut session, "CREATE ROLE guest LOGIN").unwrap();
    ask(&mut session, "CREATE DATABASE other").unwrap();

    let settings = vec![("work_mem".to_owned(), "5MB".to_owned())];
    let identity = Identity { user: Some("guest".into()), database: "other".into(), settings };
    session.restart(&identity, &[("application_name".into(), "me".into())]).unwrap();
    let sql = "SELECT concat_ws(' ', session_user, current_database(), current_setting('work_mem'), current_setting('application_name'))";
    assert_eq!(ask(&mut session, sql).unwrap(), "guest other 5MB me");
    let nobody = Identity { user: Some("nobody".into()), ..identity };
    assert!(matches!(session.restart(&nobody, &[]), Err(Error::Startup { .. })));
    assert!(matches!(session.exchange(b"", |_| ()), Err(Error::Ended(_))));
    session.restart(&Identity { database: "postgres".into(), ..Identity::default() }, &[]).unwrap();
    assert_eq!(ask(&mut session, "SELECT session_user").unwrap(), "postgres");

    let canceller = session.canceller().unwrap();
    let done = AtomicBool::new(false);
    let cancelled = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                canceller.cancel();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let cancelled = ask(&mut session, "SELECT pg_sleep(1000)");
        done.store(true, Ordering::SeqCst);
        cancelled.unwrap_err()
    });
    assert!(cancelled.starts_with("57014"), "{cancelled}");
    session.close().unwrap();
}

#[test]
fn several_databases_live_in_one_process_beside_native_ones() {
    let native = std::thread::spawn(|| {
        let mut session = Database::builder(":memory:").no_log().open_standalone().unwrap();
        ask(&mut session, "SELECT version()").unwrap()
    });
    let threads: Vec<_> = (0..3)
        .map(|number| {
            std::thread::spawn(move || {
                let (folder, mut session) = fresh();
                ask(&mut session, &format!("CREATE TABLE t AS SELECT {number} AS n")).unwrap();
                (folder, session, number)
            })
        })
        .collect();
    for thread in threads {
        // It can be used on another thread than that which made it.
        let (_folder, mut session, number) = thread.join().unwrap();
        assert_eq!(ask(&mut session, "SELECT n FROM t").unwrap(), number.to_string());
    }
    assert!(!native.join().unwrap().contains("wasm32"));
}

#[test]
fn a_session_that_is_dropped_is_recovered() {
    let (folder, mut session) = fresh();
    ask(&mut session, "CREATE TABLE t AS SELECT generate_series(1, 1000)").unwrap();
    for round in 0..3 {
        ask(&mut session, "BEGIN; DELETE FROM t").unwrap();
        drop(session);
        session = builder(folder.path()).existing_only().open_standalone().unwrap();
        assert_eq!(ask(&mut session, "SELECT count(*) FROM t").unwrap(), "1000", "round {round}");
    }
}

#[test]
fn a_trap_costs_the_session_and_nothing_else() {
    let (_folder, mut other) = fresh();
    let (_own, mut session) = fresh();
    ask(&mut session, "CREATE TABLE t AS SELECT 1 AS n").unwrap();
    // What a bug in C would do: a number is taken for an address, beyond the end of the memory.
    ask(&mut session, "CREATE FUNCTION trap(int, int) RETURNS text LANGUAGE internal AS 'textcat'").unwrap();
    let trap = session.simple_query("SELECT trap(-1, -1)");
    assert!(matches!(&trap, Err(Error::Ended(text)) if text.contains("out of bounds")), "{trap:?}");
    assert!(matches!(session.simple_query("SELECT 1"), Err(Error::Ended(_))));
    assert_eq!(ask(&mut other, "SELECT 2").unwrap(), "2");
    let home = Identity { database: "postgres".into(), ..Identity::default() };
    session.restart(&home, &[]).unwrap();
    assert_eq!(ask(&mut session, "SELECT n FROM t").unwrap(), "1");
    // A FATAL error ends a session as well, after it has said why.
    let mut said = Vec::new();
    let message = b"Q\0\0\0\x32SELECT pg_terminate_backend(pg_backend_pid())\0";
    assert!(session.exchange(message, |bytes| said.extend_from_slice(bytes)).is_err());
    assert!(value(&said).unwrap_err().starts_with("57P01"));
}

#[test]
fn a_superuser_cannot_leave_the_directory() {
    let (_folder, mut session) = fresh();
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "x").unwrap();
    for sql in [
        "SELECT pg_read_file('/etc/passwd')".to_owned(),
        "SELECT pg_read_file('../../../../../../etc/passwd')".into(),
        "CREATE TABLE p (l text); COPY p FROM '/etc/passwd'".into(),
        "SELECT pg_ls_dir('/')".into(),
        format!("SELECT pg_read_file('{}')", secret.display()),
        format!("COPY (SELECT 1) TO '{}'", outside.path().join("new").display()),
        format!("SELECT lo_export(lo_from_bytea(0, 'x'), '{}')", outside.path().join("new").display()),
        "COPY (SELECT 1) TO PROGRAM 'touch /tmp/pglite-was-here'".into(),
        "LOAD '/lib/x86_64-linux-gnu/libc.so.6'".into(),
    ] {
        assert!(ask(&mut session, &sql).is_err(), "{sql}");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn a_directory_can_be_allowed() {
    let (folder, session) = fresh();
    session.close().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let outside = outside.path().canonicalize().unwrap();
    fs::write(outside.join("given"), "7\n").unwrap();
    let read = format!("SELECT pg_read_file('{}/given')", outside.display());
    let write = format!("COPY (SELECT 42) TO '{}/made'", outside.display());

    let mut session = builder(folder.path()).allow_path(&outside, Access::Read).open_standalone().unwrap();
    assert_eq!(ask(&mut session, &read).unwrap(), "7\n");
    assert!(ask(&mut session, &write).is_err());
    session.close().unwrap();
    let mut session = builder(folder.path()).allow_path(&outside, Access::ReadWrite).open_standalone().unwrap();
    ask(&mut session, &write).unwrap();
    assert_eq!(fs::read_to_string(outside.join("made")).unwrap(), "42\n");
    session.close().unwrap();
    let file = builder(folder.path()).allow_path(outside.join("given"), Access::Read).open_standalone();
    assert!(file.unwrap_err().to_string().contains("directories only"));
}

#[test]
fn a_directory_has_one_session_of_any_engine() {
    let (folder, session) = fresh();
    let second = builder(folder.path()).open_standalone();
    assert!(matches!(second, Err(Error::InUse { .. })), "{second:?}");
    assert!(libpglite::info(folder.path()).unwrap().holder.is_some());
    session.close().unwrap();
    assert_eq!(libpglite::info(folder.path()).unwrap().holder, None);
}

#[test]
fn directories_of_the_engines_are_told_apart() {
    let (wasm, session) = fresh();
    session.close().unwrap();
    let native = tempfile::tempdir().unwrap();
    Database::builder(native.path()).no_log().open().unwrap().close().unwrap();
    assert_eq!(libpglite::info(wasm.path()).unwrap().engine, Engine::Wasm);
    assert_eq!(libpglite::info(native.path()).unwrap().engine, Engine::Native);

    let wrong = [
        Database::builder(wasm.path()).no_log().open().map(drop),
        Database::builder(wasm.path()).no_log().open_standalone().map(drop),
        builder(native.path()).open_standalone().map(drop),
    ];
    for result in wrong {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::OtherEngine { .. }), "{error:?}");
        assert!(error.to_string().contains("pglite pg_dumpall"), "{error}");
    }
    // Neither was changed.
    Database::builder(native.path()).no_log().open().unwrap().close().unwrap();
    builder(wasm.path()).open_standalone().unwrap().close().unwrap();
}

#[test]
fn memory_is_a_folder_that_is_removed() {
    let mut session = builder(":memory:").open_standalone().unwrap();
    assert_eq!(ask(&mut session, "SELECT 1").unwrap(), "1");
    let path = session.path().to_owned();
    assert!(path.join("PG_VERSION").exists());
    session.close().unwrap();
    assert!(!path.exists());
}

#[test]
fn what_it_cannot_do_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let refused = |result: libpglite::Result<()>, words: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(!path.exists());
    };
    let open = |builder: Builder| builder.open_standalone().map(drop);
    refused(builder(&path).open().map(drop), "open_standalone");
    refused(open(builder(&path).listen_socket("/tmp")), "--standalone");
    refused(open(builder(&path).allow_network(true)), "network");
    refused(open(builder(&path).allow_programs(true)), "programs");
    refused(open(builder(&path).locale("de_DE.UTF-8")), "C.UTF-8");
    refused(open(builder(&path).user("alice")), "CREATE ROLE");
    refused(open(builder(&path).existing_only()), "PG_VERSION");
    refused(open(builder(&path).setting("port = 1; x", "1")), "not the name of a setting");
    let unknown = open(builder(&path).setting("no_such", "1")).unwrap_err();
    assert!(matches!(unknown, Error::Setting(_)), "{unknown:?}");
    fs::write(folder.path().join("mine"), "").unwrap();
    assert!(matches!(open(builder(folder.path())), Err(Error::NotACluster(_))));
    assert!(matches!(open(builder(folder.path().join("mine"))), Err(Error::NotADirectory(_))));
}
