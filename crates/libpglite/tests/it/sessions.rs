//! Sessions: several at once, cancelled, ended, in each other's way.

use crate::support::{guard, memory, memory_with, message, runtime, sqlstate, until};
use libpglite::postgres::NoTls;
use libpglite::tokio_postgres::AsyncMessage;
use libpglite::{Error, Session};
use std::io::{Read, Write};
use std::sync::Barrier;

#[test]
fn blocking_asynchronous_and_raw() {
    let db = memory();
    db.connect().unwrap().batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").unwrap();
    runtime().block_on(async {
        let client = db.connect_async().await.unwrap();
        assert_eq!(client.query_one("SELECT a FROM t", &[]).await.unwrap().get::<_, i32>(0), 1);
    });
    // The wire protocol, by hand: start-up, and the reply begins with AuthenticationOk.
    let mut stream = db.stream().unwrap();
    let body = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
    stream.write_all(&(body.len() as u32 + 4).to_be_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut reply = [0; 9];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"R\0\0\0\x08\0\0\0\0");
    drop(stream);
    db.close();
}

#[test]
fn session_options_arrive() {
    let db = memory();
    let session = Session::new().application_name("a test").options("-c work_mem=5MB");
    let mut client = db.connect_with(&session).unwrap();
    let row = client.query_one("SELECT current_setting('application_name'), current_setting('work_mem')", &[]).unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("a test", "5MB"));
    let refused = db.connect_with(&Session::new().database("none")).map(drop).unwrap_err();
    assert!(refused.to_string().contains("database \"none\" does not exist"), "{refused}");
    db.close();
}

#[test]
fn notifications_arrive() {
    let db = memory();
    runtime().block_on(async {
        let (client, mut connection) = db.connect_raw(&Session::new()).await.unwrap();
        let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(message) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                if let Ok(AsyncMessage::Notification(n)) = message {
                    send.send((n.channel().to_owned(), n.payload().to_owned())).unwrap();
                }
            }
        });
        client.batch_execute("LISTEN news").await.unwrap();
        let other = db.connect_async().await.unwrap();
        for i in 0..10 {
            other.batch_execute(&format!("NOTIFY news, 'number {i}'")).await.unwrap();
        }
        for i in 0..10 {
            assert_eq!(receive.recv().await.unwrap(), ("news".to_owned(), format!("number {i}")));
        }
    });
    db.close();
}

#[test]
fn a_statement_is_cancelled_from_asynchronous_code() {
    let db = memory();
    runtime().block_on(async {
        let client = db.connect_async().await.unwrap();
        let token = client.cancel_token();
        let sleep = client.batch_execute("SELECT pg_sleep(3600)");
        let cancel = async {
            until_busy(&db).await;
            db.cancel(&token).await.unwrap();
        };
        let (slept, ()) = tokio::join!(sleep, cancel);
        assert_eq!(sqlstate(slept), "57014");
        client.batch_execute("SELECT 1").await.unwrap();
    });
    db.close();
}

async fn until_busy(db: &libpglite::Database) {
    let watcher = db.connect_async().await.unwrap();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3600)' AND wait_event = 'PgSleep'";
    while watcher.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[test]
fn a_statement_is_cancelled_from_blocking_code() {
    let db = memory();
    // One that sleeps, and one that computes without a system call.
    for sql in ["SELECT pg_sleep(3600)", "SELECT sum(a::numeric) FROM generate_series(1, 100000000000) a"] {
        let mut client = db.connect().unwrap();
        let token = client.cancel_token();
        let cancelled = std::thread::scope(|scope| {
            let statement = scope.spawn(|| client.batch_execute(sql));
            until("the statement runs", || {
                token.cancel_query(NoTls).unwrap();
                statement.is_finished()
            });
            statement.join().unwrap()
        });
        assert_eq!(sqlstate(cancelled), "57014");
    }
    db.close();
}

