//! Depth, memory, descriptors: an SQL error, and never a trap.

use crate::support::{ask, fresh};

#[test]
fn deep_recursion_of_every_kind_is_an_sql_error() {
    let (_folder, mut session) = fresh();
    let depth = 200_000;
    let nested = |open: &str, close: &str, n: usize| format!("SELECT {}1{}", open.repeat(n), close.repeat(n));
    ask(&mut session, "CREATE FUNCTION f(a int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN f(a + 1); END $$")
        .unwrap();
    ask(&mut session, "CREATE FUNCTION g(a int) RETURNS int LANGUAGE sql AS 'SELECT g(a + 1) + 1'").ok();
    let queries = [
        ("functions", "SELECT f(1)".to_owned()),
        ("parentheses", nested("(", ")", depth)),
        ("minus signs", nested("- ", "", depth)),
        ("not", format!("SELECT {} true", "NOT ".repeat(depth))),
        ("additions", format!("SELECT 1{}", " + 1".repeat(depth))),
        ("unions", format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(20_000))),
        ("arrays", format!("SELECT '{}{}'::json", "[".repeat(depth), "]".repeat(depth))),
        ("jsonb", format!("SELECT '{}{}'::jsonb", "[".repeat(depth), "]".repeat(depth))),
        ("regular expressions", format!("SELECT 'x' ~ '{}{}'", "(x".repeat(20_000), ")".repeat(20_000))),
        ("queries", format!("SELECT '{}a{}'::tsquery", "(".repeat(depth), ")".repeat(depth))),
        ("not in queries", format!("SELECT '{}a'::tsquery", "!".repeat(depth))),
        ("patterns", format!("SELECT '{}' LIKE '{}b'", "a".repeat(300), "%a".repeat(100))),
        ("paths", format!("SELECT '$ ? {}(@ == 1){}'::jsonpath", "(".repeat(depth), ")".repeat(depth))),
        ("subqueries", format!("SELECT {}1{}", "(SELECT ".repeat(5_000), ")".repeat(5_000))),
        ("case", format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(20_000), " END".repeat(20_000))),
        ("casts", format!("SELECT 1{}", "::int".repeat(depth))),
    ];
    ask(&mut session, "SET statement_timeout = '20s'").unwrap();
    for (what, sql) in queries {
        match ask(&mut session, &sql) {
            // Those that PostgreSQL can do without recursion.
            Ok(_) => {}
            Err(error) => assert!(
                ["54", "42601", "2201B", "57014", "XX000 tsquery"].iter().any(|code| error.starts_with(code)),
                "{what}: {error}"
            ),
        }
        assert_eq!(ask(&mut session, "SELECT 1").as_deref(), Ok("1"), "after {what}");
    }
}

#[test]
fn too_much_memory_is_an_sql_error() {
    let (_folder, mut session) = fresh();
    let error =
        ask(&mut session, "SELECT array_agg(repeat('x', 100000000) || g) FROM generate_series(1, 100) g").unwrap_err();
    assert!(error.starts_with("53200"), "{error}");
    assert_eq!(ask(&mut session, "SELECT 1").unwrap(), "1");
}

#[test]
fn more_files_than_descriptors() {
    let (_folder, mut session) = fresh();
    ask(&mut session, "SET max_stack_depth = '2MB'").unwrap();
    let create = "DO $$ BEGIN FOR i IN 1..700 LOOP EXECUTE format('CREATE TABLE t%s (a int)', i); \
                  EXECUTE format('INSERT INTO t%s VALUES (1)', i); END LOOP; END $$";
    // 700 tables with their locks need more room than the default.
    session.restart(None, "postgres", &[], &[("max_locks_per_transaction".into(), "1000".into())]).unwrap();
    ask(&mut session, create).unwrap();
    let sum = "DO $$ DECLARE n int := 0; k int; BEGIN FOR i IN 1..700 LOOP EXECUTE format('SELECT count(*) FROM t%s', i) INTO k; \
               n := n + k; END LOOP; IF n <> 700 THEN RAISE 'only %', n; END IF; END $$";
    ask(&mut session, sum).unwrap();
}

#[test]
fn a_directory_is_read_while_it_is_emptied() {
    let (folder, mut session) = fresh();
    ask(&mut session, "CREATE DATABASE other").unwrap();
    let oid = ask(&mut session, "SELECT oid FROM pg_database WHERE datname = 'other'").unwrap();
    assert!(folder.path().join("base").join(&oid).exists());
    ask(&mut session, "DROP DATABASE other").unwrap();
    ask(&mut session, "CHECKPOINT").unwrap();
    assert!(!folder.path().join("base").join(&oid).exists(), "all of its files are gone");
}
