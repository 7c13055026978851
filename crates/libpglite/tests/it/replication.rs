//! Databases that follow each other, and the replication protocol.

use crate::support::{directory_with, memory_with, until};
use libpglite::Access;
use std::io::{Read, Write};

#[test]
fn a_subscription_follows_a_publication() {
    let sockets = tempfile::tempdir().unwrap();
    let publisher = memory_with(|b| b.setting("wal_level", "logical").listen_socket(sockets.path()).password("secret"));
    let mut source = publisher.connect().unwrap();
    source
        .batch_execute("CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100); CREATE PUBLICATION p FOR TABLE t")
        .unwrap();
    let subscriber = memory_with(|b| b.allow_network(true).allow_path(sockets.path(), Access::ReadWrite));
    let mut copy = subscriber.connect().unwrap();
    copy.batch_execute("CREATE TABLE t (a int PRIMARY KEY)").unwrap();
    copy.batch_execute(&format!(
        "CREATE SUBSCRIPTION s CONNECTION 'host={} user=postgres password=secret dbname=postgres' PUBLICATION p",
        sockets.path().display()
    ))
    .unwrap();
    let mut count = || copy.query_one("SELECT count(*) FROM t", &[]).unwrap().get::<_, i64>(0);
    until("the table is copied", || count() == 100);
    source.batch_execute("INSERT INTO t SELECT generate_series(101, 200); DELETE FROM t WHERE a <= 10").unwrap();
    until("the changes come over", || count() == 190);
    copy.batch_execute("DROP SUBSCRIPTION s").unwrap();
    subscriber.close();
    publisher.close();
}

#[test]
fn the_replication_protocol_is_spoken() {
    let db = directory_with(|b| b);
    let mut stream = db.stream().unwrap();
    let body = b"\0\x03\0\0user\0postgres\0replication\0true\0\0";
    stream.write_all(&(body.len() as u32 + 4).to_be_bytes()).unwrap();
    stream.write_all(body).unwrap();
    until_ready(&mut stream);
    let command = b"IDENTIFY_SYSTEM\0";
    stream.write_all(b"Q").unwrap();
    stream.write_all(&(command.len() as u32 + 4).to_be_bytes()).unwrap();
    stream.write_all(command).unwrap();
    let reply = String::from_utf8_lossy(&until_ready(&mut stream)).into_owned();
    let row = db.connect().unwrap().query_one("SELECT system_identifier::text FROM pg_control_system()", &[]).unwrap();
    assert!(reply.contains(row.get::<_, &str>(0)), "{reply}");
    drop(stream);
    db.close();
}

/// Reads messages up to `ReadyForQuery`; their bodies.
fn until_ready(stream: &mut impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize - 4;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        if head[0] == b'Z' {
            return all;
        }
        all.extend(body);
    }
}