#[test]
fn statement_timeout_and_lock_timeout() {
    let db = memory();
    let mut client = db.connect().unwrap();
    client.batch_execute("CREATE TABLE t (a int); SET statement_timeout = 20").unwrap();
    assert_eq!(sqlstate(client.batch_execute("SELECT pg_sleep(3600)")), "57014");
    assert_eq!(sqlstate(client.batch_execute("DO 'BEGIN LOOP END LOOP; END'")), "57014");
    let mut other = db.connect().unwrap();
    let mut transaction = other.transaction().unwrap();
    transaction.batch_execute("LOCK t").unwrap();
    client.batch_execute("SET statement_timeout = 0; SET lock_timeout = 20").unwrap();
    assert_eq!(sqlstate(client.query("SELECT * FROM t", &[])), "55P03");
    transaction.commit().unwrap();
    client.query("SELECT * FROM t", &[]).unwrap();
    db.close();
}

#[test]
fn a_deadlock_is_found() {
    let db = memory_with(|b| b.setting("deadlock_timeout", "50ms"));
    let mut client = db.connect().unwrap();
    client.batch_execute("CREATE TABLE t (a int PRIMARY KEY, b int); INSERT INTO t VALUES (1, 0), (2, 0)").unwrap();
    let barrier = Barrier::new(2);
    let both: Vec<_> = std::thread::scope(|scope| {
        let run = |first: i32, second: i32| {
            let mut client = db.connect().unwrap();
            let barrier = &barrier;
            scope.spawn(move || {
                let mut transaction = client.transaction().unwrap();
                transaction.execute("UPDATE t SET b = 1 WHERE a = $1", &[&first]).unwrap();
                barrier.wait();
                let result = transaction.execute("UPDATE t SET b = 1 WHERE a = $1", &[&second]).map(drop);
                if result.is_ok() {
                    transaction.commit().unwrap();
                }
                result
            })
        };
        let threads = [run(1, 2), run(2, 1)];
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = both.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 1));
    assert_eq!(sqlstate(lost.into_iter().next().unwrap()), "40P01");
    db.close();
}

#[test]
fn advisory_locks_are_shared_between_sessions() {
    let db = memory();
    let (mut one, mut two) = (db.connect().unwrap(), db.connect().unwrap());
    one.batch_execute("SELECT pg_advisory_lock(42)").unwrap();
    let try_lock = "SELECT pg_try_advisory_lock(42)";
    assert!(!two.query_one(try_lock, &[]).unwrap().get::<_, bool>(0));
    // A session that goes lets go.
    drop(one);
    until("the lock is free", || two.query_one(try_lock, &[]).unwrap().get(0));
    db.close();
}

#[test]
fn other_databases_and_other_roles() {
    let db = memory();
    let mut root = db.connect().unwrap();
    root.batch_execute("CREATE DATABASE app").unwrap();
    root.batch_execute("CREATE ROLE bob LOGIN; CREATE ROLE nologin").unwrap();
    let mut app = db.connect_with(&Session::new().database("app")).unwrap();
    app.batch_execute("CREATE TABLE secret AS SELECT 1 AS a").unwrap();
    assert_eq!(sqlstate(root.query("SELECT * FROM secret", &[])), "42P01");

    let mut bob = db.connect_with(&Session::new().database("app").user("bob")).unwrap();
    let row = bob.query_one("SELECT current_user::text, current_setting('is_superuser')", &[]).unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("bob", "off"));
    assert_eq!(sqlstate(bob.query("SELECT * FROM secret", &[])), "42501");
    assert_eq!(sqlstate(bob.batch_execute("SELECT pg_read_file('PG_VERSION')")), "42501");
    assert_eq!(sqlstate(bob.batch_execute("CREATE DATABASE more")), "42501");

    let error = db.connect_with(&Session::new().user("nologin")).map(drop).unwrap_err();
    assert!(error.to_string().contains("not permitted to log in"), "{error}");
    drop((app, bob));
    until("the database can be dropped", || root.batch_execute("DROP DATABASE app").is_ok());
    db.close();
}

#[test]
fn twenty_sessions_at_once() {
    let db = memory();
    db.connect().unwrap().batch_execute("CREATE TABLE t (a int, b int)").unwrap();
    let barrier = Barrier::new(20);
    std::thread::scope(|scope| {
        for i in 0..20 {
            let (db, barrier) = (&db, &barrier);
            scope.spawn(move || {
                let mut client = db.connect().unwrap();
                barrier.wait();
                let insert = client.prepare("INSERT INTO t VALUES ($1, $2)").unwrap();
                for j in 0..50 {
                    client.execute(&insert, &[&i, &j]).unwrap();
                }
                let sum = client.query_one("SELECT sum(b) FROM t WHERE a = $1", &[&i]).unwrap();
                assert_eq!(sum.get::<_, i64>(0), 49 * 50 / 2);
            });
        }
    });
    let row = db.connect().unwrap().query_one("SELECT count(*) FROM t", &[]).unwrap();
    assert_eq!(row.get::<_, i64>(0), 1000);
    db.close();
}

