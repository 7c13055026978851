//! `diesel`, on libpq: in memory through the Unix socket of the database in this process.

use std::io::Read;
use std::sync::Barrier;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::pg::{CopyFormat, PgRowByRowLoadingMode};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Double, Integer, Nullable, Text};

use crate::harness::{HUNDRED, NotApplicable, Place, ROWS, Scenario, equal, until};
use crate::victim::Victim;

pub const SCENARIOS: [Scenario; 14] = [
    ("simple-query", simple_query),
    ("extended-query", extended_query),
    ("prepared-names", prepared_names),
    ("pipeline-error", |_| Err(NotApplicable("diesel sends one statement at a time").into())),
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

diesel::table! {
    copied (n) {
        n -> Integer,
        t -> Text,
    }
}

diesel::table! {
    torn (t) {
        t -> Text,
    }
}

diesel::table! {
    account (id) {
        id -> Integer,
        n -> Integer,
    }
}

diesel::table! {
    hundred (n) {
        n -> Integer,
    }
}

fn connect(place: &Place) -> Result<PgConnection> {
    Ok(PgConnection::establish(&place.uri)?)
}

/// The process of its session.
pub fn pid(c: &mut PgConnection) -> Result<i32> {
    Ok(sql::<Integer>("SELECT pg_backend_pid()").get_result(c)?)
}

fn truth(c: &mut PgConnection, query: &str) -> Result<bool> {
    Ok(sql::<Bool>(query).get_result(c)?)
}

fn asleep(pid: i32) -> String {
    format!("SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = {pid} AND wait_event = 'PgSleep'")
}

fn gone(pid: i32) -> String {
    format!("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = {pid}")
}

/// Diesel does not tell the SQLSTATE.
fn fails<T>(words: &str, result: QueryResult<T>) -> Result<()> {
    match result {
        Ok(_) => bail!("no error, but `{words}` was expected"),
        Err(Error::DatabaseError(_, info)) if info.message().contains(words) => Ok(()),
        Err(error) => Err(anyhow::Error::from(error).context(format!("`{words}` was expected"))),
    }
}

fn simple_query(place: &Place) -> Result<()> {
    let mut c = connect(place)?;
    c.batch_execute("CREATE TABLE simple (n int); INSERT INTO simple VALUES (1), (2); SELECT sum(n) FROM simple")?;
    fails("no_such_table", c.batch_execute("SELECT * FROM no_such_table"))?;
    fails("division by zero", c.batch_execute("INSERT INTO simple VALUES (9); SELECT 1 / 0"))?;
    equal(sql::<BigInt>("SELECT count(*) FROM simple").get_result(&mut c)?, 2_i64)
}

fn extended_query(place: &Place) -> Result<()> {
    let mut c = connect(place)?;
    type Row = (i64, String, Vec<u8>, f64, Vec<Option<i32>>, Option<String>);
    let expected: Row = (1 << 40, "zażółć".into(), vec![0, 255], 0.1, vec![Some(1), None, Some(3)], None);
    let row: Row = diesel::select((
        (expected.0).into_sql::<BigInt>(),
        expected.1.as_str().into_sql::<Text>(),
        expected.2.as_slice().into_sql::<Binary>(),
        (expected.3).into_sql::<Double>(),
        expected.4.clone().into_sql::<Array<Nullable<Integer>>>(),
        (None::<String>).into_sql::<Nullable<Text>>(),
    ))
    .get_result(&mut c)?;
    equal(row, expected)?;
    let large = "x".repeat(4 << 20);
    let back: String = diesel::select(large.as_str().into_sql::<Text>()).get_result(&mut c)?;
    ensure!(back == large, "4 MiB come back");
    let wrong = sql::<Integer>("SELECT 1 / ").bind::<Integer, _>(0).get_result::<i32>(&mut c);
    fails("division by zero", wrong)?;
    equal(sql::<Integer>("SELECT 1 + ").bind::<Integer, _>(1).get_result::<i32>(&mut c)?, 2)
}

fn prepared_names(place: &Place) -> Result<()> {
    let (mut a, mut b) = (connect(place)?, connect(place)?);
    a.batch_execute("PREPARE same AS SELECT 'a'")?;
    b.batch_execute("PREPARE same AS SELECT 'b'")?;
    for i in 0..20 {
        equal(diesel::select(i.into_sql::<Integer>() + 1).get_result::<i32>(&mut a)?, i + 1)?;
        let text: String = diesel::select(i.to_string().into_sql::<Text>().concat("b")).get_result(&mut b)?;
        equal(text, format!("{i}b"))?;
        equal(sql::<Text>("EXECUTE same").get_result::<String>(&mut a)?.as_str(), "a")?;
        equal(sql::<Text>("EXECUTE same").get_result::<String>(&mut b)?.as_str(), "b")?;
    }
    let names =
        "SELECT string_agg(name, ',' ORDER BY name) FROM pg_prepared_statements WHERE name LIKE '\\_\\_diesel%'";
    let first: Option<String> = sql::<Nullable<Text>>(names).get_result(&mut a)?;
    let second: Option<String> = sql::<Nullable<Text>>(names).get_result(&mut b)?;
    ensure!(first.is_some() && first == second, "the names collide: {first:?} {second:?}");
    a.batch_execute("DEALLOCATE same")?;
    equal(sql::<Text>("EXECUTE same").get_result::<String>(&mut b)?.as_str(), "b")?;
    fails("does not exist", a.batch_execute("EXECUTE same"))
}

fn copy_in(place: &Place) -> Result<()> {
    let mut c = connect(place)?;
    c.batch_execute("CREATE TABLE copied (n int, t text)")?;
    let rows = diesel::copy_from(copied::table)
        .from_raw_data(copied::table, |copy| {
            for i in 0..ROWS {
                writeln!(copy, "{i}\trow\\t{i}").map_err(|error| Error::SerializationError(error.into()))?;
            }
            QueryResult::Ok(())
        })
        .with_format(CopyFormat::Text)
        .execute(&mut c)?;
    equal(rows, ROWS as usize)?;
    let wrong = diesel::copy_from(copied::table)
        .from_raw_data(copied::table, |copy| {
            copy.write_all(b"1\tgood\nbad\tbad\n").map_err(|error| Error::SerializationError(error.into()))
        })
        .with_format(CopyFormat::Text)
        .execute(&mut c);
    fails("invalid input syntax", wrong)?;
    equal(copied::table.count().get_result(&mut c)?, ROWS)
}

fn copy_out(place: &Place) -> Result<()> {
    let mut c = connect(place)?;
    c.batch_execute(&format!(
        "DROP TABLE IF EXISTS copied; CREATE TABLE copied AS SELECT n, repeat('x', 100) t FROM generate_series(1, {ROWS}) n"
    ))?;
    let mut text = String::new();
    diesel::copy_to(copied::table).with_format(CopyFormat::Text).load_raw(&mut c)?.read_to_string(&mut text)?;
    equal(text.lines().count(), ROWS as usize)?;
    equal(text.lines().last(), Some(format!("{ROWS}\t{}", "x".repeat(100)).as_str()))?;
    // diesel does not fetch the end of COPY from libpq, whose PQexec does
    c.batch_execute("SELECT")?;
    ensure!(truth(&mut c, "SELECT true")?, "the connection is usable");
    Ok(())
}

fn listen_notify(place: &Place) -> Result<()> {
    let (mut a, mut b) = (connect(place)?, connect(place)?);
    a.batch_execute("LISTEN news")?;
    b.batch_execute("BEGIN; NOTIFY news, 'rolled back'; ROLLBACK")?;
    diesel::sql_query("SELECT pg_notify('news', $1)").bind::<Text, _>("one").execute(&mut b)?;
    b.batch_execute("NOTIFY news, 'two'")?;
    let mut got = Vec::new();
    until(|| {
        for notification in a.notifications_iter() {
            let notification = notification?;
            got.push((notification.channel, notification.payload, notification.process_id));
        }
        Ok(got.len() >= 2)
    })?;
    let pid = pid(&mut b)?;
    equal(got, vec![("news".into(), "one".into(), pid), ("news".into(), "two".into(), pid)])
}

fn cursor(place: &Place) -> Result<()> {
    let mut c = connect(place)?;
    c.transaction(|c| {
        c.batch_execute(&format!("DECLARE ours CURSOR FOR SELECT i FROM generate_series(1, {ROWS}) i"))?;
        let mut total = 0;
        loop {
            let rows: Vec<i32> = sql::<Integer>("FETCH 500 FROM ours").load(c)?;
            if rows.is_empty() {
                break;
            }
            total += rows.into_iter().map(i64::from).sum::<i64>();
        }
        equal(total, ROWS * (ROWS + 1) / 2)
    })?;
    // row by row, not to the end
    let rows = sql::<Integer>("SELECT i FROM generate_series(1, 1000) i");
    let some = rows.load_iter::<i32, PgRowByRowLoadingMode>(&mut c)?.take(3).collect::<QueryResult<Vec<_>>>()?;
    equal(some, vec![1, 2, 3])?;
    ensure!(truth(&mut c, "SELECT true")?, "the connection is usable");
    Ok(())
}

fn cancel(place: &Place) -> Result<()> {
    let (mut a, mut b) = (connect(place)?, connect(place)?);
    let pid = pid(&mut a)?;
    let sleeping = std::thread::spawn(move || {
        let ended = a.batch_execute("SELECT pg_sleep(60)");
        (a, ended)
    });
    until(|| truth(&mut b, &asleep(pid)))?;
    // diesel has no call that sends a cancel request
    ensure!(truth(&mut b, &format!("SELECT pg_cancel_backend({pid})"))?, "the signal is sent");
    let (mut a, ended) = sleeping.join().ok().context("the thread panicked")?;
    fails("canceling statement due to user request", ended)?;
    ensure!(truth(&mut a, "SELECT true")?, "the connection is usable");
    Ok(())
}

fn transactions(place: &Place) -> Result<()> {
    let (mut a, mut b, mut watch) = (connect(place)?, connect(place)?, connect(place)?);
    a.batch_execute("CREATE TABLE account (id int PRIMARY KEY, n int); INSERT INTO account VALUES (1, 10), (2, 20)")?;
    let one = || account::table.find(1).select(account::n);
    let mut waiting = None;
    a.transaction(|a| {
        diesel::update(account::table.find(1)).set(account::n.eq(11)).execute(a)?;
        equal(one().get_result::<i32>(&mut b)?, 10)?;
        waiting = Some(std::thread::spawn(move || {
            diesel::update(account::table.find(1)).set(account::n.eq(account::n + 100)).execute(&mut b)?;
            anyhow::Ok(b)
        }));
        until(|| truth(&mut watch, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"))
    })?;
    let mut b = waiting.context("nobody waits")?.join().ok().context("the thread panicked")??;
    equal(one().get_result::<i32>(&mut a)?, 111)?;
    let lost = b.build_transaction().repeatable_read().run(|b| {
        account::table.load::<(i32, i32)>(b)?;
        a.build_transaction().repeatable_read().run(|a| {
            account::table.load::<(i32, i32)>(a)?;
            diesel::update(account::table.find(2)).set(account::n.eq(0)).execute(a)
        })?;
        diesel::update(account::table.find(2)).set(account::n.eq(1)).execute(b)
    });
    ensure!(
        matches!(lost, Err(Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _))),
        "a serialization failure, not {lost:?}"
    );
    equal(account::table.find(2).select(account::n).get_result::<i32>(&mut b)?, 0)
}

fn client_dies_query(place: &Place) -> Result<()> {
    let mut watch = connect(place)?;
    let victim = Victim::start("diesel", "victim-query", &place.uri)?;
    let pid = victim.pid;
    until(|| truth(&mut watch, &asleep(pid)))?;
    victim.kill()?;
    until(|| truth(&mut watch, &gone(pid)))
}

/// Copies rows, says so, and waits for its end.
pub fn copy_until_killed(c: &mut PgConnection, pid: i32) -> Result<()> {
    diesel::copy_from(torn::table)
        .from_raw_data(torn::table, |copy| {
            copy.write_all(&b"a row\n".repeat(10_000)).map_err(|error| Error::SerializationError(error.into()))?;
            println!("{pid}");
            std::thread::sleep(Duration::from_secs(600));
            QueryResult::Ok(())
        })
        .execute(c)?;
    Ok(())
}

fn client_dies_copy(place: &Place) -> Result<()> {
    let mut watch = connect(place)?;
    watch.batch_execute("CREATE TABLE torn (t text)")?;
    let victim = Victim::start("diesel", "victim-copy", &place.uri)?;
    let pid = victim.pid;
    victim.kill()?;
    until(|| truth(&mut watch, &gone(pid)))?;
    equal(torn::table.count().get_result(&mut watch)?, 0_i64)
}

fn hundred_connections(place: &Place) -> Result<()> {
    let mut c = connect(place)?;
    c.batch_execute("CREATE TABLE hundred (n int)")?;
    let together = &Barrier::new(100);
    let client = |n: i32| -> Result<()> {
        let mine = connect(place).and_then(|mut mine| {
            mine.batch_execute("SET application_name = 'hundred'")?;
            Ok(mine)
        });
        together.wait();
        let inserted = mine.and_then(|mut mine| {
            diesel::insert_into(hundred::table).values(hundred::n.eq(n)).execute(&mut mine)?;
            Ok(mine)
        });
        together.wait();
        let seen = inserted.and_then(|mut mine| Ok((sql::<BigInt>(HUNDRED).get_result::<i64>(&mut mine)?, mine)));
        together.wait();
        equal(seen?.0, 100)
    };
    std::thread::scope(|scope| {
        let client = &client;
        let clients: Vec<_> = (0..100).map(|n| scope.spawn(move || client(n))).collect();
        clients.into_iter().try_for_each(|client| client.join().ok().context("a thread panicked")?)
    })?;
    equal(hundred::table.select(diesel::dsl::sum(hundred::n)).get_result::<Option<i64>>(&mut c)?, Some(4950))?;
    until(|| Ok(sql::<BigInt>(HUNDRED).get_result::<i64>(&mut c)? == 0))
}

fn unix_socket(place: &Place) -> Result<()> {
    let mut c = PgConnection::establish(&place.socket_uri()?)?;
    let large = "y".repeat(1 << 20);
    let back: String = diesel::select(large.as_str().into_sql::<Text>()).get_result(&mut c)?;
    ensure!(back == large, "1 MiB comes back");
    ensure!(truth(&mut c, "SELECT inet_server_addr() IS NULL")?, "through the Unix socket");
    Ok(())
}
