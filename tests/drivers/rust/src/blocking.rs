//! `postgres`: in memory through `Database::connect`.

use std::io::{Read, Write};
use std::sync::Barrier;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libpglite::Session;
use postgres::fallible_iterator::FallibleIterator;
use postgres::{Client, Config, IsolationLevel, NoTls};

use crate::harness::{ASLEEP, BLOCKED, GONE, HUNDRED, NotApplicable, Place, ROWS, Scenario, equal, fails, until};
use crate::victim::Victim;

pub const SCENARIOS: [Scenario; 14] = [
    ("simple-query", simple_query),
    ("extended-query", extended_query),
    ("prepared-names", prepared_names),
    ("pipeline-error", |_| Err(NotApplicable("the blocking client sends one statement at a time").into())),
    ("copy-in", copy_in),
    ("copy-out", copy_out),
    ("listen-notify", listen_notify),
    ("cursor", cursor),
    ("cancel", cancel),
    ("transactions", transactions),
    ("client-dies-query", client_dies_query),
    ("client-dies-copy", client_dies_copy),
    ("hundred-connections", hundred_connections),
    ("unix-socket", unix_socket),
];

fn connect(place: &Place) -> Result<Client> {
    connect_as(place, "drivers")
}

fn connect_as(place: &Place, application: &str) -> Result<Client> {
    Ok(match &place.database {
        Some(database) => database.connect_with(&Session::new().application_name(application))?,
        None => place.uri.parse::<Config>()?.application_name(application).connect(NoTls)?,
    })
}

fn pid(c: &mut Client) -> Result<i32> {
    Ok(c.query_one("SELECT pg_backend_pid()", &[])?.get(0))
}

