//! PostgreSQL's larger features: each needs another part of what the processes run on.

use crate::support::{memory, memory_with, until};
use std::io::{Read, Write};

#[test]
fn parallel_query_uses_workers() {
    let db = memory_with(|b| {
        b.setting("min_parallel_table_scan_size", "0")
            .setting("parallel_setup_cost", "0")
            .setting("parallel_tuple_cost", "0")
    });
    let mut client = db.connect().unwrap();
    client.batch_execute("CREATE TABLE t AS SELECT generate_series(1, 100000) AS a; ANALYZE t").unwrap();
    let plan = client.query("EXPLAIN (ANALYZE, COSTS OFF) SELECT sum(a) FROM t", &[]).unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    let launched = plan.iter().filter_map(|l| l.trim().strip_prefix("Workers Launched: ")).next().unwrap_or("0");
    assert!(launched.parse::<i32>().unwrap() > 0, "{plan:#?}");
    for _ in 0..20 {
        let row = client.query_one("SELECT sum(a::bigint)::bigint FROM t", &[]).unwrap();
        assert_eq!(row.get::<_, i64>(0), 5_000_050_000);
    }
    client.batch_execute("SET max_parallel_maintenance_workers = 2; CREATE INDEX ON t (a)").unwrap();
    db.close();
}

#[test]
fn autovacuum_runs() {
    let db = memory_with(|b| b.setting("autovacuum_naptime", "1s").setting("autovacuum_vacuum_threshold", "1"));
    let mut client = db.connect().unwrap();
    client
        .batch_execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS a; DELETE FROM t WHERE a % 2 = 0")
        .unwrap();
    let sql = "SELECT autovacuum_count FROM pg_stat_user_tables WHERE relname = 't'";
    until("autovacuum came by", || client.query_one(sql, &[]).unwrap().get::<_, i64>(0) > 0);
    db.close();
}

#[test]
fn logical_decoding_delivers_changes() {
    let db = memory_with(|b| b.setting("wal_level", "logical"));
    let mut client = db.connect().unwrap();
    client.batch_execute("CREATE TABLE t (a int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t").unwrap();
    for plugin in ["test_decoding", "pgoutput"] {
        client.query("SELECT pg_create_logical_replication_slot($1::text::name, $1::text::name)", &[&plugin]).unwrap();
    }
    client.batch_execute("INSERT INTO t VALUES (42); DELETE FROM t").unwrap();
    let changes =
        client.query("SELECT data FROM pg_logical_slot_get_changes('test_decoding', NULL, NULL)", &[]).unwrap();
    let changes: Vec<String> = changes.iter().map(|row| row.get(0)).collect();
    assert!(changes.iter().any(|c| c == "table public.t: INSERT: a[integer]:42"), "{changes:?}");
    assert!(changes.iter().any(|c| c.contains("DELETE: a[integer]:42")), "{changes:?}");
    let messages = client
        .query(
            "SELECT data FROM pg_logical_slot_get_binary_changes('pgoutput', NULL, NULL, \
             'proto_version', '1', 'publication_names', 'p')",
            &[],
        )
        .unwrap();
    let kinds: Vec<u8> = messages.iter().map(|row| row.get::<_, &[u8]>(0)[0]).collect();
    assert_eq!(String::from_utf8(kinds).unwrap(), "BRIDC", "begin, relation, insert, delete, commit");
    db.close();
}

#[test]
fn extensions_are_there() {
    let db = memory();
    let mut client = db.connect().unwrap();
    for name in ["hstore", "pg_trgm", "citext", "postgres_fdw", "btree_gist", "ltree", "intarray", "tablefunc", "cube"]
    {
        client.batch_execute(&format!("CREATE EXTENSION {name}")).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let row = client
        .query_one(
            "SELECT ('a=>1, b=>2'::hstore -> 'b'), similarity('word', 'words')::float8, 'A'::citext = 'a', \
             'a.b.c'::ltree <@ 'a.b', sort('{3,1,2}'::int[])",
            &[],
        )
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "2");
    assert!(row.get::<_, f64>(1) > 0.5);
    assert!(row.get::<_, bool>(2) && row.get::<_, bool>(3));
    assert_eq!(row.get::<_, Vec<i32>>(4), [1, 2, 3]);
    client
        .batch_execute(
            "CREATE TABLE t (a text); CREATE INDEX ON t USING gin (a gin_trgm_ops); INSERT INTO t VALUES ('needle')",
        )
        .unwrap();
    client.batch_execute("SET enable_seqscan = off").unwrap();
    assert_eq!(client.query("SELECT * FROM t WHERE a LIKE '%eedl%'", &[]).unwrap().len(), 1);
    // Every session loads the modules anew.
    let mut other = db.connect().unwrap();
    assert_eq!(other.query_one("SELECT 'x=>y'::hstore -> 'x'", &[]).unwrap().get::<_, &str>(0), "y");
    db.close();
}