#[test]
fn too_many_sessions_are_refused() {
    let db = memory_with(|b| b.setting("max_connections", "5").setting("superuser_reserved_connections", "0"));
    let mut clients = Vec::new();
    let error = loop {
        match db.connect() {
            Ok(client) => clients.push(client),
            Err(error) => break error,
        }
    };
    assert!(clients.len() <= 5);
    assert!(error.to_string().contains("too many clients"), "{error}");
    clients.clear();
    until("there is room again", || db.connect().is_ok());
    db.close();
}

#[test]
fn a_session_is_terminated_alone() {
    let db = memory();
    let (mut one, mut two) = (db.connect().unwrap(), db.connect().unwrap());
    let pid: i32 = one.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    assert!(two.query_one("SELECT pg_terminate_backend($1, 30000)", &[&pid]).unwrap().get::<_, bool>(0));
    assert!(one.simple_query("SELECT 1").is_err());
    two.simple_query("SELECT 1").unwrap();
    db.connect().unwrap();
    db.close();
}

#[test]
fn a_fault_restarts_the_server_and_spares_the_program() {
    let db = memory();
    let (mut one, mut two) = (db.connect().unwrap(), db.connect().unwrap());
    // A superuser may say that this function takes a number, which it then takes for an address.
    one.batch_execute("CREATE TABLE t AS SELECT 1 AS a").unwrap();
    one.batch_execute("CREATE FUNCTION fault(bigint) RETURNS int LANGUAGE internal STRICT AS 'textlen'").unwrap();
    // Ready once, and once more after each fault: before, a session may still reach the server that is about to go.
    let ready = |times| {
        until("the server is back", || db.log.text().matches("ready to accept connections").count() == times);
    };
    assert!(one.batch_execute("SELECT fault(8)").is_err());
    ready(2);
    assert!(two.simple_query("SELECT 1").is_err(), "the server's memory may be damaged: all sessions end");
    assert!(!db.has_ended());
    assert!(db.log.text().contains("was terminated by signal 11"), "{}", db.log.text());
    let mut client = db.connect().unwrap();
    assert_eq!(client.query_one("SELECT a FROM t", &[]).unwrap().get::<_, i32>(0), 1);
    // And again: the restarted server is a whole one.
    assert!(client.batch_execute("SELECT fault(16)").is_err());
    ready(3);
    db.connect().unwrap().simple_query("SELECT 1").unwrap();
    db.close();
}

#[test]
fn deep_recursion_is_an_error() {
    let db = memory();
    let mut client = db.connect().unwrap();
    client
        .batch_execute("CREATE FUNCTION deep(a int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN deep(a + 1); END'")
        .unwrap();
    assert_eq!(sqlstate(client.batch_execute("SELECT deep(1)")), "54001");
    assert_eq!(sqlstate(client.batch_execute("SELECT repeat('[', 1000000)::json")), "54001");
    client.simple_query("SELECT 1").unwrap();
    db.close();
}

#[test]
fn recursion_may_be_as_deep_as_in_a_stock_server() {
    let db = memory();
    let mut client = db.connect().unwrap();
    client
        .batch_execute(
            "CREATE FUNCTION plain(n int) RETURNS int LANGUAGE plpgsql AS
               'BEGIN IF n <= 0 THEN RETURN 0; END IF; RETURN plain(n - 1) + 1; END';
             CREATE FUNCTION caught(n int) RETURNS int LANGUAGE plpgsql AS
               'BEGIN IF n <= 0 THEN RETURN 0; END IF;
                  BEGIN PERFORM caught(n - 1); EXCEPTION WHEN raise_exception THEN NULL; END; RETURN n; END'",
        )
        .unwrap();
    // A stock server has 880 and 670 levels in its 2 MB: code that takes much more of the stack has a large frame where recursion passes.
    for (function, levels) in [("plain", 600), ("caught", 450)] {
        let query = format!("SELECT {function}({levels})");
        assert_eq!(client.query_one(&query, &[]).unwrap().get::<_, i32>(0), levels);
    }
    db.close();
}

