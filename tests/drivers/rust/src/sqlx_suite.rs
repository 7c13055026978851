//! `sqlx`: in memory through the Unix socket of the database in this process.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{TryStreamExt, future};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolCopyExt, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::harness::{ASLEEP, BLOCKED, GONE, HUNDRED, NotApplicable, Place, ROWS, Scenario, equal};
use crate::tokio_suite::run;

pub const SCENARIOS: [Scenario; 14] = [
    ("simple-query", |place| run(simple_query(place))),
    ("extended-query", |place| run(extended_query(place))),
    ("prepared-names", |place| run(prepared_names(place))),
    ("pipeline-error", |_| Err(NotApplicable("sqlx sends one statement at a time").into())),
    ("copy-in", |place| run(copy_in(place))),
    ("copy-out", |place| run(copy_out(place))),
    ("listen-notify", |place| run(listen_notify(place))),
    ("cursor", |place| run(cursor(place))),
    ("cancel", |place| run(cancel(place))),
    ("transactions", |place| run(transactions(place))),
    ("client-dies-query", |place| run(client_dies_query(place))),
    ("client-dies-copy", |place| run(client_dies_copy(place))),
    ("hundred-connections", |place| run(hundred_connections(place))),
    ("unix-socket", |place| run(unix_socket(place))),
];

async fn connect(place: &Place) -> Result<PgConnection> {
    Ok(PgConnection::connect(&place.uri).await?)
}

fn fails<T>(state: &str, result: sqlx::Result<T>) -> Result<()> {
    match result {
        Ok(_) => bail!("no error, but {state} was expected"),
        Err(error) if error.as_database_error().and_then(|error| error.code()).as_deref() == Some(state) => Ok(()),
        Err(error) => Err(anyhow::Error::from(error).context(format!("{state} was expected"))),
    }
}

async fn pid(c: &mut PgConnection) -> Result<i32> {
    Ok(sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(c).await?)
}

