//! `pglite serve --standalone`, and the server, with stock client programs.

use postgres::{Client, NoTls};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// No wait takes longer.
const LIMIT: Duration = Duration::from_secs(120);

/// `pglite serve` in a folder of its own.
struct Server {
    child: Child,
    uri: String,
    folder: TempDir,
}

impl Server {
    fn start(arguments: &[&str]) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_pglite"))
            .arg("serve")
            .arg(folder.path().join("db"))
            .args(["--password", "pass word", "--socket"])
            .arg(folder.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let uri = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("{line}")).to_owned();
        Server { child, uri, folder }
    }

    fn connect(&self) -> Client {
        Client::connect(&self.uri, NoTls).unwrap()
    }

    fn stream(&self) -> UnixStream {
        let stream = UnixStream::connect(self.folder.path().join(".s.PGSQL.5432")).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// A connection string with `database` in the place of postgres.
    fn database(&self, database: &str) -> String {
        self.uri.replace("@/postgres?", &format!("@/{database}?"))
    }

    fn stop(mut self) {
        let stopped = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(stopped.success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn number(client: &mut Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).unwrap().get(0)
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < LIMIT, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn clients_take_turns_and_leave_nothing_behind() {
    let server = Server::start(&["--standalone"]);
    for _ in 0..3 {
        let mut client = server.connect();
        for sql in [
            "CREATE TABLE IF NOT EXISTS kept (a int)",
            "INSERT INTO kept VALUES (1)",
            "CREATE TEMP TABLE t (a int); SET work_mem = '7MB'; PREPARE p AS SELECT 1; SELECT pg_advisory_lock(1)",
            "BEGIN; INSERT INTO kept VALUES (2)",
        ] {
            client.batch_execute(sql).unwrap();
        }
    }
    let mut client = server.connect();
    assert_eq!(number(&mut client, "SELECT count(*) FROM kept"), 3);
    assert_eq!(number(&mut client, "SELECT count(*) FROM pg_prepared_statements WHERE name = 'p'"), 0);
    assert_eq!(number(&mut client, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0);
    let row = client.query_one("SHOW work_mem", &[]).unwrap();
    assert_eq!(row.get::<_, String>(0), "4MB");
    assert!(client.query("SELECT * FROM t", &[]).is_err());
    drop(client);
    server.stop();
}

#[test]
fn a_hundred_clients_queue_for_one_session() {
    let server = Server::start(&["--standalone"]);
    server.connect().batch_execute("CREATE TABLE t (a int)").unwrap();
    std::thread::scope(|scope| {
        for i in 0..100 {
            let uri = &server.uri;
            scope.spawn(move || {
                let mut client = Client::connect(uri, NoTls).unwrap();
                client.execute("INSERT INTO t VALUES ($1)", &[&i]).unwrap();
            });
        }
    });
    assert_eq!(number(&mut server.connect(), "SELECT count(DISTINCT a) FROM t"), 100);
    server.stop();
}

#[test]
fn passwords_are_verified_and_roles_are_what_they_are() {
    let server = Server::start(&["--standalone"]);
    let mut client = server.connect();
    for sql in [
        "CREATE ROLE alice LOGIN PASSWORD 'wonder'",
        "SET password_encryption = 'md5'; SET client_min_messages = error",
        "CREATE ROLE bob LOGIN PASSWORD 'builder'; CREATE ROLE nobody PASSWORD 'x'",
        "CREATE DATABASE app OWNER alice",
        "CREATE DATABASE closed",
        "REVOKE CONNECT ON DATABASE closed FROM public; ALTER ROLE alice SET work_mem = '9MB'",
    ] {
        client.batch_execute(sql).unwrap();
    }
    drop(client);
    let host = server.folder.path().to_str().unwrap().to_owned();
    let login = |user: &str, password: &str, database: &str| {
        Client::connect(&format!("host={host} user={user} password={password} dbname={database}"), NoTls)
    };
    let text = |client: &mut Client, sql: &str| client.query_one(sql, &[]).unwrap().get::<_, String>(0);
    let refusal = |user: &str, password: &str, database: &str| {
        let error = login(user, password, database).err().expect("this must be refused");
        error.code().unwrap_or_else(|| panic!("{error}")).code().to_owned()
    };
    let mut alice = login("alice", "wonder", "app").unwrap();
    assert_eq!(
        text(&mut alice, "SELECT concat_ws(' ', current_user, session_user, current_database())"),
        "alice alice app"
    );
    assert_eq!(text(&mut alice, "SHOW is_superuser"), "off");
    assert_eq!(text(&mut alice, "SHOW work_mem"), "9MB");
    // There is no way back to the superuser.
    for sql in ["RESET SESSION AUTHORIZATION; RESET ROLE", "DISCARD ALL"] {
        alice.batch_execute(sql).unwrap();
    }
    assert_eq!(text(&mut alice, "SELECT current_user::text"), "alice");
    assert!(alice.batch_execute("SET SESSION AUTHORIZATION postgres").is_err());
    assert!(alice.query("SELECT * FROM pg_authid", &[]).is_err());
    drop(alice);
    drop(login("bob", "builder", "app").unwrap());
    assert_eq!(refusal("bob", "Builder", "app"), "28P01");
    assert_eq!(refusal("ghost", "x", "app"), "28P01");
    assert_eq!(refusal("nobody", "x", "app"), "28000");
    assert_eq!(refusal("bob", "builder", "closed"), "42501");
    assert_eq!(refusal("bob", "builder", "none"), "3D000");
    // What a role may not set, its start-up packet cannot either.
    let options = "options='-c session_preload_libraries=auto_explain'";
    let error = Client::connect(&format!("host={host} user=bob password=builder dbname=app {options}"), NoTls);
    assert_eq!(error.err().unwrap().code().unwrap().code(), "42501");
    let mut bob = Client::connect(
        &format!("host={host} user=bob password=builder dbname=app options='-c work_mem=5MB' application_name=b"),
        NoTls,
    )
    .unwrap();
    bob.batch_execute("SET work_mem = '6MB'; RESET ALL").unwrap();
    assert_eq!(
        text(&mut bob, "SELECT concat_ws(' ', current_setting('work_mem'), current_setting('application_name'))"),
        "5MB b"
    );
    drop(bob);
    server.stop();
}

#[test]
fn a_client_that_vanishes_is_not_waited_for() {
    let server = Server::start(&["--standalone"]);
    let mut client = server.connect();
    client.batch_execute("CREATE TABLE t (a int)").unwrap();
    drop(client);
    // psql is killed in the middle of a query that would take an hour, and of COPY.
    for sql in ["SELECT pg_sleep(3600)", "SELECT count(*) FROM generate_series(1, 100000000000)", "COPY t FROM STDIN"] {
        let mut psql = Command::new("psql")
            .args(["-X", "-c", sql, &server.uri])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("psql is needed (Debian: postgresql-client)");
        // It has its turn when it has said something that this one must wait for.
        psql.stdin.as_mut().unwrap().write_all(b"1\n2\n").unwrap();
        std::thread::sleep(Duration::from_millis(300));
        psql.kill().unwrap();
        psql.wait().unwrap();
        assert_eq!(number(&mut server.connect(), "SELECT count(*) FROM t"), 0);
    }
    // Those that never say anything hold nobody up.
    let _silent = server.stream();
    let mut half = server.stream();
    half.write_all(&[0, 0, 0, 80, 0, 3]).unwrap();
    assert_eq!(number(&mut server.connect(), "SELECT count(*) FROM t"), 0);
    server.stop();
}

#[test]
fn statements_are_cancelled() {
    let server = Server::start(&["--standalone"]);
    let mut client = server.connect();
    let token = client.cancel_token();
    let running = std::thread::spawn(move || {
        let code = client.batch_execute("SELECT pg_sleep(3600)").unwrap_err().code().unwrap().code().to_owned();
        (code, number(&mut client, "SELECT 1::bigint"))
    });
    until("the statement is cancelled", || {
        token.cancel_query(NoTls).unwrap();
        running.is_finished()
    });
    assert_eq!(running.join().unwrap(), ("57014".to_owned(), 1));
    // A key that nobody has cancels nothing.
    let mut stranger = server.stream();
    stranger.write_all(b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x01").unwrap();
    assert_eq!(stranger.read(&mut [0; 10]).unwrap(), 0);
    server.stop();
}

#[test]
fn an_idle_client_makes_way_where_that_is_asked_for() {
    let server = Server::start(&["--standalone", "--handover", "--trust"]);
    let host = server.folder.path().to_str().unwrap().to_owned();
    let login = |user: &str| Client::connect(&format!("host={host} user={user} dbname=postgres"), NoTls);
    let mut first = login("postgres").unwrap();
    first.batch_execute("CREATE ROLE alice LOGIN").unwrap();
    // Not in a transaction.
    first.batch_execute("BEGIN; CREATE TABLE t (a int)").unwrap();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| login("alice").unwrap().query_one("SELECT session_user::text", &[]).unwrap());
        std::thread::sleep(Duration::from_millis(300));
        first.batch_execute("COMMIT").unwrap();
        assert_eq!(second.join().unwrap().get::<_, String>(0), "alice");
    });
    assert!(first.batch_execute("SELECT 1").is_err());
    let refused = login("ghost").err().unwrap();
    assert_eq!(refused.code().unwrap().code(), "28000");
    // psql opens a new connection before it closes the old one.
    let said = psql(&server.uri, &["-c", "\\c - alice", "-c", "SELECT session_user"]);
    assert!(said.ends_with("alice\n"), "{said}");
    server.stop();
}

#[test]
fn the_first_packets_are_answered() {
    let server = Server::start(&["--standalone"]);
    let _busy = server.connect();
    let mut buffer = [0; 200];
    let mut stream = server.stream();
    for request in [b"\0\0\0\x08\x04\xd2\x16\x2f", b"\0\0\0\x08\x04\xd2\x16\x30"] {
        stream.write_all(request).unwrap();
        assert_eq!(stream.read(&mut buffer).unwrap(), 1);
        assert_eq!(buffer[0], b'N');
    }
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), b"\0\0\0\x08\0\x02\0\0", b"Q\0\0\0\x0dSELECT 1\0"] {
        let mut stream = server.stream();
        stream.write_all(garbage).unwrap();
        assert!(stream.read(&mut buffer).unwrap() > 0);
        assert_eq!(buffer[0], b'E', "{garbage:?}");
    }
    server.stop();
}

