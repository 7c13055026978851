//! `tokio-postgres`: in memory through `Database::connect_raw`, which gives it a stream instead of an address.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, TryStreamExt, future, stream};
use libpglite::Session;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, IsolationLevel, NoTls, Notification};

use crate::harness::{ASLEEP, BLOCKED, GONE, HUNDRED, Place, ROWS, Scenario, equal, fails};

pub const SCENARIOS: [Scenario; 14] = [
    ("simple-query", |place| run(simple_query(place))),
    ("extended-query", |place| run(extended_query(place))),
    ("prepared-names", |place| run(prepared_names(place))),
    ("pipeline-error", |place| run(pipeline_error(place))),
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

pub fn run(scenario: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(60), scenario).await.context("no end after 60 s")? })
}

/// A client, and what drives its connection.
struct Driven {
    client: Client,
    task: JoinHandle<()>,
    notifications: UnboundedReceiver<Notification>,
}

impl std::ops::Deref for Driven {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

async fn connect(place: &Place) -> Result<Driven> {
    connect_as(place, "drivers").await
}

async fn connect_as(place: &Place, application: &str) -> Result<Driven> {
    match &place.database {
        Some(database) => {
            let (client, connection) = database.connect_raw(&Session::new().application_name(application)).await?;
            Ok(drive(client, connection))
        }
        None => {
            let config = place.uri.parse::<Config>()?.application_name(application).clone();
            let (client, connection) = config.connect(NoTls).await?;
            Ok(drive(client, connection))
        }
    }
}

fn drive<S, T>(client: Client, mut connection: Connection<S, T>) -> Driven
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: TlsStream + Unpin + Send + 'static,
{
    let (sender, notifications) = unbounded_channel();
    let task = tokio::spawn(async move {
        let mut messages = pin!(stream::poll_fn(move |context| connection.poll_message(context)));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(notification) = message {
                let _ = sender.send(notification);
            }
        }
    });
    Driven { client, task, notifications }
}

async fn pid(c: &Client) -> Result<i32> {
    Ok(c.query_one("SELECT pg_backend_pid()", &[]).await?.get(0))
}