#[test]
fn preloaded_modules_work() {
    let db = memory_with(|b| b.setting("shared_preload_libraries", "pg_stat_statements"));
    let mut client = db.connect().unwrap();
    client.batch_execute("CREATE EXTENSION pg_stat_statements").unwrap();
    client.batch_execute("SELECT 4711 AS remarkable").unwrap();
    let sql = "SELECT calls FROM pg_stat_statements WHERE query LIKE '%remarkable'";
    assert_eq!(client.query_one(sql, &[]).unwrap().get::<_, i64>(0), 1);
    db.close();
}

#[test]
fn plpgsql_catches_errors() {
    let db = memory();
    let mut client = db.connect().unwrap();
    client
        .batch_execute(
            "CREATE FUNCTION safe_divide(a int, b int) RETURNS int LANGUAGE plpgsql AS $$
             BEGIN
               RETURN a / b;
             EXCEPTION WHEN division_by_zero THEN
               RETURN NULL;
             END $$",
        )
        .unwrap();
    let row = client.query_one("SELECT safe_divide(6, 3), safe_divide(1, 0)", &[]).unwrap();
    assert_eq!((row.get::<_, Option<i32>>(0), row.get::<_, Option<i32>>(1)), (Some(2), None));
    let sql = "SELECT count(*) FROM generate_series(1, 2000) a WHERE safe_divide(a, a % 2) IS NULL";
    assert_eq!(client.query_one(sql, &[]).unwrap().get::<_, i64>(0), 1000);
    db.close();
}

#[test]
fn full_text_search_stems() {
    let db = memory();
    let mut client = db.connect().unwrap();
    let row = client
        .query_one(
            "SELECT to_tsvector('english', 'The foxes were running') @@ to_tsquery('english', 'fox & run'), \
             to_tsvector('german', 'Häuser')::text",
            &[],
        )
        .unwrap();
    assert!(row.get::<_, bool>(0));
    assert_eq!(row.get::<_, &str>(1), "'haus':1");
    db.close();
}

#[test]
fn copy_in_and_out() {
    let db = memory();
    let mut client = db.connect().unwrap();
    client.batch_execute("CREATE TABLE t (a int, b text)").unwrap();
    let mut writer = client.copy_in("COPY t FROM STDIN").unwrap();
    for i in 0..20_000 {
        writeln!(writer, "{i}\trow number {i}").unwrap();
    }
    assert_eq!(writer.finish().unwrap(), 20_000);
    let mut text = String::new();
    client
        .copy_out("COPY (SELECT * FROM t ORDER BY a) TO STDOUT (FORMAT csv)")
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text.lines().count(), 20_000);
    assert_eq!(text.lines().last(), Some("19999,row number 19999"));
    let bad = client.copy_in("COPY t FROM STDIN").and_then(|mut w| {
        w.write_all(b"not a number\tx\n").unwrap();
        w.finish()
    });
    assert_eq!(crate::support::sqlstate(bad), "22P02");
    client.batch_execute("SELECT 1").unwrap();
    db.close();
}

#[test]
fn large_objects() {
    let db = memory();
    let mut client = db.connect().unwrap();
    let content: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
    let id: u32 = client.query_one("SELECT lo_from_bytea(0, $1)", &[&content]).unwrap().get(0);
    let back: Vec<u8> = client.query_one("SELECT lo_get($1)", &[&id]).unwrap().get(0);
    assert!(back == content);
    let part: Vec<u8> = client.query_one("SELECT lo_get($1, 500000, 4)", &[&id]).unwrap().get(0);
    assert_eq!(part, content[500_000..500_004]);
    db.close();
}

#[test]
fn sorts_and_hashes_spill() {
    let db = memory_with(|b| b.setting("work_mem", "64kB"));
    let mut client = db.connect().unwrap();
    let sql = "SELECT count(*) FROM (SELECT a FROM generate_series(1, 200000) a ORDER BY md5(a::text)) x";
    assert_eq!(client.query_one(sql, &[]).unwrap().get::<_, i64>(0), 200_000);
    let row = client.query_one("SELECT sum(temp_files)::bigint > 0 FROM pg_stat_database", &[]);
    assert!(row.is_ok());
    db.close();
}

#[test]
fn dates_know_time_zones() {
    let db = memory();
    let mut client = db.connect().unwrap();
    client.batch_execute("SET timezone = 'Europe/Berlin'").unwrap();
    let row = client.query_one("SELECT ('2026-07-01 12:00+00'::timestamptz)::text", &[]).unwrap();
    assert_eq!(row.get::<_, &str>(0), "2026-07-01 14:00:00+02");
    db.close();
}
