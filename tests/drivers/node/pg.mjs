// node-postgres.
import pg from "pg";
import copy from "pg-copy-streams";
import Cursor from "pg-cursor";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import {
  ROWS, barrier, check, equal, fails, login, main, scenario, socketFolder, until, version,
} from "./harness.mjs";

async function withClients(count, run, options = {}) {
  const clients = [];
  try {
    for (let i = 0; i < count; i++) {
      const client = new pg.Client({ ...login, ...options });
      await client.connect();
      clients.push(client);
    }
    return await run(...clients);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

const value = async (client, ...query) => Object.values((await client.query(...query)).rows[0])[0];
const gone = (pid) => async (client) =>
  value(client, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", [pid]);
const asleep = (pid) => async (client) =>
  value(client, "SELECT coalesce((SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $1), false)", [pid]);
const rowLine = (i) => `${i}\trow\\t${i}\n`;

scenario("simple-query", () =>
  withClients(1, async (c) => {
    const results = await c.query("CREATE TABLE simple (n int); INSERT INTO simple VALUES (1), (2); SELECT sum(n) FROM simple");
    equal(results.map((result) => result.command), ["CREATE", "INSERT", "SELECT"]);
    equal(results[2].rows, [{ sum: "3" }]);
    await fails("42P01", c.query("SELECT * FROM no_such_table"));
    await fails("22012", c.query("INSERT INTO simple VALUES (9); SELECT 1 / 0"));
    equal(await value(c, "SELECT count(*) FROM simple"), "2");
  }));

scenario("extended-query", () =>
  withClients(1, async (c) => {
    const at = new Date("2024-02-29T12:00:00Z");
    const values = [String(2 ** 40), "zażółć", Buffer.from([0, 255]), "12345.678900", at, [1, null, 3], { a: [1] }, null];
    const text = `SELECT $1::int8, $2::text "2", $3::bytea "3", $4::numeric "4", $5::timestamptz "5", $6::int[] "6", $7::jsonb "7", $8::text "8"`;
    equal((await c.query({ text, values, rowMode: "array" })).rows, [values]);
    const large = "x".repeat(4 << 20);
    check((await value(c, "SELECT $1::text", [large])) === large, "4 MiB come back");
    await fails("22012", c.query("SELECT 1 / $1::int", [0]));
    equal(await value(c, "SELECT $1::int + 1", [1]), 2);
  }));

scenario("prepared-names", () =>
  withClients(2, async (a, b) => {
    for (let i = 0; i < 20; i++) {
      equal(await value(a, { name: "same", text: "SELECT $1::int + 1", values: [i] }), i + 1);
      equal(await value(b, { name: "same", text: "SELECT $1::text || 'b'", values: [i] }), `${i}b`);
    }
    await a.query("DEALLOCATE same");
    equal(await value(b, { name: "same", text: "SELECT $1::text || 'b'", values: ["x"] }), "xb");
    await fails("26000", a.query("EXECUTE same(1)"));
  }));

scenario("pipeline-error", () =>
  withClients(1, async (c) => {
    await c.query("CREATE TABLE pipeline (n int PRIMARY KEY)");
    // all are sent before the first answer; each has a Sync of its own
    const sent = [1, 2, 1, 3].map((n) => c.query("INSERT INTO pipeline VALUES ($1)", [n]));
    const ended = await Promise.allSettled(sent);
    equal(ended.map((end) => end.reason?.code), [undefined, undefined, "23505", undefined]);
    equal(await value(c, "SELECT array_agg(n ORDER BY n) FROM pipeline"), [1, 2, 3]);
  }, { pipeline: true }));

scenario("copy-in", () =>
  withClients(1, async (c) => {
    await c.query("CREATE TABLE copied (n int, t text)");
    const lines = function* () {
      for (let i = 0; i < ROWS; i++) yield rowLine(i);
    };
    const into = c.query(copy.from("COPY copied FROM STDIN"));
    await pipeline(Readable.from(lines()), into);
    equal(into.rowCount, ROWS);
    await fails("22P02", pipeline(Readable.from(["1\tgood\nbad\tbad\n"]), c.query(copy.from("COPY copied FROM STDIN"))));
    const total = "SELECT count(*)::int, sum(n)::int, (count(*) FILTER (WHERE t = E'row\\t' || n))::int good FROM copied";
    equal((await c.query(total)).rows, [{ count: ROWS, sum: (ROWS * (ROWS - 1)) / 2, good: ROWS }]);
  }));

scenario("copy-out", () =>
  withClients(1, async (c) => {
    const out = c.query(copy.to(`COPY (SELECT i, repeat('x', 100) FROM generate_series(1, ${ROWS}) i) TO STDOUT`));
    const lines = Buffer.concat(await out.toArray()).toString().split("\n");
    equal([lines.length, lines.at(-2)], [ROWS + 1, `${ROWS}\t${"x".repeat(100)}`]);
    const wrong = c.query(copy.to("COPY (SELECT 1 / (100 - i) FROM generate_series(1, 200) i) TO STDOUT"));
    await fails("22012", wrong.toArray());
    equal(await value(c, "SELECT 1"), 1);
  }));

scenario("listen-notify", () =>
  withClients(2, async (a, b) => {
    const got = [];
    a.on("notification", ({ channel, payload, processId }) => got.push([channel, payload, processId]));
    await a.query("LISTEN news");
    await b.query("BEGIN; NOTIFY news, 'rolled back'; ROLLBACK");
    await b.query("SELECT pg_notify('news', $1)", ["one"]);
    await b.query("NOTIFY news, 'two'");
    await until(() => got.length >= 2);
    equal(got, [["news", "one", b.processID], ["news", "two", b.processID]]);
  }));

scenario("cursor", () =>
  withClients(1, async (c) => {
    const cursor = c.query(new Cursor("SELECT i FROM generate_series(1, $1::int) i", [ROWS]));
    let total = 0;
    for (let rows; (rows = await cursor.read(500)).length; ) total += rows.reduce((sum, row) => sum + row.i, 0);
    equal(total, (ROWS * (ROWS + 1)) / 2);
    const early = c.query(new Cursor("SELECT i FROM generate_series(1, 1000) i"));
    equal(await early.read(3), [{ i: 1 }, { i: 2 }, { i: 3 }]);
    await early.close();
    equal(await value(c, "SELECT 1"), 1);
  }));

scenario("cancel", () =>
  withClients(2, async (a, b) => {
    const sleeping = a.query("SELECT pg_sleep(60)");
    const ended = fails("57014", sleeping);
    await until(() => asleep(a.processID)(b));
    // the request goes over a connection of its own, as PostgreSQL wants it
    const request = new pg.Connection(login);
    request.on("connect", () => request.cancel(a.processID, a.secretKey));
    request.on("error", () => {});
    request.connect(login.port, login.host);
    await ended;
    equal(await value(a, "SELECT 1"), 1);
  }));

scenario("transactions", () =>
  withClients(3, async (a, b, watch) => {
    await a.query("CREATE TABLE account (id int PRIMARY KEY, n int); INSERT INTO account VALUES (1, 10), (2, 20)");
    await a.query("BEGIN");
    await a.query("UPDATE account SET n = 11 WHERE id = 1");
    equal(await value(b, "SELECT n FROM account WHERE id = 1"), 10);
    const waiting = b.query("UPDATE account SET n = n + 100 WHERE id = 1");
    await until(() => value(watch, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"));
    await a.query("COMMIT");
    await waiting;
    equal(await value(a, "SELECT n FROM account WHERE id = 1"), 111);
    for (const c of [a, b]) {
      await c.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
      await c.query("SELECT * FROM account");
    }
    await a.query("UPDATE account SET n = 0 WHERE id = 2");
    await a.query("COMMIT");
    await fails("40001", b.query("UPDATE account SET n = 1 WHERE id = 2"));
    await fails("25P02", b.query("SELECT 1"));
    await b.query("ROLLBACK");
    equal(await value(b, "SELECT n FROM account WHERE id = 2"), 0);
  }));

scenario("client-dies-query", () =>
  withClients(1, async (watch) => {
    const victim = new pg.Client({ ...login, options: "-c client_connection_check_interval=100ms" });
    victim.on("error", () => {});
    await victim.connect();
    const sleeping = victim.query("SELECT pg_sleep(600)").catch(() => "ended");
    await until(() => asleep(victim.processID)(watch));
    victim.connection.stream.destroy();
    equal(await sleeping, "ended");
    await until(() => gone(victim.processID)(watch));
  }));

scenario("client-dies-copy", () =>
  withClients(1, async (watch) => {
    await watch.query("CREATE TABLE torn (t text)");
    const victim = new pg.Client(login);
    victim.on("error", () => {});
    await victim.connect();
    const into = victim.query(copy.from("COPY torn FROM STDIN"));
    into.on("error", () => {});
    await new Promise((resolve) => into.write("a row\n".repeat(10_000), resolve));
    victim.connection.stream.destroy();
    await until(() => gone(victim.processID)(watch));
    equal(await value(watch, "SELECT count(*) FROM torn"), "0");
  }));

scenario("hundred-connections", () =>
  withClients(1, async (c) => {
    await c.query("CREATE TABLE hundred (n int)");
    const pool = new pg.Pool({ ...login, max: 100, application_name: "hundred" });
    const [connected, done] = [barrier(100), barrier(100)];
    const count = "SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'hundred'";
    const seen = await Promise.all(
      Array.from({ length: 100 }, async (_, n) => {
        const client = await pool.connect();
        try {
          await connected();
          await client.query("INSERT INTO hundred VALUES ($1)", [n]);
          await done();
          return await value(client, count);
        } finally {
          client.release();
        }
      }));
    equal(new Set(seen), new Set([100]));
    await pool.end();
    equal((await c.query("SELECT count(*)::int, sum(n)::int FROM hundred")).rows, [{ count: 100, sum: 4950 }]);
    await until(async () => (await value(c, count)) === 0);
  }));

scenario("unix-socket", () =>
  withClients(1, async (c) => {
    const large = "y".repeat(1 << 20);
    check((await value(c, "SELECT $1::text", [large])) === large);
    equal(await value(c, "SELECT inet_server_addr()"), null);
  }, { host: socketFolder }));

await main(version("pg"));
