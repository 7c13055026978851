//! Replication of ours with stock servers, both ways: a standby that is promoted, the former primary that follows it, and logical
//! replication.

mod node;

use anyhow::{Result, ensure};

use super::lab::Lab;
use node::{Holder, Node};

/// Runs all of it. What was tried, and how it went.
pub(crate) fn run(lab: &Lab) -> Result<Vec<(String, Result<()>)>> {
    let mut results = Vec::new();
    for (one, other) in [(Holder::Ours, Holder::Stock), (Holder::Stock, Holder::Ours)] {
        let pair = format!("{}-to-{}", one.name(), other.name());
        for (kind, scenario) in [("physical", physical as Scenario<'_>), ("logical", logical)] {
            let name = format!("replication/{kind}-{pair}");
            let folder = lab.folder(&name.replace('/', "-"))?;
            let nodes = (Node::new(lab, one, folder.join("a"))?, Node::new(lab, other, folder.join("b"))?);
            results.push((name, scenario(nodes.0, nodes.1)));
        }
    }
    Ok(results)
}

type Scenario<'a> = fn(Node<'a>, Node<'a>) -> Result<()>;

/// About every kind of thing that is replicated in a way of its own.
const OBJECTS: &str = "
CREATE TABLE kept (id int PRIMARY KEY, text text);
CREATE INDEX ON kept USING gin (to_tsvector('simple', text));
INSERT INTO kept SELECT i, repeat(md5(i::text), 1 + i % 200) FROM generate_series(1, 2000) i;
CREATE SEQUENCE counter;
SELECT setval('counter', 100);
CREATE UNLOGGED TABLE unlogged AS SELECT 1 AS a;
SELECT lo_from_bytea(4711, 'large');
CREATE MATERIALIZED VIEW summary AS SELECT count(*) FROM kept;
CREATE DATABASE other;
CREATE ROLE somebody PASSWORD 'secret';
BEGIN; INSERT INTO kept VALUES (0, 'prepared'); PREPARE TRANSACTION 'pending';";

/// A standby follows, and is checked; it is promoted, and the former primary, which has gone on by itself, is made to follow it.
fn physical<'a>(mut primary: Node<'a>, mut standby: Node<'a>) -> Result<()> {
    primary.initialize()?;
    primary.start()?;
    primary.sql("CREATE TABLE early AS SELECT 1 AS a")?;
    standby.copy_from(&primary, "follower")?;
    standby.start()?;
    for statement in OBJECTS.split_inclusive(";\n").filter(|text| !text.trim().is_empty()) {
        primary.sql(statement)?;
    }
    primary.tool("pgbench", &["--initialize", "--quiet", "postgres"])?;
    primary.tool("pgbench", &["--client=4", "--transactions=250", "--no-vacuum", "postgres"])?;
    check_copy(&primary, &standby)?;

    // who has been told that it is committed sees it on the standby
    primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")?;
    primary.sql("SELECT pg_reload_conf()")?;
    primary.until("SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'")?;
    for row in 3000..3010 {
        primary.sql(&format!("SET synchronous_commit = remote_apply; INSERT INTO kept VALUES ({row}, 'in step')"))?;
        let seen = standby.sql(&format!("SELECT text FROM kept WHERE id = {row}"))?;
        ensure!(seen == "in step", "the standby has not applied what its primary has committed with remote_apply");
    }
    let refused = standby.sql("INSERT INTO kept VALUES (-1, '')");
    ensure!(refused.is_err_and(|e| e.to_string().contains("read-only")), "a standby accepts changes");
    primary.sql("ALTER SYSTEM RESET synchronous_standby_names")?;
    primary.sql("SELECT pg_reload_conf()")?;

    standby.sql("SELECT pg_promote()")?;
    let (mut old, new) = (primary, standby);
    new.sql("COMMIT PREPARED 'pending'")?;
    new.sql("INSERT INTO kept VALUES (4000, 'after promotion')")?;
    new.sql("SELECT pg_create_physical_replication_slot('follower')")?;
    old.sql("INSERT INTO kept VALUES (4000, 'to be undone')")?;
    old.sql("SELECT pg_drop_replication_slot('follower') FROM pg_replication_slots WHERE NOT active").map(drop)?;
    old.stop()?;
    old.rewind_to(&new)?;
    old.start()?;
    new.tool("pgbench", &["--client=2", "--transactions=100", "--no-vacuum", "postgres"])?;
    check_copy(&new, &old)?;
    let row = old.sql("SELECT text FROM kept WHERE id IN (0, 4000) ORDER BY id")?;
    ensure!(row == "prepared\nafter promotion", "after pg_rewind the former primary has: {row}");
    let mut new = new;
    old.stop()?;
    new.stop()
}

