//! One session on the caller's thread, by the bytes of the wire protocol.

use crate::support::{guard, until};
use libpglite::{Builder, Database, Error, Standalone};

fn builder() -> Builder {
    Database::builder(":memory:").no_log()
}

fn open() -> Standalone {
    builder().open_standalone().unwrap()
}

/// The messages of a reply; all must be whole.
fn messages(mut bytes: &[u8]) -> Vec<(char, &[u8])> {
    let mut all = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        all.push((char::from(*kind), &rest[4..length]));
        bytes = &rest[length..];
    }
    all
}

fn kinds(bytes: &[u8]) -> String {
    messages(bytes).iter().map(|(kind, _)| *kind).collect()
}

/// The first column of each row.
fn column(bytes: &[u8]) -> Vec<String> {
    let rows = messages(bytes).into_iter().filter(|(kind, _)| *kind == 'D');
    rows.map(|(_, row)| {
        let length = u32::from_be_bytes(row[2..6].try_into().unwrap()) as usize;
        String::from_utf8(row[6..6 + length].to_vec()).unwrap()
    })
    .collect()
}

/// The SQLSTATE of the reply's error.
fn code(bytes: &[u8]) -> Option<String> {
    let all = messages(bytes);
    let (_, error) = all.iter().find(|(kind, _)| *kind == 'E')?;
    let field = error.split(|b| *b == 0).find(|f| f.first() == Some(&b'C'))?;
    Some(String::from_utf8(field[1..].to_vec()).unwrap())
}

fn message(kind: char, body: &[u8]) -> Vec<u8> {
    let mut all = vec![kind as u8];
    all.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    all.extend_from_slice(body);
    all
}

fn query(sql: &str) -> Vec<u8> {
    message('Q', format!("{sql}\0").as_bytes())
}

/// Parse, bind one text parameter, describe, execute, sync.
fn extended(sql: &str, parameter: &str) -> Vec<u8> {
    let bind = [b"\0\0\0\0\0\x01".as_slice(), &(parameter.len() as u32).to_be_bytes(), parameter.as_bytes(), b"\0\0"];
    [
        message('P', format!("\0{sql}\0\0\0").as_bytes()),
        message('B', &bind.concat()),
        message('D', b"P\0"),
        message('E', b"\0\0\0\0\0"),
        message('S', b""),
    ]
    .concat()
}

fn exchange(session: &mut Standalone, input: &[u8]) -> Vec<u8> {
    let mut reply = Vec::new();
    session.exchange(input, |bytes| reply.extend_from_slice(bytes)).unwrap();
    reply
}

#[test]
fn greeting_and_simple_queries() {
    let _guard = guard();
    let mut session = open();
    let greeting = messages(session.greeting());
    assert_eq!(greeting.last(), Some(&('Z', b"I".as_slice())));
    let version = format!("server_version\0{}\0", libpglite::postgres_version());
    assert!(greeting.contains(&('S', version.as_bytes())), "{greeting:?}");
    assert!(greeting.contains(&('S', b"client_encoding\0UTF8\0")), "{greeting:?}");

    let reply = session.simple_query("SELECT 'hello' UNION ALL SELECT 'world'").unwrap();
    assert_eq!(kinds(&reply), "TDDCZ");
    assert_eq!(column(&reply), ["hello", "world"]);
    let reply = session.simple_query("CREATE TABLE t (a int); INSERT INTO t VALUES (1); SELECT a FROM t").unwrap();
    assert_eq!(kinds(&reply), "CCTDCZ");
    assert_eq!(kinds(&session.simple_query("").unwrap()), "IZ");
    session.close().unwrap();
}

#[test]
fn an_error_leaves_the_session_usable() {
    let _guard = guard();
    let mut session = open();
    for _ in 0..100 {
        let reply = session.simple_query("SELECT 1/0").unwrap();
        assert_eq!(code(&reply).as_deref(), Some("22012"));
        assert!(kinds(&reply).ends_with("EZ"));
    }
    let reply = session.simple_query("BEGIN; SELECT nothing").unwrap();
    assert_eq!(code(&reply).as_deref(), Some("42703"));
    assert_eq!(messages(&reply).last(), Some(&('Z', b"E".as_slice())));
    assert_eq!(code(&session.simple_query("SELECT 1").unwrap()).as_deref(), Some("25P02"));
    session.simple_query("ROLLBACK").unwrap();
    assert_eq!(column(&session.simple_query("SELECT 1").unwrap()), ["1"]);
    session.close().unwrap();
}

