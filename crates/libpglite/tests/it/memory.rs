//! Databases in memory.

use crate::support::{self, isolated, sqlstate};
use libpglite::Database;

#[test]
fn everything_works_in_memory() {
    let db = support::memory();
    assert!(db.is_new());
    let mut client = db.connect().unwrap();
    client
        .batch_execute(
            "CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, 20000) g",
        )
        .unwrap();
    client.batch_execute("CREATE INDEX ON t (b)").unwrap();
    client.batch_execute("DELETE FROM t WHERE a % 3 = 0").unwrap();
    for sql in ["VACUUM ANALYZE t", "VACUUM FULL t", "CLUSTER t USING t_pkey", "REINDEX TABLE t", "CHECKPOINT"] {
        client.batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    let row = client.query_one("SELECT count(*), count(DISTINCT b) FROM t", &[]).unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (13_334, 13_334));
    client.batch_execute("CREATE DATABASE copy TEMPLATE template1 STRATEGY file_copy").unwrap();
    client.batch_execute("DROP DATABASE copy").unwrap();
    client.batch_execute("TRUNCATE t; DROP TABLE t").unwrap();
    db.close();

    let db = support::memory();
    assert_eq!(sqlstate(db.connect().unwrap().query("SELECT * FROM t", &[])), "42P01");
    db.close();
}

#[test]
fn nothing_touches_the_disk() {
    isolated(|| {
        let folder = tempfile::tempdir().unwrap();
        std::env::set_current_dir(folder.path()).unwrap();
        // SAFETY: the only thread that looks at the environment.
        unsafe { std::env::set_var("TMPDIR", folder.path()) };
        let written = || -> Option<u64> {
            let text = std::fs::read_to_string("/proc/self/io").ok()?;
            text.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok())
        };
        let before = written();
        let db = Database::builder(":memory:").no_log().open().unwrap();
        let mut client = db.connect().unwrap();
        client
            .batch_execute(
                "CREATE TABLE t AS SELECT g, repeat('x', 1000) AS b FROM generate_series(1, 50000) g; CHECKPOINT",
            )
            .unwrap();
        // One that spills.
        client.batch_execute("SET work_mem = '64kB'").unwrap();
        assert_eq!(
            client
                .query_one("SELECT count(*) FROM (SELECT b FROM t ORDER BY md5(g::text)) x", &[])
                .unwrap()
                .get::<_, i64>(0),
            50_000
        );
        let size: i64 = client.query_one("SELECT pg_relation_size('t')", &[]).unwrap().get(0);
        assert!(size > 50_000_000);
        db.close().unwrap();
        assert_eq!(written(), before);
        assert!(support::contents(folder.path()).is_empty());
    });
}
