//! What only a real session can show.

use crate::support::{kinds, open};
use draft::{IDB_HASDB, IDB_HASUSER, columns, message, messages, query};

#[test]
fn replies_of_any_size_and_requests_of_any_size() {
    let mut f = open(&[("PGL_CMA_MB", "24")]);
    let reply = f.exchange(&query("SELECT repeat('x', 10000000) FROM generate_series(1, 30)"));
    assert!(reply.len() > 300_000_000);
    assert_eq!(kinds(&reply), format!("T{}CZ", "D".repeat(30)));
    let long = query(&format!("SELECT length('{}')", "y".repeat(20_000_000)));
    let reply = f.exchange(&long);
    let (_, row) = messages(&reply).find(|(kind, _)| *kind == b'D').unwrap();
    assert_eq!(columns(row), [Some(b"20000000".as_slice())]);
    // A request of two pieces that no memory area could carry at once.
    let huge = query(&format!("SELECT length('{}')", "z".repeat(40_000_000)));
    let (first, second) = huge.split_at(huge.len() / 2);
    assert!(f.exchange(first).is_empty());
    assert_eq!(kinds(&f.exchange(second)), "TDCZ");
}

#[test]
fn copy_spans_calls_and_transports() {
    let mut f = open(&[]);
    f.exchange(&query("CREATE TABLE t (a int)"));
    assert_eq!(kinds(&f.exchange(&query("COPY t FROM STDIN"))), "G");
    for i in 0..100 {
        assert!(f.exchange(&message(b'd', format!("{i}\n").as_bytes())).is_empty());
    }
    std::fs::write(f.file(".in"), [message(b'd', b"1000\n"), message(b'c', b"")].concat()).unwrap();
    f.host.one();
    assert_eq!(kinds(&std::fs::read(f.file(".out")).unwrap()), "CZ");
    let reply = f.exchange(&query("SELECT sum(a) FROM t"));
    let (_, row) = messages(&reply).find(|(kind, _)| *kind == b'D').unwrap();
    assert_eq!(columns(row), [Some(b"5950".as_slice())]);
}

#[test]
fn the_repl_prints_what_psql_prints() {
    let mut f = open(&[]);
    let text = f.text(
        b"CREATE TABLE t (id int, name text);\nCOPY t FROM STDIN;\n1\tone\n2\t\\N\n\\.\n\
          SELECT id, name, id / 2.0 AS half FROM t ORDER BY id;\nSELECT 1; SELECT nothing\n  FROM t;\n\
          DO $$ BEGIN RAISE NOTICE 'hello; world'; END $$;\nINSERT INTO t VALUES (3, E'a\\nb') RETURNING *;\nCOPY t TO STDOUT;\nDELETE",
    );
    let expected = "\
CREATE TABLE
COPY 2
 id | name |          half          
----+------+------------------------
  1 | one  | 0.50000000000000000000
  2 |      | 1.00000000000000000000
(2 rows)

 ?column? 
----------
        1
(1 row)

ERROR:  column \"nothing\" does not exist
LINE 1: SELECT nothing
               ^
NOTICE:  hello; world
DO
 id | name 
----+------
  3 | a   +
    | b
(1 row)

INSERT 0 1
1\tone
2\t\\N
3\ta\\nb
";
    assert_eq!(text, expected);
    assert_eq!(f.text(b" FROM t;\n"), "DELETE 3\n");
    assert_eq!(f.text(b"LISTEN x;"), "LISTEN\n");
}

#[test]
fn another_user_after_a_restart() {
    let mut f = open(&[]);
    f.exchange(&query("CREATE ROLE alice LOGIN PASSWORD 'x'"));
    f.exchange(&query("CREATE DATABASE app"));
    let parameters = f.parameters(&[("PGUSER", "alice"), ("PGDATABASE", "app"), ("PGTZ", "Asia/Tokyo")]);
    f.host.renew(parameters);
    f.host.shutdown().unwrap();
    assert_eq!(f.host.initdb(), (IDB_HASDB | IDB_HASUSER, None));
    f.host.conf("work_mem", Some("7MB")).unwrap();
    f.host.backend().unwrap();
    let text = f.text(
        b"SELECT current_user, session_user, current_database() AS db, current_setting('TimeZone') AS tz, \
                        current_setting('work_mem') AS mem;",
    );
    assert!(text.contains(" alice        | alice        | app | Asia/Tokyo | 7MB"), "{text}");
    let text = f.text(b"RESET SESSION AUTHORIZATION; SELECT current_user; SET ROLE postgres;");
    assert!(text.contains(" alice\n") && text.contains("ERROR:  permission denied to set role"), "{text}");
    let parameters = f.parameters(&[("PGUSER", "ghost")]);
    f.host.renew(parameters);
    f.host.shutdown().unwrap();
    assert_eq!(f.host.initdb(), (IDB_HASDB, None));
    assert!(f.host.backend().unwrap_err().contains("role \"ghost\" does not exist"));
}

#[test]
fn a_session_that_ends_is_followed_by_another() {
    let mut f = open(&[]);
    f.exchange(&query("CREATE TABLE t (a int); INSERT INTO t VALUES (1)"));
    f.exchange(&query("BEGIN; INSERT INTO t VALUES (2)"));
    let reply = f.exchange(&query("SELECT pg_terminate_backend(pg_backend_pid())"));
    assert!(kinds(&reply).ends_with('E'), "{}", kinds(&reply));
    let reply = f.exchange(&query("SELECT a FROM t"));
    assert_eq!(kinds(&reply), "TDCZ");
}