#[test]
fn extended_queries() {
    let _guard = guard();
    let mut session = open();
    let reply = exchange(&mut session, &extended("SELECT upper($1::text)", "abc"));
    assert_eq!(kinds(&reply), "12TDCZ");
    assert_eq!(column(&reply), ["ABC"]);
    // After an error all is skipped up to the sync.
    let reply = exchange(&mut session, &extended("SELECT 1 / $1::int", "0"));
    assert_eq!(code(&reply).as_deref(), Some("22012"));
    assert!(kinds(&reply).ends_with("EZ"));
    assert_eq!(column(&exchange(&mut session, &extended("SELECT $1::int + 1", "41"))), ["42"]);
    session.close().unwrap();
}

#[test]
fn input_can_come_in_any_pieces() {
    let _guard = guard();
    let script = [
        query("CREATE TABLE t (a text)"),
        extended("INSERT INTO t VALUES ($1)", "one"),
        query("COPY t FROM STDIN"),
        message('d', b"two\nth"),
        message('d', b"ree\n"),
        message('c', b""),
        query("SELECT a FROM t; SELECT 1/0"),
        extended("SELECT count(*) FROM t WHERE a < $1", "zzz"),
    ]
    .concat();
    let whole = exchange(&mut open(), &script);
    assert_eq!(column(&whole), ["one", "two", "three", "3"]);
    for size in [1, 2, 3, 7, 64] {
        let mut session = open();
        let pieces: Vec<u8> = script.chunks(size).flat_map(|piece| exchange(&mut session, piece)).collect();
        assert!(pieces == whole, "in pieces of {size}");
        session.close().unwrap();
    }
    // Nothing at all is a piece as well.
    let mut session = open();
    assert!(exchange(&mut session, b"").is_empty());
    session.close().unwrap();
}

#[test]
fn copy_in_over_many_calls() {
    let _guard = guard();
    let mut session = open();
    session.simple_query("CREATE TABLE t (a int)").unwrap();
    assert_eq!(kinds(&exchange(&mut session, &query("COPY t FROM STDIN"))), "G");
    for i in 0..1000 {
        assert!(exchange(&mut session, &message('d', format!("{i}\n").as_bytes())).is_empty());
    }
    assert_eq!(kinds(&exchange(&mut session, &message('c', b""))), "CZ");
    assert_eq!(column(&session.simple_query("SELECT sum(a) FROM t").unwrap()), ["499500"]);
    // One that is called off.
    exchange(&mut session, &query("COPY t FROM STDIN"));
    let reply = exchange(&mut session, &message('f', b"changed my mind\0"));
    assert_eq!(code(&reply).as_deref(), Some("57014"));
    session.close().unwrap();
}

#[test]
fn a_session_moves_between_threads() {
    let _guard = guard();
    let mut session = open();
    session.simple_query("CREATE TABLE t (a int); BEGIN").unwrap();
    for i in 0..20 {
        session = std::thread::spawn(move || {
            // Errors jump, and a jump knows its thread.
            session.simple_query("SAVEPOINT s; SELECT 1/0").unwrap();
            session.simple_query("ROLLBACK TO s").unwrap();
            session.simple_query(&format!("INSERT INTO t VALUES ({i})")).unwrap();
            session
        })
        .join()
        .unwrap();
    }
    session.simple_query("COMMIT").unwrap();
    assert_eq!(column(&session.simple_query("SELECT count(*) FROM t").unwrap()), ["20"]);
    std::thread::spawn(move || session.close().unwrap()).join().unwrap();
}

#[test]
fn another_thread_cancels() {
    let _guard = guard();
    let mut session = open();
    for sql in ["SELECT pg_sleep(3600)", "SELECT sum(a::numeric) FROM generate_series(1, 100000000000) a"] {
        let canceller = session.canceller().unwrap();
        let reply = std::thread::scope(|scope| {
            let session = &mut session;
            let running = scope.spawn(move || session.simple_query(sql).unwrap());
            until("it is cancelled", || {
                canceller.cancel();
                running.is_finished()
            });
            running.join().unwrap()
        });
        assert_eq!(code(&reply).as_deref(), Some("57014"), "{sql}");
        assert_eq!(column(&session.simple_query("SELECT 1").unwrap()), ["1"]);
    }
    let canceller = session.canceller().unwrap();
    session.close().unwrap();
    // Nobody is there any more: nothing happens.
    canceller.cancel();
}

#[test]
fn statement_timeout() {
    let _guard = guard();
    let mut session = open();
    session.simple_query("SET statement_timeout = 20").unwrap();
    for sql in ["SELECT pg_sleep(3600)", "DO 'BEGIN LOOP END LOOP; END'"] {
        assert_eq!(code(&session.simple_query(sql).unwrap()).as_deref(), Some("57014"), "{sql}");
    }
    session.close().unwrap();
}