/// Waits until a standby has everything, and compares.
fn check_copy(primary: &Node<'_>, standby: &Node<'_>) -> Result<()> {
    primary.tool("pg_amcheck", &["--all", "--install-missing", "--heapallindexed"])?;
    let end = primary.sql("SELECT pg_current_wal_flush_lsn()")?;
    standby.until(&format!("SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= '{end}'"))?;
    standby.tool("pg_amcheck", &["--all", "--heapallindexed"])?;
    let dump = |node: &Node<'_>| node.tool("pg_dumpall", &["--restrict-key=replication", "--no-unlogged-table-data"]);
    let (one, other) = (dump(primary)?, dump(standby)?);
    ensure!(one.len() > 10_000, "pg_dumpall says hardly anything:\n{one}");
    let difference = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    ensure!(one == other, "pg_dumpall says something else of the standby: {difference:?}");
    Ok(())
}

/// A subscriber copies what is there, and then gets each change: of many small transactions, of one that is streamed before it commits, and of
/// one that is prepared first.
fn logical<'a>(mut publisher: Node<'a>, mut subscriber: Node<'a>) -> Result<()> {
    for node in [&mut publisher, &mut subscriber] {
        node.initialize()?;
        node.start()?;
        node.tool("pgbench", &["--initialize", "--quiet", "postgres"])?;
        node.sql("CREATE TABLE big (id int PRIMARY KEY, text text)")?;
    }
    publisher.sql("CREATE PUBLICATION everything FOR ALL TABLES")?;
    subscriber.sql("TRUNCATE pgbench_accounts, pgbench_branches, pgbench_tellers, pgbench_history")?;
    let address = publisher.address();
    subscriber.sql(&format!(
        "CREATE SUBSCRIPTION follower CONNECTION '{address}' PUBLICATION everything WITH (streaming = parallel, two_phase = on)"
    ))?;
    publisher.tool("pgbench", &["--client=4", "--transactions=100", "--no-vacuum", "postgres"])?;
    subscriber.until("SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel")?;
    publisher.tool("pgbench", &["--client=4", "--transactions=100", "--no-vacuum", "postgres"])?;
    publisher.sql("INSERT INTO big SELECT i, md5(i::text) FROM generate_series(1, 50000) i")?;
    publisher.sql("UPDATE big SET text = 'changed' WHERE id % 3 = 0")?;
    publisher.sql("DELETE FROM big WHERE id % 7 = 0")?;
    // in one session: it is another one that prepares than that which commits
    publisher.sql("BEGIN; INSERT INTO big VALUES (100000, 'prepared'); PREPARE TRANSACTION 'pending'")?;
    subscriber.until("SELECT count(*) = 1 FROM pg_prepared_xacts")?;
    publisher.sql("COMMIT PREPARED 'pending'")?;
    caught_up(&publisher)?;
    for table in ["big", "pgbench_accounts", "pgbench_branches", "pgbench_tellers", "pgbench_history"] {
        let query = format!("SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t");
        let (one, other) = (publisher.sql(&query)?, subscriber.sql(&query)?);
        ensure!(one == other && !one.starts_with("0|"), "{table} has {one} on one side, {other} on the other");
    }
    publisher.sql("TRUNCATE big")?;
    caught_up(&publisher)?;
    ensure!(subscriber.sql("SELECT count(*) FROM big")? == "0", "TRUNCATE is not replicated");
    subscriber.sql("DROP SUBSCRIPTION follower")?;
    ensure!(
        publisher.sql("SELECT count(*) FROM pg_replication_slots")? == "0",
        "the subscription's slot is still there"
    );
    subscriber.stop()?;
    publisher.stop()
}

/// Waits until the subscription has applied everything.
fn caught_up(publisher: &Node<'_>) -> Result<()> {
    let end = publisher.sql("SELECT pg_current_wal_flush_lsn()")?;
    publisher.until(&format!(
        "SELECT count(*) = 1 FROM pg_stat_replication WHERE application_name = 'follower' AND state = 'streaming' AND replay_lsn >= '{end}'"
    ))
}