async fn until(c: &mut PgConnection, query: &'static str, pid: Option<i32>) -> Result<()> {
    for _ in 0..3000 {
        let mut asked = sqlx::query_scalar(query);
        if let Some(pid) = pid {
            asked = asked.bind(pid);
        }
        if asked.fetch_one(&mut *c).await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("never true: {query}")
}

async fn simple_query(place: &Place) -> Result<()> {
    let mut c = connect(place).await?;
    let text = "CREATE TABLE simple (n int); INSERT INTO simple VALUES (1), (2); SELECT sum(n) FROM simple";
    equal(sqlx::raw_sql(text).fetch_one(&mut c).await?.get(0), 3_i64)?;
    fails("42P01", sqlx::raw_sql("SELECT * FROM no_such_table").execute(&mut c).await)?;
    fails("22012", sqlx::raw_sql("INSERT INTO simple VALUES (9); SELECT 1 / 0").execute(&mut c).await)?;
    equal(sqlx::raw_sql("SELECT count(*) FROM simple").fetch_one(&mut c).await?.get(0), 2_i64)?;
    Ok(c.close().await?)
}

async fn extended_query(place: &Place) -> Result<()> {
    let mut c = connect(place).await?;
    let (bytes, array) = (vec![0_u8, 255], vec![Some(1), None, Some(3)]);
    let row = sqlx::query("SELECT $1::int8, $2::text, $3::bytea, $4::float8, $5::int[], $6::text, $7::bool")
        .bind(1_i64 << 40)
        .bind("zażółć")
        .bind(&bytes)
        .bind(0.1_f64)
        .bind(&array)
        .bind(None::<&str>)
        .bind(true)
        .fetch_one(&mut c)
        .await?;
    equal((row.get(0), row.get(1), row.get(2), row.get(3)), (1_i64 << 40, "zażółć", bytes, 0.1_f64))?;
    equal((row.get(4), row.get(5), row.get(6)), (array, None::<&str>, true))?;
    let large = "x".repeat(4 << 20);
    let back: String = sqlx::query_scalar("SELECT $1::text").bind(&large).fetch_one(&mut c).await?;
    ensure!(back == large, "4 MiB come back");
    fails("22012", sqlx::query("SELECT 1 / $1::int").bind(0).execute(&mut c).await)?;
    equal(sqlx::query_scalar("SELECT $1::int + 1").bind(1).fetch_one(&mut c).await?, 2)?;
    Ok(c.close().await?)
}

async fn prepared_names(place: &Place) -> Result<()> {
    let (mut a, mut b) = (connect(place).await?, connect(place).await?);
    for i in 0..20 {
        equal(sqlx::query_scalar("SELECT $1::int + 1").bind(i).fetch_one(&mut a).await?, i + 1)?;
        let text: String = sqlx::query_scalar("SELECT $1::text || 'b'").bind(i.to_string()).fetch_one(&mut b).await?;
        equal(text, format!("{i}b"))?;
    }
    let names = "SELECT array_agg(name ORDER BY name) FROM pg_prepared_statements";
    let first: Option<Vec<String>> = sqlx::query_scalar(names).fetch_one(&mut a).await?;
    let second: Option<Vec<String>> = sqlx::query_scalar(names).fetch_one(&mut b).await?;
    ensure!(first.is_some() && first == second, "the names collide: {first:?} {second:?}");
    a.clear_cached_statements().await?;
    let text: String = sqlx::query_scalar("SELECT $1::text || 'b'").bind("x").fetch_one(&mut b).await?;
    equal(text.as_str(), "xb")?;
    fails("26000", sqlx::raw_sql("EXECUTE no_such").execute(&mut a).await)?;
    a.close().await?;
    Ok(b.close().await?)
}

async fn copy_in(place: &Place) -> Result<()> {
    let mut c = connect(place).await?;
    sqlx::raw_sql("CREATE TABLE copied (n int, t text)").execute(&mut c).await?;
    let mut copy = c.copy_in_raw("COPY copied FROM STDIN").await?;
    let lines: String = (0..ROWS).map(|i| format!("{i}\trow\\t{i}\n")).collect();
    for part in lines.as_bytes().chunks(10_000) {
        copy.send(part).await?;
    }
    equal(copy.finish().await?, ROWS as u64)?;
    let mut wrong = c.copy_in_raw("COPY copied FROM STDIN").await?;
    wrong.send(&b"1\tgood\nbad\tbad\n"[..]).await?;
    fails("22P02", wrong.finish().await)?;
    let row = sqlx::query("SELECT count(*), sum(n) FROM copied WHERE t = E'row\\t' || n").fetch_one(&mut c).await?;
    equal((row.get(0), row.get(1)), (ROWS, ROWS * (ROWS - 1) / 2))?;
    Ok(c.close().await?)
}

async fn copy_out(place: &Place) -> Result<()> {
    let pool = PgPoolOptions::new().max_connections(1).connect(&place.uri).await?;
    let query = format!("COPY (SELECT i, repeat('x', 100) FROM generate_series(1, {ROWS}) i) TO STDOUT");
    let text = pool.copy_out_raw(&query).await?.try_collect::<Vec<_>>().await?.concat();
    let text = std::str::from_utf8(&text)?;
    equal(text.lines().count(), ROWS as usize)?;
    equal(text.lines().last(), Some(format!("{ROWS}\t{}", "x".repeat(100)).as_str()))?;
    let wrong = pool.copy_out_raw("COPY (SELECT 1 / (100 - i) FROM generate_series(1, 200) i) TO STDOUT").await;
    let wrong = match wrong {
        Ok(stream) => stream.try_collect::<Vec<_>>().await.map(drop),
        Err(error) => Err(error),
    };
    fails("22012", wrong)?;
    equal(sqlx::query_scalar("SELECT 1").fetch_one(&pool).await?, 1)?;
    pool.close().await;
    Ok(())
}

async fn listen_notify(place: &Place) -> Result<()> {
    let mut a = PgListener::connect(&place.uri).await?;
    let mut b = connect(place).await?;
    a.listen("news").await?;
    sqlx::raw_sql("BEGIN; NOTIFY news, 'rolled back'; ROLLBACK").execute(&mut b).await?;
    sqlx::query("SELECT pg_notify('news', $1)").bind("one").execute(&mut b).await?;
    sqlx::raw_sql("NOTIFY news, 'two'").execute(&mut b).await?;
    let pid = pid(&mut b).await? as u32;
    for payload in ["one", "two"] {
        let got = a.recv().await?;
        equal((got.channel(), got.payload(), got.process_id()), ("news", payload, pid))?;
    }
    Ok(b.close().await?)
}

async fn cursor(place: &Place) -> Result<()> {
    let mut c = connect(place).await?;
    let mut transaction = c.begin().await?;
    let declare = format!("DECLARE ours CURSOR FOR SELECT i FROM generate_series(1, {ROWS}) i");
    sqlx::query(AssertSqlSafe(declare)).execute(&mut *transaction).await?;
    let mut total = 0;
    loop {
        let rows: Vec<i32> = sqlx::query_scalar("FETCH 500 FROM ours").fetch_all(&mut *transaction).await?;
        if rows.is_empty() {
            break;
        }
        total += rows.into_iter().map(i64::from).sum::<i64>();
    }
    equal(total, ROWS * (ROWS + 1) / 2)?;
    transaction.commit().await?;
    // a stream that is not read to its end
    {
        let mut rows = sqlx::query_scalar::<_, i32>("SELECT i FROM generate_series(1, 100000) i").fetch(&mut c);
        equal(rows.try_next().await?, Some(1))?;
    }
    equal(sqlx::query_scalar("SELECT 1").fetch_one(&mut c).await?, 1)?;
    Ok(c.close().await?)
}

async fn cancel(place: &Place) -> Result<()> {
    let (mut a, mut b) = (connect(place).await?, connect(place).await?);
    let pid = pid(&mut a).await?;
    // sqlx has no call that sends a cancel request
    let cancel = async {
        until(&mut b, ASLEEP, Some(pid)).await?;
        until(&mut b, "SELECT pg_cancel_backend($1)", Some(pid)).await
    };
    let (ended, cancelled) = future::join(sqlx::query("SELECT pg_sleep(60)").execute(&mut a), cancel).await;
    cancelled?;
    fails("57014", ended)?;
    equal(sqlx::query_scalar("SELECT 1").fetch_one(&mut a).await?, 1)?;
    a.close().await?;
    Ok(b.close().await?)
}

async fn transactions(place: &Place) -> Result<()> {
    let (mut a, mut b, mut watch) = (connect(place).await?, connect(place).await?, connect(place).await?);
    sqlx::raw_sql("CREATE TABLE account (id int PRIMARY KEY, n int); INSERT INTO account VALUES (1, 10), (2, 20)")
        .execute(&mut a)
        .await?;
    let one = "SELECT n FROM account WHERE id = 1";
    let mut first = a.begin().await?;
    sqlx::query("UPDATE account SET n = 11 WHERE id = 1").execute(&mut *first).await?;
    equal(sqlx::query_scalar(one).fetch_one(&mut b).await?, 10)?;
    let commit = async {
        until(&mut watch, BLOCKED, None).await?;
        anyhow::Ok(first.commit().await?)
    };
    let waiting = sqlx::query("UPDATE account SET n = n + 100 WHERE id = 1").execute(&mut b);
    let (waited, committed) = future::join(waiting, commit).await;
    committed?;
    equal(waited?.rows_affected(), 1)?;
    equal(sqlx::query_scalar(one).fetch_one(&mut a).await?, 111)?;
    let mut first = a.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    let mut second = b.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    sqlx::query("SELECT * FROM account").fetch_all(&mut *first).await?;
    sqlx::query("SELECT * FROM account").fetch_all(&mut *second).await?;
    sqlx::query("UPDATE account SET n = 0 WHERE id = 2").execute(&mut *first).await?;
    first.commit().await?;
    fails("40001", sqlx::query("UPDATE account SET n = 1 WHERE id = 2").execute(&mut *second).await)?;
    fails("25P02", sqlx::query("SELECT 1").execute(&mut *second).await)?;
    second.rollback().await?;
    equal(sqlx::query_scalar("SELECT n FROM account WHERE id = 2").fetch_one(&mut b).await?, 0)
}

async fn client_dies_query(place: &Place) -> Result<()> {
    let mut watch = connect(place).await?;
    let options = place.uri.parse::<PgConnectOptions>()?.options([("client_connection_check_interval", "100ms")]);
    let mut victim = PgConnection::connect_with(&options).await?;
    let pid = pid(&mut victim).await?;
    // the connection goes with the task that is aborted
    let sleeping =
        tokio::spawn(async move { sqlx::query("SELECT pg_sleep(600)").execute(&mut victim).await.map(drop) });
    until(&mut watch, ASLEEP, Some(pid)).await?;
    sleeping.abort();
    until(&mut watch, GONE, Some(pid)).await
}

async fn client_dies_copy(place: &Place) -> Result<()> {
    let mut watch = connect(place).await?;
    sqlx::raw_sql("CREATE TABLE torn (t text)").execute(&mut watch).await?;
    let mut victim = connect(place).await?;
    let pid = pid(&mut victim).await?;
    let (begun, began) = tokio::sync::oneshot::channel();
    let copying = tokio::spawn(async move {
        let mut copy = victim.copy_in_raw("COPY torn FROM STDIN").await?;
        copy.send(b"a row\n".repeat(10_000)).await?;
        let _ = begun.send(());
        future::pending::<sqlx::Result<()>>().await
    });
    began.await.context("COPY did not begin")?;
    copying.abort();
    until(&mut watch, GONE, Some(pid)).await?;
    equal(sqlx::query_scalar("SELECT count(*) FROM torn").fetch_one(&mut watch).await?, 0_i64)
}

async fn hundred_connections(place: &Place) -> Result<()> {
    let mut c = connect(place).await?;
    sqlx::raw_sql("CREATE TABLE hundred (n int)").execute(&mut c).await?;
    let options = place.uri.parse::<PgConnectOptions>()?.application_name("hundred");
    let pool = PgPoolOptions::new().max_connections(100).connect_with(options).await?;
    let clients = future::try_join_all((0..100).map(|_| pool.acquire())).await?;
    future::try_join_all(clients.into_iter().enumerate().map(|(n, mut client)| async move {
        sqlx::query("INSERT INTO hundred VALUES ($1)").bind(n as i32).execute(&mut *client).await?;
        equal(sqlx::query_scalar(HUNDRED).fetch_one(&mut *client).await?, 100_i64)
    }))
    .await?;
    pool.close().await;
    let row = sqlx::query("SELECT count(*), sum(n) FROM hundred").fetch_one(&mut c).await?;
    equal((row.get(0), row.get(1)), (100_i64, 4950_i64))?;
    until(&mut c, "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'hundred'", None).await
}

async fn unix_socket(place: &Place) -> Result<()> {
    let mut c = PgConnection::connect(&place.socket_uri()?).await?;
    let large = "y".repeat(1 << 20);
    let back: String = sqlx::query_scalar("SELECT $1::text").bind(&large).fetch_one(&mut c).await?;
    ensure!(back == large, "1 MiB comes back");
    equal(sqlx::query_scalar("SELECT inet_server_addr() IS NULL").fetch_one(&mut c).await?, true)
}