#[test]
fn a_large_reply_and_a_large_query() {
    let _guard = guard();
    let mut session = open();
    let reply = exchange(&mut session, &query("SELECT repeat('x', 1000000) FROM generate_series(1, 50)"));
    assert_eq!(kinds(&reply), format!("T{}CZ", "D".repeat(50)));
    assert!(column(&reply).iter().all(|text| text.len() == 1_000_000 && text.bytes().all(|b| b == b'x')));
    let long = "y".repeat(20_000_000);
    assert_eq!(column(&session.simple_query(&format!("SELECT length('{long}')")).unwrap()), ["20000000"]);
    session.close().unwrap();
}

#[test]
fn the_end_is_told() {
    let _guard = guard();
    let error = builder().open_standalone_in("none").map(drop).unwrap_err();
    assert!(error.to_string().contains("database \"none\" does not exist"), "{error}");
    let error = builder().listen_socket("/tmp").open_standalone().map(drop).unwrap_err();
    assert!(matches!(error, Error::Option(_)), "{error}");
    let error = builder().setting("shared_buffers", "lots").open_standalone().map(drop).unwrap_err();
    assert!(matches!(error, Error::Setting(_)), "{error}");

    let mut session = open();
    let error = session.exchange(&message('X', b""), |_| ()).unwrap_err();
    assert!(matches!(error, Error::Ended(_)), "{error}");
    assert!(matches!(session.simple_query("SELECT 1"), Err(Error::Ended(_))));
    assert!(session.canceller().is_err());
    session.close().unwrap();

    // A FATAL error: its message is in the output, and the end in the result.
    let mut session = open();
    let mut reply = Vec::new();
    let sql = query("SELECT pg_terminate_backend(pg_backend_pid())");
    let error = session.exchange(&sql, |bytes| reply.extend_from_slice(bytes)).unwrap_err();
    assert!(matches!(error, Error::Ended(_)), "{error}");
    assert_eq!(code(&reply).as_deref(), Some("57P01"));
}

#[test]
fn server_and_session_take_turns() {
    let _guard = guard();
    let folder = tempfile::tempdir().unwrap();
    let builder = || Database::builder(folder.path().join("data")).no_log();
    let mut session = builder().open_standalone().unwrap();
    session.simple_query("CREATE TABLE t (a int)").unwrap();
    session.close().unwrap();
    for i in 0..4 {
        let db = builder().open().unwrap();
        assert!(matches!(builder().open_standalone().map(drop), Err(Error::InUse { .. })));
        db.connect().unwrap().execute("INSERT INTO t VALUES ($1)", &[&i]).unwrap();
        db.close().unwrap();
        let mut session = builder().open_standalone().unwrap();
        assert!(matches!(builder().open().map(drop), Err(Error::InUse { .. })));
        let reply = session.simple_query("SELECT count(*) FROM t").unwrap();
        assert_eq!(column(&reply), [(2 * i + 1).to_string()]);
        session.simple_query("INSERT INTO t VALUES (0)").unwrap();
        // Closed or dropped.
        if i % 2 == 0 { session.close().unwrap() } else { drop(session) }
    }
}

#[test]
fn many_sessions_on_many_threads() {
    let _guard = guard();
    std::thread::scope(|scope| {
        for i in 0..8 {
            scope.spawn(move || {
                let mut sessions = [open(), open()];
                for session in &mut sessions {
                    session.simple_query(&format!("CREATE TABLE t AS SELECT {i} AS a")).unwrap();
                }
                for session in &mut sessions {
                    assert_eq!(column(&session.simple_query("SELECT a FROM t").unwrap()), [i.to_string()]);
                }
            });
        }
    });
}

#[test]
fn what_users_make_is_theirs_and_they_may_listen() {
    let mut session = open();
    let reply = exchange(&mut session, &query("LISTEN news; NOTIFY news, 'here'"));
    let all = messages(&reply);
    assert!(all.iter().any(|(kind, body)| *kind == 'A' && body.ends_with(b"news\0here\0")), "{}", kinds(&reply));
    // pg_dump takes extensions and casts below 16384 for PostgreSQL's own.
    let sql = "CREATE EXTENSION citext; SELECT min(oid::int8) >= 16384 FROM pg_extension WHERE extname = 'citext'";
    let reply = exchange(&mut session, &query(sql));
    assert_eq!(column(&reply), ["t"], "{}", kinds(&reply));
    session.close().unwrap();
}