#[test]
fn a_server_that_is_stopped_from_sql_says_so() {
    let _guard = guard();
    let db = memory();
    let mut client = db.connect().unwrap();
    // What `pg_ctl stop -m smart` does cannot be said in SQL; a fault of the postmaster's own can: its pid.
    let postmaster: i32 =
        client.query_one("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int", &[]).unwrap().get(0);
    assert!(postmaster > 0);
    assert!(!client.query_one("SELECT pg_terminate_backend($1)", &[&postmaster]).unwrap().get::<_, bool>(0));
    assert!(!db.has_ended());
    assert!(!db.wait(std::time::Duration::ZERO));
    assert!(db.process_count() >= 5, "postmaster, checkpointer, writers, launchers and a session");
    db.close();
}

#[test]
fn errors_and_notices_are_the_servers() {
    let db = memory();
    let mut client = db.connect().unwrap();
    assert_eq!(message(client.batch_execute("SELECT 1/0")), "division by zero");
    assert_eq!(sqlstate(client.batch_execute("SELEC")), "42601");
    let mut transaction = client.transaction().unwrap();
    assert!(transaction.batch_execute("SELECT 1/0").is_err());
    assert_eq!(sqlstate(transaction.batch_execute("SELECT 1")), "25P02");
    transaction.rollback().unwrap();
    client.batch_execute("SELECT 1").unwrap();
    assert!(db.log.text().contains("ERROR:  division by zero"), "{}", db.log.text());
    db.close();
    let refused = Error::Ended(String::new());
    assert!(refused.to_string().contains("has ended"));
}

#[test]
fn prepared_statements_are_kept() {
    let db = memory();
    let mut client = db.connect().unwrap();
    let statement = client.prepare("SELECT $1::int + $2::int").unwrap();
    for i in 0..200 {
        assert_eq!(client.query_one(&statement, &[&i, &1]).unwrap().get::<_, i32>(0), i + 1);
    }
    client.batch_execute("PREPARE p(text) AS SELECT upper($1); CREATE TEMP TABLE x (a text)").unwrap();
    let rows = client.simple_query("EXECUTE p('abc')").unwrap();
    assert!(
        rows.iter().any(|m| matches!(m, libpglite::postgres::SimpleQueryMessage::Row(r) if r.get(0) == Some("ABC")))
    );
    db.close();
}

#[test]
fn large_results_and_large_statements() {
    let db = memory();
    let mut client = db.connect().unwrap();
    let rows = client.query("SELECT repeat('x', 1000000) FROM generate_series(1, 50)", &[]).unwrap();
    assert!(rows.len() == 50 && rows.iter().all(|row| row.get::<_, &str>(0).len() == 1_000_000));
    let long = "y".repeat(50_000_000);
    let row = client.query_one("SELECT length($1), md5($1) = md5(repeat('y', 50000000))", &[&long]).unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, bool>(1)), (50_000_000, true));
    db.close();
}

#[test]
fn handles_can_be_shared_and_sent() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<libpglite::Database>();
    shared::<libpglite::Canceller>();
    sent::<libpglite::Standalone>();
    let _guard = guard();
    let db = libpglite::Database::builder(":memory:").no_log().open().unwrap();
    let db = std::thread::spawn(move || {
        db.connect().unwrap().simple_query("SELECT 1").unwrap();
        db
    })
    .join()
    .unwrap();
    // The thread that opened it is gone.
    std::thread::spawn(move || db.close().unwrap()).join().unwrap();
}

#[test]
fn a_thousand_sessions_at_the_same_time() {
    // Each takes about ten descriptors, its client's among them.
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = (descriptors / 16).min(1000) as usize;
    let db = memory_with(|b| b.setting("max_connections", (count + 10).to_string()));
    let mut clients: Vec<_> = (0..count).map(|_| db.connect().unwrap()).collect();
    clients[0].batch_execute("CREATE TABLE t (a int)").unwrap();
    for (number, client) in clients.iter_mut().enumerate() {
        client.execute("INSERT INTO t VALUES ($1)", &[&(number as i32)]).unwrap();
    }
    let row = clients[count / 2].query_one("SELECT count(DISTINCT a), (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') FROM t", &[]);
    let row = row.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (count as i64, count as i64));
    drop(clients);
    db.close();
}