async fn until(c: &Client, query: &str, pid: Option<i32>) -> Result<()> {
    for _ in 0..3000 {
        let row = match &pid {
            Some(pid) => c.query_one(query, &[pid]).await?,
            None => c.query_one(query, &[]).await?,
        };
        if row.get(0) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("never true: {query}")
}

async fn simple_query(place: &Place) -> Result<()> {
    let c = connect(place).await?;
    let text = "CREATE TABLE simple (n int); INSERT INTO simple VALUES (1), (2); SELECT sum(n) FROM simple";
    let messages = c.simple_query(text).await?;
    let sum = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    equal(sum, Some("3"))?;
    fails("42P01", c.simple_query("SELECT * FROM no_such_table").await)?;
    fails("22012", c.batch_execute("INSERT INTO simple VALUES (9); SELECT 1 / 0").await)?;
    equal(c.query_one("SELECT count(*) FROM simple", &[]).await?.get(0), 2_i64)
}

async fn extended_query(place: &Place) -> Result<()> {
    let c = connect(place).await?;
    let at = std::time::UNIX_EPOCH + Duration::from_secs(1_709_208_000);
    let (text, bytes, array) = ("zażółć", &[0_u8, 255][..], vec![Some(1), None, Some(3)]);
    let query = "SELECT $1::int8, $2::text, $3::bytea, $4::float8, $5::timestamptz, $6::int[], $7::jsonb, $8::text";
    let json = serde_json::json!({"a": [1]});
    let row = c.query_one(query, &[&(1_i64 << 40), &text, &bytes, &0.1_f64, &at, &array, &json, &None::<&str>]).await?;
    equal((row.get(0), row.get(1), row.get(2), row.get(3)), (1_i64 << 40, text, bytes, 0.1_f64))?;
    equal((row.get(4), row.get(5), row.get(6), row.get(7)), (at, array, json, None::<&str>))?;
    let large = "x".repeat(4 << 20);
    ensure!(c.query_one("SELECT $1::text", &[&large]).await?.get::<_, &str>(0) == large, "4 MiB come back");
    fails("22012", c.query("SELECT 1 / $1::int", &[&0]).await)?;
    equal(c.query_one("SELECT $1::int + 1", &[&1]).await?.get(0), 2)
}

async fn prepared_names(place: &Place) -> Result<()> {
    let (a, b) = (connect(place).await?, connect(place).await?);
    let (one, other) = (a.prepare("SELECT $1::int + 1").await?, b.prepare("SELECT $1::text || 'b'").await?);
    // the crate counts names in the whole program; SQL's can collide
    a.batch_execute("PREPARE same AS SELECT 'a'").await?;
    b.batch_execute("PREPARE same AS SELECT 'b'").await?;
    for i in 0..20 {
        equal(a.query_one(&one, &[&i]).await?.get(0), i + 1)?;
        equal(b.query_one(&other, &[&i.to_string()]).await?.get(0), format!("{i}b"))?;
        equal(a.query_one("EXECUTE same", &[]).await?.get(0), "a")?;
        equal(b.query_one("EXECUTE same", &[]).await?.get(0), "b")?;
    }
    a.batch_execute("DEALLOCATE same").await?;
    equal(b.query_one("EXECUTE same", &[]).await?.get(0), "b")?;
    fails("26000", a.batch_execute("EXECUTE same").await)
}

async fn pipeline_error(place: &Place) -> Result<()> {
    let c = connect(place).await?;
    c.batch_execute("CREATE TABLE pipeline (n int PRIMARY KEY)").await?;
    // futures that are polled together are sent together; each has a Sync of its own
    let insert = c.prepare("INSERT INTO pipeline VALUES ($1)").await?;
    let numbers: Vec<i32> = (0..200).map(|n| if n == 100 { 1 } else { n }).collect();
    let parameters: Vec<[&(dyn tokio_postgres::types::ToSql + Sync); 1]> = numbers.iter().map(|n| [n as _]).collect();
    let ended = future::join_all(parameters.iter().map(|one| c.execute(&insert, one))).await;
    for (n, result) in ended.into_iter().enumerate() {
        if n == 100 {
            fails("23505", result)?;
        } else {
            equal(result?, 1)?;
        }
    }
    equal(c.query_one("SELECT count(*) FROM pipeline", &[]).await?.get(0), 199_i64)
}

async fn copy_in(place: &Place) -> Result<()> {
    let c = connect(place).await?;
    c.batch_execute("CREATE TABLE copied (n int, t text)").await?;
    let mut copy = pin!(c.copy_in::<_, Bytes>("COPY copied FROM STDIN").await?);
    for i in 0..ROWS {
        copy.feed(format!("{i}\trow\\t{i}\n").into()).await?;
    }
    equal(copy.as_mut().finish().await?, ROWS as u64)?;
    let mut wrong = pin!(c.copy_in::<_, Bytes>("COPY copied FROM STDIN").await?);
    wrong.send("1\tgood\nbad\tbad\n".into()).await?;
    fails("22P02", wrong.as_mut().finish().await)?;
    let row = c.query_one("SELECT count(*), sum(n) FROM copied WHERE t = E'row\\t' || n", &[]).await?;
    equal((row.get(0), row.get(1)), (ROWS, ROWS * (ROWS - 1) / 2))
}

async fn copy_out(place: &Place) -> Result<()> {
    let c = connect(place).await?;
    let query = format!("COPY (SELECT i, repeat('x', 100) FROM generate_series(1, {ROWS}) i) TO STDOUT");
    let text = c.copy_out(&query).await?.try_collect::<Vec<Bytes>>().await?.concat();
    let text = std::str::from_utf8(&text)?;
    equal(text.lines().count(), ROWS as usize)?;
    equal(text.lines().last(), Some(format!("{ROWS}\t{}", "x".repeat(100)).as_str()))?;
    let wrong = c.copy_out("COPY (SELECT 1 / (100 - i) FROM generate_series(1, 200) i) TO STDOUT").await?;
    fails("22012", wrong.try_collect::<Vec<Bytes>>().await)?;
    equal(c.query_one("SELECT 1", &[]).await?.get(0), 1)
}

async fn listen_notify(place: &Place) -> Result<()> {
    let (mut a, b) = (connect(place).await?, connect(place).await?);
    a.batch_execute("LISTEN news").await?;
    b.batch_execute("BEGIN; NOTIFY news, 'rolled back'; ROLLBACK").await?;
    b.execute("SELECT pg_notify('news', $1)", &[&"one"]).await?;
    b.batch_execute("NOTIFY news, 'two'").await?;
    let pid = pid(&b).await?;
    for payload in ["one", "two"] {
        let got = a.notifications.recv().await.context("the connection ended")?;
        equal((got.channel(), got.payload(), got.process_id()), ("news", payload, pid))?;
    }
    Ok(())
}

async fn cursor(place: &Place) -> Result<()> {
    let mut c = connect(place).await?;
    let transaction = c.client.transaction().await?;
    let portal = transaction.bind("SELECT i FROM generate_series(1, $1) i", &[&(ROWS as i32)]).await?;
    let mut total = 0;
    loop {
        let rows = transaction.query_portal(&portal, 500).await?;
        if rows.is_empty() {
            break;
        }
        total += rows.iter().map(|row| i64::from(row.get::<_, i32>(0))).sum::<i64>();
    }
    equal(total, ROWS * (ROWS + 1) / 2)?;
    let early = transaction.bind("SELECT i FROM generate_series(1, 1000) i", &[]).await?;
    equal(transaction.query_portal(&early, 3).await?.len(), 3)?;
    drop(early);
    transaction.commit().await?;
    equal(c.query_one("SELECT 1", &[]).await?.get(0), 1)
}

async fn cancel(place: &Place) -> Result<()> {
    let (a, b) = (connect(place).await?, connect(place).await?);
    let (pid, token) = (pid(&a).await?, a.cancel_token());
    let asleep = async {
        until(&b, ASLEEP, Some(pid)).await?;
        match &place.database {
            Some(database) => database.cancel(&token).await?,
            None => token.cancel_query(NoTls).await?,
        }
        anyhow::Ok(())
    };
    let (ended, cancelled) = future::join(a.batch_execute("SELECT pg_sleep(60)"), asleep).await;
    cancelled?;
    fails("57014", ended)?;
    equal(a.query_one("SELECT 1", &[]).await?.get(0), 1)
}

async fn transactions(place: &Place) -> Result<()> {
    let (mut a, mut b, watch) = (connect(place).await?, connect(place).await?, connect(place).await?);
    a.batch_execute("CREATE TABLE account (id int PRIMARY KEY, n int); INSERT INTO account VALUES (1, 10), (2, 20)")
        .await?;
    let one = "SELECT n FROM account WHERE id = 1";
    let first = a.client.transaction().await?;
    first.execute("UPDATE account SET n = 11 WHERE id = 1", &[]).await?;
    equal(b.query_one(one, &[]).await?.get(0), 10)?;
    let commit = async {
        until(&watch, BLOCKED, None).await?;
        anyhow::Ok(first.commit().await?)
    };
    let (waited, committed) = future::join(b.execute("UPDATE account SET n = n + 100 WHERE id = 1", &[]), commit).await;
    committed?;
    equal(waited?, 1)?;
    equal(a.query_one(one, &[]).await?.get(0), 111)?;
    let first = a.client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await?;
    let second = b.client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await?;
    first.query("SELECT * FROM account", &[]).await?;
    second.query("SELECT * FROM account", &[]).await?;
    first.execute("UPDATE account SET n = 0 WHERE id = 2", &[]).await?;
    first.commit().await?;
    fails("40001", second.execute("UPDATE account SET n = 1 WHERE id = 2", &[]).await)?;
    fails("25P02", second.query("SELECT 1", &[]).await)?;
    second.rollback().await?;
    equal(b.query_one("SELECT n FROM account WHERE id = 2", &[]).await?.get(0), 0)
}

async fn client_dies_query(place: &Place) -> Result<()> {
    let watch = connect(place).await?;
    let victim = connect(place).await?;
    victim.batch_execute("SET client_connection_check_interval = '100ms'").await?;
    let pid = pid(&victim).await?;
    let die = async {
        until(&watch, ASLEEP, Some(pid)).await?;
        // the task owns the socket
        victim.task.abort();
        anyhow::Ok(())
    };
    let (ended, died) = future::join(victim.batch_execute("SELECT pg_sleep(600)"), die).await;
    died?;
    ensure!(ended.is_err(), "the client hears of it");
    until(&watch, GONE, Some(pid)).await
}

async fn client_dies_copy(place: &Place) -> Result<()> {
    let watch = connect(place).await?;
    watch.batch_execute("CREATE TABLE torn (t text)").await?;
    let victim = connect(place).await?;
    let pid = pid(&victim).await?;
    let mut copy = pin!(victim.copy_in::<_, Bytes>("COPY torn FROM STDIN").await?);
    copy.send(b"a row\n".repeat(10_000).into()).await?;
    victim.task.abort();
    until(&watch, GONE, Some(pid)).await?;
    equal(watch.query_one("SELECT count(*) FROM torn", &[]).await?.get(0), 0_i64)
}

async fn hundred_connections(place: &Place) -> Result<()> {
    let c = connect(place).await?;
    c.batch_execute("CREATE TABLE hundred (n int)").await?;
    let clients = future::try_join_all((0..100).map(|_| connect_as(place, "hundred"))).await?;
    let numbers: Vec<i32> = (0..100).collect();
    future::try_join_all(clients.iter().zip(&numbers).map(|(client, n)| async move {
        client.execute("INSERT INTO hundred VALUES ($1)", &[n]).await?;
        equal(client.query_one(HUNDRED, &[]).await?.get(0), 100_i64)
    }))
    .await?;
    drop(clients);
    let row = c.query_one("SELECT count(*), sum(n) FROM hundred", &[]).await?;
    equal((row.get(0), row.get(1)), (100_i64, 4950_i64))?;
    until(&c, &format!("SELECT ({HUNDRED}) = 0"), None).await
}

async fn unix_socket(place: &Place) -> Result<()> {
    let (client, connection) = tokio_postgres::connect(&place.socket_uri()?, NoTls).await?;
    let c = drive(client, connection);
    let large = "y".repeat(1 << 20);
    ensure!(c.query_one("SELECT $1::text", &[&large]).await?.get::<_, &str>(0) == large, "1 MiB comes back");
    equal(c.query_one("SELECT inet_server_addr() IS NULL", &[]).await?.get(0), true)
}