fn simple_query(place: &Place) -> Result<()> {
    let mut c = connect(place)?;
    let messages =
        c.simple_query("CREATE TABLE simple (n int); INSERT INTO simple VALUES (1), (2); SELECT sum(n) FROM simple")?;
    let sum = messages.iter().find_map(|message| match message {
        postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    equal(sum, Some("3"))?;
    fails("42P01", c.simple_query("SELECT * FROM no_such_table"))?;
    fails("22012", c.batch_execute("INSERT INTO simple VALUES (9); SELECT 1 / 0"))?;
    equal(c.query_one("SELECT count(*) FROM simple", &[])?.get(0), 2_i64)
}

fn extended_query(place: &Place) -> Result<()> {
    let mut c = connect(place)?;
    let at = std::time::UNIX_EPOCH + Duration::from_secs(1_709_208_000);
    let (text, bytes, array) = ("zażółć", &[0_u8, 255][..], vec![Some(1), None, Some(3)]);
    let row = c.query_one(
        "SELECT $1::int8, $2::text, $3::bytea, $4::float8, $5::timestamptz, $6::int[], $7::jsonb, $8::text",
        &[&(1_i64 << 40), &text, &bytes, &0.1_f64, &at, &array, &serde_json::json!({"a": [1]}), &None::<&str>],
    )?;
    equal((row.get(0), row.get(1), row.get(2), row.get(3)), (1_i64 << 40, text, bytes, 0.1_f64))?;
    equal((row.get(4), row.get(5), row.get(6), row.get(7)), (at, array, serde_json::json!({"a": [1]}), None::<&str>))?;
    let large = "x".repeat(4 << 20);
    ensure!(c.query_one("SELECT $1::text", &[&large])?.get::<_, &str>(0) == large, "4 MiB come back");
    fails("22012", c.query("SELECT 1 / $1::int", &[&0]))?;
    equal(c.query_one("SELECT $1::int + 1", &[&1])?.get(0), 2)
}

fn prepared_names(place: &Place) -> Result<()> {
    let (mut a, mut b) = (connect(place)?, connect(place)?);
    let (one, other) = (a.prepare("SELECT $1::int + 1")?, b.prepare("SELECT $1::text || 'b'")?);
    // the crate counts names in the whole program; SQL's can collide
    a.batch_execute("PREPARE same AS SELECT 'a'")?;
    b.batch_execute("PREPARE same AS SELECT 'b'")?;
    for i in 0..20 {
        equal(a.query_one(&one, &[&i])?.get(0), i + 1)?;
        equal(b.query_one(&other, &[&i.to_string()])?.get(0), format!("{i}b"))?;
        equal(a.query_one("EXECUTE same", &[])?.get(0), "a")?;
        equal(b.query_one("EXECUTE same", &[])?.get(0), "b")?;
    }
    a.batch_execute("DEALLOCATE same")?;
    equal(b.query_one("EXECUTE same", &[])?.get(0), "b")?;
    fails("26000", a.batch_execute("EXECUTE same"))
}

fn copy_in(place: &Place) -> Result<()> {
    let mut c = connect(place)?;
    c.batch_execute("CREATE TABLE copied (n int, t text)")?;
    let mut copy = c.copy_in("COPY copied FROM STDIN")?;
    for i in 0..ROWS {
        writeln!(copy, "{i}\trow\\t{i}")?;
    }
    equal(copy.finish()?, ROWS as u64)?;
    let mut copy = c.copy_in("COPY copied FROM STDIN")?;
    copy.write_all(b"1\tgood\nbad\tbad\n")?;
    fails("22P02", copy.finish())?;
    let row = c.query_one("SELECT count(*), sum(n) FROM copied WHERE t = E'row\\t' || n", &[])?;
    equal((row.get(0), row.get(1)), (ROWS, ROWS * (ROWS - 1) / 2))
}

fn copy_out(place: &Place) -> Result<()> {
    let mut c = connect(place)?;
    let mut text = String::new();
    c.copy_out(&format!("COPY (SELECT i, repeat('x', 100) FROM generate_series(1, {ROWS}) i) TO STDOUT"))?
        .read_to_string(&mut text)?;
    equal(text.lines().count(), ROWS as usize)?;
    equal(text.lines().last(), Some(format!("{ROWS}\t{}", "x".repeat(100)).as_str()))?;
    let wrong =
        c.copy_out("COPY (SELECT 1 / (100 - i) FROM generate_series(1, 200) i) TO STDOUT")?.read_to_string(&mut text);
    ensure!(wrong.is_err(), "the error arrives");
    equal(c.query_one("SELECT 1", &[])?.get(0), 1)
}

fn listen_notify(place: &Place) -> Result<()> {
    let (mut a, mut b) = (connect(place)?, connect(place)?);
    a.batch_execute("LISTEN news")?;
    b.batch_execute("BEGIN; NOTIFY news, 'rolled back'; ROLLBACK")?;
    b.execute("SELECT pg_notify('news', $1)", &[&"one"])?;
    b.batch_execute("NOTIFY news, 'two'")?;
    let pid = pid(&mut b)?;
    let got = a.notifications().timeout_iter(Duration::from_secs(30)).take(2).collect::<Vec<_>>()?;
    let got: Vec<_> = got.iter().map(|n| (n.channel(), n.payload(), n.process_id())).collect();
    equal(got, vec![("news", "one", pid), ("news", "two", pid)])
}

fn cursor(place: &Place) -> Result<()> {
    let mut c = connect(place)?;
    let mut transaction = c.transaction()?;
    let portal = transaction.bind("SELECT i FROM generate_series(1, $1) i", &[&(ROWS as i32)])?;
    let mut total = 0;
    loop {
        let rows = transaction.query_portal(&portal, 500)?;
        if rows.is_empty() {
            break;
        }
        total += rows.iter().map(|row| i64::from(row.get::<_, i32>(0))).sum::<i64>();
    }
    equal(total, ROWS * (ROWS + 1) / 2)?;
    let early = transaction.bind("SELECT i FROM generate_series(1, 1000) i", &[])?;
    equal(transaction.query_portal(&early, 3)?.len(), 3)?;
    drop(early);
    transaction.commit()?;
    equal(c.query_one("SELECT 1", &[])?.get(0), 1)
}

fn cancel(place: &Place) -> Result<()> {
    let (mut a, mut b) = (connect(place)?, connect(place)?);
    let (pid, token) = (pid(&mut a)?, a.cancel_token());
    let sleeping = std::thread::spawn(move || {
        let ended = a.batch_execute("SELECT pg_sleep(60)");
        (a, ended)
    });
    until(|| Ok(b.query_one(ASLEEP, &[&pid])?.get(0)))?;
    token.cancel_query(NoTls)?;
    let (mut a, ended) = sleeping.join().ok().context("the thread panicked")?;
    fails("57014", ended)?;
    equal(a.query_one("SELECT 1", &[])?.get(0), 1)
}

fn transactions(place: &Place) -> Result<()> {
    let (mut a, mut b, mut watch) = (connect(place)?, connect(place)?, connect(place)?);
    a.batch_execute("CREATE TABLE account (id int PRIMARY KEY, n int); INSERT INTO account VALUES (1, 10), (2, 20)")?;
    let one = "SELECT n FROM account WHERE id = 1";
    let mut first = a.transaction()?;
    first.execute("UPDATE account SET n = 11 WHERE id = 1", &[])?;
    equal(b.query_one(one, &[])?.get(0), 10)?;
    let waiting = std::thread::spawn(move || {
        b.execute("UPDATE account SET n = n + 100 WHERE id = 1", &[])?;
        anyhow::Ok(b)
    });
    until(|| Ok(watch.query_one(BLOCKED, &[])?.get(0)))?;
    first.commit()?;
    let mut b = waiting.join().ok().context("the thread panicked")??;
    equal(a.query_one(one, &[])?.get(0), 111)?;
    let mut first = a.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start()?;
    let mut second = b.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start()?;
    first.query("SELECT * FROM account", &[])?;
    second.query("SELECT * FROM account", &[])?;
    first.execute("UPDATE account SET n = 0 WHERE id = 2", &[])?;
    first.commit()?;
    fails("40001", second.execute("UPDATE account SET n = 1 WHERE id = 2", &[]))?;
    fails("25P02", second.query("SELECT 1", &[]))?;
    second.rollback()?;
    equal(b.query_one("SELECT n FROM account WHERE id = 2", &[])?.get(0), 0)
}

fn client_dies_query(place: &Place) -> Result<()> {
    let mut watch = connect(place)?;
    let victim = Victim::start("postgres", "victim-query", &place.uri)?;
    let pid = victim.pid;
    until(|| Ok(watch.query_one(ASLEEP, &[&pid])?.get(0)))?;
    victim.kill()?;
    until(|| Ok(watch.query_one(GONE, &[&pid])?.get(0)))
}

fn client_dies_copy(place: &Place) -> Result<()> {
    let mut watch = connect(place)?;
    watch.batch_execute("CREATE TABLE torn (t text)")?;
    let victim = Victim::start("postgres", "victim-copy", &place.uri)?;
    let pid = victim.pid;
    victim.kill()?;
    until(|| Ok(watch.query_one(GONE, &[&pid])?.get(0)))?;
    equal(watch.query_one("SELECT count(*) FROM torn", &[])?.get(0), 0_i64)
}

fn hundred_connections(place: &Place) -> Result<()> {
    let mut c = connect(place)?;
    c.batch_execute("CREATE TABLE hundred (n int)")?;
    let together = Barrier::new(100);
    let client = &|n: i32| -> Result<()> {
        let mine = connect_as(place, "hundred");
        together.wait();
        let inserted = mine.and_then(|mut mine| {
            mine.execute("INSERT INTO hundred VALUES ($1)", &[&n])?;
            Ok(mine)
        });
        together.wait();
        let seen = inserted.and_then(|mut mine| Ok((mine.query_one(HUNDRED, &[])?.get::<_, i64>(0), mine)));
        together.wait();
        equal(seen?.0, 100)
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..100).map(|n| scope.spawn(move || client(n))).collect();
        clients.into_iter().try_for_each(|client| client.join().ok().context("a thread panicked")?)
    })?;
    let row = c.query_one("SELECT count(*), sum(n) FROM hundred", &[])?;
    equal((row.get(0), row.get(1)), (100_i64, 4950_i64))?;
    until(|| Ok(c.query_one(HUNDRED, &[])?.get::<_, i64>(0) == 0))
}

fn unix_socket(place: &Place) -> Result<()> {
    let mut c = Client::connect(&place.socket_uri()?, NoTls)?;
    let large = "y".repeat(1 << 20);
    ensure!(c.query_one("SELECT $1::text", &[&large])?.get::<_, &str>(0) == large, "1 MiB comes back");
    equal(c.query_one("SELECT inet_server_addr() IS NULL", &[])?.get(0), true)
}
