//! Bytes in, bytes out.

use crate::support::{ask, fresh, rows};

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    draft::message(kind, body)
}

#[test]
fn the_greeting_ends_ready_for_a_query() {
    let (_folder, session) = fresh();
    assert!(session.greeting().ends_with(b"Z\0\0\0\x05I"));
    assert!(draft::messages(session.greeting()).any(|m| m == (b'S', b"server_encoding\0UTF8\0")));
}

#[test]
fn errors_leave_the_session_as_it_was() {
    let (_folder, mut session) = fresh();
    for _ in 0..300 {
        assert!(ask(&mut session, "SELECT 1/0").unwrap_err().starts_with("22012"));
    }
    let caught = "DO $$ BEGIN BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN NULL; END; END $$";
    for _ in 0..300 {
        ask(&mut session, caught).unwrap();
    }
    assert_eq!(ask(&mut session, "SELECT 2").unwrap(), "2");
}

#[test]
fn messages_may_come_a_byte_at_a_time() {
    let (_folder, mut session) = fresh();
    let mut bytes = message(b'P', b"\0SELECT $1::int + 1\0\0\0");
    bytes.extend(message(b'B', b"\0\0\0\0\0\x01\0\0\0\x0241\0\0"));
    bytes.extend(message(b'E', b"\0\0\0\0\0"));
    bytes.extend(message(b'S', b""));
    let mut reply = Vec::new();
    for byte in &bytes {
        session.exchange(&[*byte], |bytes| reply.extend_from_slice(bytes)).unwrap();
    }
    assert_eq!(rows(&reply).unwrap(), [["42"]]);
}

#[test]
fn copy_from_stdin_may_span_calls() {
    let (_folder, mut session) = fresh();
    ask(&mut session, "CREATE TABLE t (a int, b text)").unwrap();
    let reply = session.simple_query("BEGIN; COPY t FROM STDIN").unwrap();
    assert!(reply.windows(5).any(|w| w == b"G\0\0\0\x0b"), "{reply:?}");
    let mut reply = Vec::new();
    for row in 0..1000 {
        let data = message(b'd', format!("{row}\ttext\n").as_bytes());
        session.exchange(&data[..3], |_| ()).unwrap();
        session.exchange(&data[3..], |_| ()).unwrap();
    }
    session.exchange(&message(b'c', b""), |bytes| reply.extend_from_slice(bytes)).unwrap();
    assert!(reply.windows(9).any(|w| w == b"COPY 1000"));
    assert_eq!(ask(&mut session, "COMMIT; SELECT sum(a) FROM t").unwrap(), "499500");
}

#[test]
fn a_fatal_error_tells_why_before_the_session_ends() {
    let (_folder, mut session) = fresh();
    let mut reply = Vec::new();
    let query = draft::query("SELECT pg_terminate_backend(pg_backend_pid())");
    assert!(session.exchange(&query, |bytes| reply.extend_from_slice(bytes)).is_err());
    assert!(rows(&reply).unwrap_err().starts_with("57P01"), "{reply:?}");
    assert!(session.exchange(b"", |_| ()).is_err());
    session.restart(None, "postgres", &[], &[]).unwrap();
    assert_eq!(ask(&mut session, "SELECT 1").unwrap(), "1");
}

#[test]
fn users_databases_and_settings_are_those_of_the_session() {
    let (_folder, mut session) = fresh();
    ask(&mut session, "CREATE ROLE alice LOGIN; ALTER ROLE alice SET work_mem = '3MB'").unwrap();
    ask(&mut session, "CREATE DATABASE other").unwrap();
    let parameters = [("application_name".to_owned(), "test".to_owned())];
    session.restart(Some("alice"), "other", &parameters, &[]).unwrap();
    let sql = "SELECT concat_ws(' ', session_user, current_database(), current_setting('application_name'), current_setting('work_mem'))";
    assert_eq!(ask(&mut session, sql).unwrap(), "alice other test 3MB");
    // No way leads back to the superuser.
    assert!(ask(&mut session, "SET SESSION AUTHORIZATION postgres").unwrap_err().starts_with("42501"));
    ask(&mut session, "RESET SESSION AUTHORIZATION").unwrap();
    assert_eq!(ask(&mut session, "SELECT session_user").unwrap(), "alice");
    let refused = session.restart(Some("nobody"), "other", &[], &[]).unwrap_err();
    assert!(refused.to_string().contains("nobody"), "{refused}");
}

#[test]
fn listen_and_event_triggers_and_objects_of_users() {
    let (_folder, mut session) = fresh();
    ask(&mut session, "LISTEN channel").unwrap();
    let reply = session.simple_query("NOTIFY channel, 'hello'").unwrap();
    assert!(draft::messages(&reply).any(|(kind, _)| kind == b'A'), "{reply:?}");
    ask(&mut session, "CREATE TABLE log (tag text)").unwrap();
    let sql = "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (tg_tag); END $$; \
               CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION f()";
    ask(&mut session, sql).unwrap();
    ask(&mut session, "CREATE TABLE fires ()").unwrap();
    assert_eq!(ask(&mut session, "SELECT tag FROM log").unwrap(), "CREATE TABLE");
    assert_eq!(ask(&mut session, "SELECT 'fires'::regclass::oid >= 16384").unwrap(), "t");
}

#[test]
fn extensions_are_linked_in() {
    let (_folder, mut session) = fresh();
    let names = ask(&mut session, "SELECT string_agg(name, ' ' ORDER BY name) FROM pg_available_extensions").unwrap();
    for name in names.split(' ').filter(|name| !["plpgsql", "earthdistance"].contains(name)) {
        ask(&mut session, &format!("CREATE EXTENSION IF NOT EXISTS \"{name}\" CASCADE"))
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    assert!(names.split(' ').count() > 30, "{names}");
    assert_eq!(ask(&mut session, "SELECT 'a=>1'::hstore -> 'a'").unwrap(), "1");
    assert_eq!(ask(&mut session, "SELECT to_tsvector('english', 'the running dogs')").unwrap(), "'dog':3 'run':2");
    assert_eq!(ask(&mut session, "SELECT convert_from('\\xe9', 'LATIN1')").unwrap(), "é");
    // The largest tables, each in a file.
    for (bytes, encoding, text) in [
        ("a4a4", "BIG5", "中"),
        ("82a0", "SJIS", "あ"),
        ("a4a2", "EUC_JP", "あ"),
        ("d6d0", "GB18030", "中"),
        ("b0a1", "UHC", "가"),
        ("c0", "WIN1251", "А"),
        ("a4a2", "EUC_JIS_2004", "あ"),
    ] {
        let sql = format!("SELECT convert_from('\\x{bytes}', '{encoding}')");
        assert_eq!(ask(&mut session, &sql).as_deref(), Ok(text), "{encoding}");
        let sql = format!("SELECT encode(convert_to('{text}', '{encoding}'), 'hex')");
        assert_eq!(ask(&mut session, &sql).as_deref(), Ok(bytes), "{encoding}");
    }
    assert_eq!(ask(&mut session, "SELECT similarity('word', 'words') > 0.5").unwrap(), "t");
}
