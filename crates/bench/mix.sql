-- The mix of queries by which engines are compared: `bench mix`, and the example `mix` of crates/wasm-host. Parts begin with a line `--- NAME TIMES`: a part
-- is one query, and is run so often in a round. What is above the first is run once.
SET synchronous_commit = off;
CREATE TABLE branches (id int PRIMARY KEY, name text);
INSERT INTO branches SELECT g, 'branch ' || g FROM generate_series(0, 99) g;
CREATE TABLE accounts (id int PRIMARY KEY, branch int, balance numeric(12, 2), note text);
INSERT INTO accounts SELECT g, g * 7 % 100, g * 37 % 10000 / 10.0, md5(g::text) FROM generate_series(1, 50000) g;
CREATE INDEX ON accounts (branch);
CREATE TABLE documents (id int PRIMARY KEY, body jsonb);
INSERT INTO documents SELECT g, jsonb_build_object('kind', g % 10, 'size', g, 'tags', ARRAY[g % 3, g % 5], 'text', md5(g::text)) FROM generate_series(1, 10000) g;
CREATE TABLE log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz, what text);
VACUUM ANALYZE;
--- lookup 300
SELECT balance FROM accounts WHERE id = 31415
--- range 20
SELECT count(*), max(note) FROM accounts WHERE branch = 42
--- aggregate 1
SELECT branch, count(*), sum(balance), avg(balance) FROM accounts GROUP BY branch ORDER BY branch
--- join 1
SELECT b.name, count(*), max(a.note) FROM accounts a JOIN branches b ON b.id = a.branch WHERE a.id % 3 <> 0 GROUP BY b.name
--- sort 1
SELECT count(*) FROM (SELECT id, note FROM accounts ORDER BY note, id OFFSET 0) s
--- window 1
SELECT count(*) FROM (SELECT rank() OVER (PARTITION BY branch ORDER BY balance) AS r FROM accounts) w WHERE r < 4
--- insert 3
BEGIN; INSERT INTO log (at, what) SELECT now(), 'event ' || g FROM generate_series(1, 1000) g; ROLLBACK
--- update 1
BEGIN; UPDATE accounts SET balance = balance + 1 WHERE id BETWEEN 20000 AND 22000; ROLLBACK
--- jsonb 1
SELECT count(*), sum((body ->> 'size')::int) FROM documents WHERE body @> '{"kind": 3}'
--- text 1
SELECT count(*), sum(length(replace(upper(note), 'A', 'bb'))) FROM accounts WHERE note LIKE '%7f%' OR note ~ '^a[0-9]+b'
--- procedure 1
DO $$ DECLARE n bigint := 0; BEGIN FOR i IN 1..100000 LOOP n := n + i % 7; END LOOP; END $$
--- recursion 1
WITH RECURSIVE r(n, a) AS (SELECT 1, 0::numeric UNION ALL SELECT n + 1, a + n FROM r WHERE n < 20000) SELECT max(a) FROM r
