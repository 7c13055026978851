-- What applications do, in about equal parts; run by `cargo xtask profile`.
CREATE TABLE t AS
  SELECT i AS id, md5(i::text) AS a, repeat(md5((i * 7)::text), 1 + i % 5) AS b, i * 1.5::numeric AS c,
         now() + i * interval '1s' AS d, jsonb_build_object('k', i, 'v', md5(i::text)) AS j
  FROM generate_series(1, 100000) i;
ALTER TABLE t ADD PRIMARY KEY (id);
CREATE INDEX ON t (a);
CREATE INDEX ON t USING gin (j);
VACUUM ANALYZE;
SELECT count(*), sum(c), avg(id), max(a), min(d) FROM t;
SELECT id % 100, count(*), sum(c) FROM t GROUP BY 1 ORDER BY 2 DESC LIMIT 5;
SELECT count(*) FROM t x JOIN t y ON x.id = y.id WHERE x.a < '8';
SELECT count(*) FROM t x JOIN t y USING (a);
SELECT a FROM t ORDER BY a LIMIT 10;
SELECT count(DISTINCT b) FROM t;
SELECT j->>'v', (j->>'k')::int FROM t WHERE j @> '{"k": 77}';
SELECT count(*) FROM t WHERE b LIKE '%abc%';
SELECT sum(length(b)), count(*) FILTER (WHERE a ~ '^a.*f$') FROM t;
SELECT id, rank() OVER (PARTITION BY id % 10 ORDER BY a) FROM t ORDER BY 1 OFFSET 99990;
UPDATE t SET c = c + 1 WHERE id % 3 = 0;
DELETE FROM t WHERE id % 7 = 0;
INSERT INTO t SELECT i + 200000, md5(i::text), '', 1, now(), '{}' FROM generate_series(1, 30000) i ON CONFLICT DO NOTHING;
CREATE FUNCTION f(n int) RETURNS int LANGUAGE plpgsql AS $$
  DECLARE s int := 0; BEGIN FOR i IN 1..n LOOP s := s + i % 7; END LOOP; RETURN s; END $$;
SELECT f(300000);
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 50000) SELECT sum(n) FROM r;
SELECT count(*) FROM
  (SELECT a, b FROM t LIMIT 5000) x WHERE to_tsvector('english', a || ' running dogs of the ' || b) @@ to_tsquery('dog');
VACUUM t;
\copy t TO 't.text'
\copy t TO 't.csv' CSV
\copy t TO 't.binary' BINARY
CREATE TABLE text (LIKE t);
CREATE TABLE csv (LIKE t);
CREATE TABLE bytes (LIKE t);
\copy text FROM 't.text'
\copy csv FROM 't.csv' CSV
\copy bytes FROM 't.binary' BINARY
\copy pgbench_accounts TO 't.text'
CREATE TABLE accounts (LIKE pgbench_accounts INCLUDING ALL);
\copy accounts FROM 't.text'
