// postgres.js.
import net from "node:net";
import postgres from "postgres";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ROWS, barrier, check, equal, fails, login, main, scenario, socketFolder, until, version } from "./harness.mjs";

async function withClients(count, run, options = {}) {
  const clients = Array.from({ length: count }, () => postgres({ ...login, max: 1, onnotice() {}, ...options }));
  try {
    return await run(...clients);
  } finally {
    await Promise.all(clients.map((client) => client.end({ timeout: 5 })));
  }
}

const pidOf = async (sql) => (await sql`SELECT pg_backend_pid() pid`)[0].pid;
const gone = async (sql, pid) => (await sql`SELECT count(*)::int n FROM pg_stat_activity WHERE pid = ${pid}`)[0].n === 0;
const asleep = async (sql, pid) =>
  (await sql`SELECT count(*)::int n FROM pg_stat_activity WHERE pid = ${pid} AND wait_event = 'PgSleep'`)[0].n === 1;

scenario("simple-query", () =>
  withClients(1, async (sql) => {
    const text = "CREATE TABLE simple (n int); INSERT INTO simple VALUES (1), (2); SELECT sum(n) FROM simple";
    const results = await sql.unsafe(text).simple();
    equal([...results.at(-1)], [{ sum: "3" }]);
    await fails("42P01", sql`SELECT * FROM no_such_table`.simple());
    await fails("22012", sql.unsafe("INSERT INTO simple VALUES (9); SELECT 1 / 0").simple());
    equal((await sql`SELECT count(*) FROM simple`.simple())[0].count, "2");
  }));

scenario("extended-query", () =>
  withClients(1, async (sql) => {
    const at = new Date("2024-02-29T12:00:00Z");
    const values = [String(2 ** 40), "zażółć", Buffer.from([0, 255]), "12345.678900", at, [1, 2, 3], { a: [1] }, null];
    const [a, b, c, d, e, f, g, h] = values;
    const row = await sql`SELECT ${a}::int8, ${b}::text "2", ${c}::bytea "3", ${d}::numeric "4", ${e}::timestamptz "5",
      ${f}::int[] "6", ${g}::jsonb "7", ${h}::text "8"`.values();
    equal(row[0], values);
    const large = "x".repeat(4 << 20);
    check((await sql`SELECT ${large}::text AS t`)[0].t === large, "4 MiB come back");
    await fails("22012", sql`SELECT 1 / ${0}::int`);
    equal((await sql`SELECT ${1}::int + 1 AS n`)[0].n, 2);
  }));

scenario("prepared-names", () =>
  withClients(2, async (a, b) => {
    for (let i = 0; i < 20; i++) {
      equal((await a`SELECT ${i}::int + 1 AS n`)[0].n, i + 1);
      equal((await b`SELECT ${String(i)}::text || 'b' AS n`)[0].n, `${i}b`);
    }
    for (const sql of [a, b]) check((await sql`SELECT FROM pg_prepared_statements`).length > 0, "statements are prepared");
    await a.unsafe("PREPARE same AS SELECT 'a' AS t").simple();
    await b.unsafe("PREPARE same AS SELECT 'b' AS t").simple();
    await a.unsafe("DEALLOCATE same").simple();
    equal((await b.unsafe("EXECUTE same").simple())[0].t, "b");
    await fails("26000", a.unsafe("EXECUTE same").simple());
  }));

scenario("pipeline-error", () =>
  withClients(1, async (sql) => {
    await sql`CREATE TABLE pipeline (n int PRIMARY KEY)`;
    // all are sent before the first answer; each has a Sync of its own
    const ended = await Promise.allSettled([1, 2, 1, 3].map((n) => sql`INSERT INTO pipeline VALUES (${n})`));
    equal(ended.map((end) => end.reason?.code), [undefined, undefined, "23505", undefined]);
    // in a transaction what follows the error fails with it
    const inOne = sql.begin((sql) => [4, 1, 5].map((n) => sql`INSERT INTO pipeline VALUES (${n})`));
    await fails("23505", inOne);
    equal((await sql`SELECT array_agg(n ORDER BY n) AS n FROM pipeline`)[0].n, [1, 2, 3]);
  }));

scenario("copy-in", () =>
  withClients(2, async (sql, watch) => {
    const pid = await pidOf(sql);
    await sql`CREATE TABLE copied (n int, t text)`;
    const lines = function* () {
      for (let i = 0; i < ROWS; i++) yield `${i}\trow\\t${i}\n`;
    };
    await pipeline(Readable.from(lines()), await sql`COPY copied FROM STDIN`.writable());
    // postgres.js tells nobody of an error at the end of COPY, nor of the end
    (await sql`COPY copied FROM STDIN`.writable()).end("1\tgood\nbad\tbad\n");
    await until(async () => (await watch`SELECT state FROM pg_stat_activity WHERE pid = ${pid}`)[0].state === "idle");
    const [total] = await sql`
      SELECT count(*)::int, sum(n)::int, (count(*) FILTER (WHERE t = E'row\\t' || n))::int good FROM copied`;
    equal({ ...total }, { count: ROWS, sum: (ROWS * (ROWS - 1)) / 2, good: ROWS });
  }));

scenario("copy-out", async () => {
  const { sql, socket } = await mortal();
  const query = `COPY (SELECT i, repeat('x', 100) FROM generate_series(1, ${ROWS}) i) TO STDOUT`;
  const parts = await (await sql.unsafe(query).readable()).toArray();
  // postgres.js may have paused the socket at the last row, and then nothing wakes it
  socket.resume();
  const lines = Buffer.concat(parts).toString().split("\n");
  equal([lines.length, lines.at(-2)], [ROWS + 1, `${ROWS}\t${"x".repeat(100)}`]);
  equal((await sql`SELECT 1 AS n`)[0].n, 1);
  await sql.end();
});