#[test]
fn stopping_sends_clients_away() {
    let server = Server::start(&["--standalone"]);
    let mut busy = server.connect();
    busy.batch_execute("CREATE TABLE t (a int)").unwrap();
    let running = std::thread::spawn(move || busy.batch_execute("SELECT pg_sleep(3600)").is_err());
    let waiting = server.stream();
    std::thread::sleep(Duration::from_millis(200));
    server.stop();
    assert!(running.join().unwrap());
    drop(waiting);
}

#[test]
fn tcp_as_well() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Server::start(&["--standalone", "--listen", &format!("127.0.0.1:{port}")]);
    let uri = format!("host=127.0.0.1 port={port} user=postgres password='pass word' dbname=postgres");
    let mut client = Client::connect(&uri, NoTls).unwrap();
    assert_eq!(number(&mut client, "SELECT 1::bigint"), 1);
    drop(client);
    server.stop();
}

/// `pg_dump` of PostgreSQL 18: that on the path, or that of a stock server which `cargo xtask bench` or `conformance` has built.
fn pg_dump() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))?
        .join("libpglite/stock");
    let built = std::fs::read_dir(cache).into_iter().flatten().flatten();
    let candidates = built.map(|entry| entry.path().join("install/bin/pg_dump")).chain([PathBuf::from("pg_dump")]);
    candidates.into_iter().find(|path| {
        let version = Command::new(path).arg("--version").output();
        version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(") 18"))
    })
}