scenario("listen-notify", () =>
  withClients(2, async (a, b) => {
    const got = [];
    await a.listen("news", (payload) => got.push(payload));
    await fails("22012", b.begin(async (sql) => {
      await sql`SELECT pg_notify('news', 'rolled back')`;
      await sql`SELECT 1 / 0`;
    }));
    await b.notify("news", "one");
    await b.notify("news", "two");
    await until(() => got.length >= 2);
    equal(got, ["one", "two"]);
  }));

scenario("cursor", () =>
  withClients(1, async (sql) => {
    let total = 0;
    for await (const rows of sql`SELECT i FROM generate_series(1, ${ROWS}::int) i`.cursor(500)) {
      total += rows.reduce((sum, row) => sum + row.i, 0);
    }
    equal(total, (ROWS * (ROWS + 1)) / 2);
    for await (const rows of sql`SELECT i FROM generate_series(1, 1000) i`.cursor(3)) {
      equal([...rows], [{ i: 1 }, { i: 2 }, { i: 3 }]);
      break;
    }
    equal((await sql`SELECT 1 AS n`)[0].n, 1);
  }));

scenario("cancel", () =>
  withClients(2, async (a, b) => {
    const pid = await pidOf(a);
    const sleeping = a`SELECT pg_sleep(60)`.execute();
    const ended = fails("57014", sleeping);
    await until(() => asleep(b, pid));
    sleeping.cancel();
    await ended;
    equal((await a`SELECT 1 AS n`)[0].n, 1);
  }));

scenario("transactions", () =>
  withClients(3, async (a, b, watch) => {
    await a`CREATE TABLE account (id int PRIMARY KEY, n int)`;
    await a`INSERT INTO account VALUES (1, 10), (2, 20)`;
    let waiting;
    await a.begin(async (a) => {
      await a`UPDATE account SET n = 11 WHERE id = 1`;
      equal((await b`SELECT n FROM account WHERE id = 1`)[0].n, 10);
      waiting = b`UPDATE account SET n = n + 100 WHERE id = 1`.execute();
      await until(async () => (await watch`SELECT FROM pg_locks WHERE NOT granted`).length > 0);
    });
    await waiting;
    equal((await a`SELECT n FROM account WHERE id = 1`)[0].n, 111);
    const begun = barrier(2);
    let committed;
    const first = new Promise((resolve) => (committed = resolve));
    await Promise.all([
      a.begin("ISOLATION LEVEL REPEATABLE READ", async (a) => {
        await a`SELECT * FROM account`;
        await begun();
        await a`UPDATE account SET n = 0 WHERE id = 2`;
      }).then(committed),
      fails("40001", b.begin("ISOLATION LEVEL REPEATABLE READ", async (b) => {
        await b`SELECT * FROM account`;
        await begun();
        await first;
        await b`UPDATE account SET n = 1 WHERE id = 2`;
      })),
    ]);
    equal((await b`SELECT n FROM account WHERE id = 2`)[0].n, 0);
  }));

/** A client whose socket is ours to destroy. */
async function mortal(connection = {}) {
  const socket = net.connect(login.port, login.host);
  await new Promise((resolve) => socket.on("connect", resolve));
  const sql = postgres({ ...login, max: 1, socket: () => socket, connection, idle_timeout: 0 });
  return { sql, socket, pid: await pidOf(sql) };
}

scenario("client-dies-query", () =>
  withClients(1, async (watch) => {
    const { sql, socket, pid } = await mortal({ client_connection_check_interval: "100ms" });
    const sleeping = sql`SELECT pg_sleep(600)`.then(() => "done", () => "ended");
    await until(() => asleep(watch, pid));
    socket.destroy();
    equal(await sleeping, "ended");
    await until(() => gone(watch, pid));
  }));

scenario("client-dies-copy", () =>
  withClients(1, async (watch) => {
    await watch`CREATE TABLE torn (t text)`;
    const { sql, socket, pid } = await mortal();
    const into = await sql`COPY torn FROM STDIN`.writable();
    into.on("error", () => {});
    await new Promise((resolve) => into.write("a row\n".repeat(10_000), resolve));
    socket.destroy();
    await until(() => gone(watch, pid));
    equal((await watch`SELECT count(*)::int AS n FROM torn`)[0].n, 0);
  }));

scenario("hundred-connections", () =>
  withClients(1, async (c) => {
    await c`CREATE TABLE hundred (n int)`;
    const pool = postgres({ ...login, max: 100, connection: { application_name: "hundred" } });
    const [connected, done] = [barrier(100), barrier(100)];
    const seen = await Promise.all(
      Array.from({ length: 100 }, async (_, n) => {
        const mine = await pool.reserve();
        try {
          await connected();
          await mine`INSERT INTO hundred VALUES (${n})`;
          await done();
          return (await mine`SELECT count(*)::int n FROM pg_stat_activity WHERE application_name = 'hundred'`)[0].n;
        } finally {
          mine.release();
        }
      }));
    equal(new Set(seen), new Set([100]));
    await pool.end();
    equal({ ...(await c`SELECT count(*)::int, sum(n)::int FROM hundred`)[0] }, { count: 100, sum: 4950 });
    await until(async () => (await c`SELECT FROM pg_stat_activity WHERE application_name = 'hundred'`).length === 0);
  }));

scenario("unix-socket", () =>
  withClients(1, async (sql) => {
    const large = "y".repeat(1 << 20);
    check((await sql`SELECT ${large}::text AS t`)[0].t === large);
    equal((await sql`SELECT inet_server_addr() AS a`)[0].a, null);
  }, { path: `${socketFolder}/.s.PGSQL.${login.port}` }));

await main(version("postgres"));