fn psql(uri: &str, arguments: &[&str]) -> String {
    let output = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
        .args(arguments)
        .arg(uri)
        .output()
        .expect("psql is needed (Debian: postgresql-client)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const SCHEMA: &str = "
    CREATE TYPE color AS ENUM ('red', 'green');
    CREATE TABLE parent (id int PRIMARY KEY, name text NOT NULL, c color DEFAULT 'red', data bytea, doc jsonb);
    CREATE TABLE child (id bigint GENERATED ALWAYS AS IDENTITY, parent int REFERENCES parent, at timestamptz);
    CREATE INDEX ON child (parent, at DESC);
    CREATE VIEW v AS SELECT p.name, count(*) FROM parent p JOIN child c ON c.parent = p.id GROUP BY p.name;
    CREATE FUNCTION f(a int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN a + 1; END $$;
    CREATE SEQUENCE s START 42;
    INSERT INTO parent SELECT g, 'näme ' || g, 'green', sha256(g::text::bytea), jsonb_build_object('g', g)
        FROM generate_series(1, 1000) g;
    INSERT INTO child (parent, at) SELECT g % 1000 + 1, timestamptz '2024-01-01 00:00 UTC' + g * interval '1 minute'
        FROM generate_series(1, 5000) g;
    SELECT nextval('s');";

fn dump_restore_dump(server: &Server) {
    let Some(pg_dump) = pg_dump() else {
        // Debian 12 has version 15, which refuses newer servers.
        eprintln!("NOT TESTED: there is no pg_dump of PostgreSQL 18; `cargo xtask bench --quick` builds one");
        return;
    };
    psql(&server.uri, &["-c", "CREATE DATABASE one", "-c", "CREATE DATABASE two"]);
    psql(&server.database("one"), &["-c", SCHEMA]);
    let dump = |database: &str| {
        let output = Command::new(&pg_dump).arg("--restrict-key=same").arg(server.database(database)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let first = dump("one");
    assert!(first.contains("CREATE FUNCTION") && first.len() > 100_000);
    let script = server.folder.path().join("dump.sql");
    std::fs::write(&script, &first).unwrap();
    psql(&server.database("two"), &["-f", script.to_str().unwrap()]);
    assert!(dump("two") == first, "the dump of the restored database differs");
    assert_eq!(psql(&server.database("two"), &["-c", "SELECT sum(count) FROM v"]), "5000\n");
}

#[test]
fn what_pg_dump_writes_psql_reads_standalone() {
    let server = Server::start(&["--standalone"]);
    dump_restore_dump(&server);
    server.stop();
}

#[test]
fn what_pg_dump_writes_psql_reads_from_a_server() {
    let server = Server::start(&[]);
    dump_restore_dump(&server);
    server.stop();
}
