// drizzle-orm, on node-postgres.
import pg from "pg";
import copy from "pg-copy-streams";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import { and, eq, lt, relations, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { bigint, customType, integer, jsonb, numeric, pgTable, serial, text, timestamp } from "drizzle-orm/pg-core";
import {
  ROWS, barrier, check, equal, fails, login, main, scenario, socketFolder, until, version,
} from "./harness.mjs";

const bytea = customType({ dataType: () => "bytea" });
const author = pgTable("author", {
  id: serial().primaryKey(),
  name: text().notNull().unique(),
  big: bigint({ mode: "number" }),
  image: bytea(),
  worth: numeric(),
  born: timestamp({ withTimezone: true }),
  tags: integer().array(),
  more: jsonb(),
  none: text(),
});
const book = pgTable("book", {
  id: serial().primaryKey(),
  title: text().notNull(),
  authorId: integer().notNull().references(() => author.id),
});
const account = pgTable("account", { id: integer().primaryKey(), n: integer().notNull() });
const hundred = pgTable("hundred", { n: integer() });
const schema = {
  author, book, account, hundred,
  authorRelations: relations(author, ({ many }) => ({ books: many(book) })),
  bookRelations: relations(book, ({ one }) => ({ author: one(author, { fields: [book.authorId], references: [author.id] }) })),
};

async function withDatabases(count, run, options = {}) {
  const clients = [];
  try {
    for (let i = 0; i < count; i++) {
      const client = new pg.Client({ ...login, ...options });
      await client.connect();
      clients.push(client);
    }
    return await run(...clients.map((client) => drizzle(client, { schema })));
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

const value = async (db, query) => Object.values((await db.execute(query)).rows[0])[0];
const gone = (db, pid) => value(db, sql`SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ${pid})`);
const asleep = (db, pid) =>
  value(db, sql`SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = ${pid} AND wait_event = 'PgSleep'`);

scenario("simple-query", () =>
  withDatabases(1, async (db) => {
    await db.execute("CREATE TABLE simple (n int); INSERT INTO simple VALUES (1), (2)");
    equal(await value(db, "SELECT sum(n) FROM simple"), "3");
    await fails("42P01", db.execute("SELECT * FROM no_such_table"));
    await fails("22012", db.execute("INSERT INTO simple VALUES (9); SELECT 1 / 0"));
    equal(await db.$count(sql`simple`), 2);
  }));

scenario("extended-query", () =>
  withDatabases(1, async (db) => {
    await db.execute(sql`CREATE TABLE author (id serial PRIMARY KEY, name text NOT NULL UNIQUE, big int8, image bytea,
      worth numeric, born timestamptz, tags int[], more jsonb, none text);
      CREATE TABLE book (id serial PRIMARY KEY, title text NOT NULL, "authorId" int NOT NULL REFERENCES author)`);
    const values = {
      name: "zażółć", big: 2 ** 40, image: Buffer.from([0, 255]), worth: "12345.678900",
      born: new Date("2024-02-29T12:00:00Z"), tags: [1, 2, 3], more: { a: [1] }, none: null,
    };
    const [{ id }] = await db.insert(author).values(values).returning({ id: author.id });
    const titles = Array.from({ length: 500 }, (_, i) => String(i).padStart(3, "0"));
    await db.insert(book).values(titles.map((title) => ({ title, authorId: id })));
    equal(await db.select().from(author).where(eq(author.name, "zażółć")), [{ id, ...values }]);
    const found = await db.query.author.findFirst({ with: { books: { orderBy: book.title } } });
    equal(found.books.map((one) => one.title), titles);
    const large = "x".repeat(4 << 20);
    check((await value(db, sql`SELECT ${large}::text`)) === large, "4 MiB come back");
    await fails("23503", db.insert(book).values({ title: "of nobody", authorId: 0 }));
    equal(await db.$count(book, and(eq(book.authorId, id), lt(book.title, "010"))), 10);
  }));

scenario("prepared-names", () =>
  withDatabases(2, async (a, b) => {
    const one = a.select({ n: sql`${sql.placeholder("n")}::int + 1` }).from(sql`(SELECT)`).prepare("same");
    const other = b.select({ n: sql`${sql.placeholder("n")}::text || 'b'` }).from(sql`(SELECT)`).prepare("same");
    for (let i = 0; i < 20; i++) {
      equal(await one.execute({ n: i }), [{ n: i + 1 }]);
      equal(await other.execute({ n: String(i) }), [{ n: `${i}b` }]);
    }
    await a.execute("DEALLOCATE same");
    equal(await other.execute({ n: "x" }), [{ n: "xb" }]);
    await fails("26000", a.execute("EXECUTE same(1)"));
  }));

scenario("pipeline-error", () =>
  withDatabases(1, async (db) => {
    await db.execute("CREATE TABLE pipeline (n int PRIMARY KEY)");
    const sent = [1, 2, 1, 3].map((n) => db.execute(sql`INSERT INTO pipeline VALUES (${n})`));
    const ended = await Promise.allSettled(sent);
    equal(ended.map((end) => end.reason?.cause?.code), [undefined, undefined, "23505", undefined]);
    equal(await value(db, "SELECT array_agg(n ORDER BY n) FROM pipeline"), [1, 2, 3]);
  }, { pipeline: true }));

scenario("copy-in", () =>
  withDatabases(1, async (db) => {
    await db.execute("CREATE TABLE copied (n int, t text)");
    const into = db.$client.query(copy.from("COPY copied FROM STDIN"));
    await pipeline(Readable.from(Array.from({ length: ROWS }, (_, i) => `${i}\trow\n`)), into);
    equal(await value(db, "SELECT sum(n)::int FROM copied"), (ROWS * (ROWS - 1)) / 2);
  }));

scenario("copy-out", () =>
  withDatabases(1, async (db) => {
    const out = db.$client.query(copy.to(`COPY (SELECT generate_series(1, ${ROWS})) TO STDOUT`));
    equal(Buffer.concat(await out.toArray()).toString().split("\n").length, ROWS + 1);
    equal(await value(db, "SELECT 1"), 1);
  }));

scenario("listen-notify", () =>
  withDatabases(2, async (a, b) => {
    const got = [];
    a.$client.on("notification", ({ payload }) => got.push(payload));
    await a.execute("LISTEN news");
    const undone = b.transaction(async (tx) => {
      await tx.execute("NOTIFY news, 'rolled back'");
      await tx.execute("SELECT 1 / 0");
    });
    await fails("22012", undone);
    await b.execute(sql`SELECT pg_notify('news', ${"one"})`);
    await b.execute("NOTIFY news, 'two'");
    await until(() => got.length >= 2);
    equal(got, ["one", "two"]);
  }));

scenario("cursor", () =>
  withDatabases(1, (db) =>
    db.transaction(async (tx) => {
      await tx.execute(sql`DECLARE ours CURSOR FOR SELECT i FROM generate_series(1, ${sql.raw(ROWS)}) i`);
      let total = 0;
      for (let rows; (rows = (await tx.execute("FETCH 500 FROM ours")).rows).length; ) {
        total += rows.reduce((sum, row) => sum + row.i, 0);
      }
      equal(total, (ROWS * (ROWS + 1)) / 2);
      await tx.execute("CLOSE ours");
    })));

scenario("cancel", () =>
  withDatabases(2, async (a, b) => {
    const pid = await value(a, "SELECT pg_backend_pid()");
    const ended = fails("57014", a.execute("SELECT pg_sleep(60)"));
    await until(() => asleep(b, pid));
    equal(await value(b, sql`SELECT pg_cancel_backend(${pid})`), true);
    await ended;
    equal(await value(a, "SELECT 1"), 1);
  }));

scenario("transactions", () =>
  withDatabases(3, async (a, b, watch) => {
    await a.execute("CREATE TABLE account (id int PRIMARY KEY, n int NOT NULL)");
    await a.insert(account).values([{ id: 1, n: 10 }, { id: 2, n: 20 }]);
    const one = (db) => db.select().from(account).where(eq(account.id, 1)).then(([row]) => row.n);
    let waiting;
    await a.transaction(async (tx) => {
      await tx.update(account).set({ n: 11 }).where(eq(account.id, 1));
      equal(await one(b), 10);
      waiting = b.update(account).set({ n: sql`${account.n} + 100` }).where(eq(account.id, 1)).execute();
      await until(() => value(watch, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"));
    });
    await waiting;
    equal(await one(a), 111);
    const begun = barrier(2);
    const level = { isolationLevel: "repeatable read" };
    const first = a.transaction(async (tx) => {
      await tx.select().from(account);
      await begun();
      await tx.update(account).set({ n: 0 }).where(eq(account.id, 2));
    }, level);
    const second = b.transaction(async (tx) => {
      await tx.select().from(account);
      await begun();
      await first;
      await tx.update(account).set({ n: 1 }).where(eq(account.id, 2));
    }, level);
    await fails("40001", second);
    equal(await b.select().from(account).where(eq(account.id, 2)), [{ id: 2, n: 0 }]);
  }));

async function mortal(options) {
  const client = new pg.Client({ ...login, ...options });
  client.on("error", () => {});
  await client.connect();
  return drizzle(client, { schema });
}

scenario("client-dies-query", () =>
  withDatabases(1, async (watch) => {
    const victim = await mortal({ options: "-c client_connection_check_interval=100ms" });
    const pid = await value(victim, "SELECT pg_backend_pid()");
    const sleeping = victim.execute("SELECT pg_sleep(600)").then(() => "done", () => "ended");
    await until(() => asleep(watch, pid));
    victim.$client.connection.stream.destroy();
    equal(await sleeping, "ended");
    await until(() => gone(watch, pid));
  }));

scenario("client-dies-copy", () =>
  withDatabases(1, async (watch) => {
    await watch.execute("CREATE TABLE torn (t text)");
    const victim = await mortal();
    const pid = await value(victim, "SELECT pg_backend_pid()");
    const into = victim.$client.query(copy.from("COPY torn FROM STDIN"));
    into.on("error", () => {});
    await new Promise((resolve) => into.write("a row\n".repeat(10_000), resolve));
    victim.$client.connection.stream.destroy();
    await until(() => gone(watch, pid));
    equal(await watch.$count(sql`torn`), 0);
  }));

scenario("hundred-connections", () =>
  withDatabases(1, async (c) => {
    await c.execute("CREATE TABLE hundred (n int)");
    const pool = new pg.Pool({ ...login, max: 100, application_name: "hundred" });
    const db = drizzle(pool, { schema });
    const together = barrier(100);
    await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        db.transaction(async (tx) => {
          await tx.insert(hundred).values({ n });
          await together();
        })));
    equal(pool.totalCount, 100);
    await pool.end();
    equal(await c.$count(hundred), 100);
    const count = "SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'hundred'";
    await until(async () => (await value(c, count)) === 0);
  }));

scenario("unix-socket", () =>
  withDatabases(1, async (db) => {
    const large = "y".repeat(1 << 20);
    check((await value(db, sql`SELECT ${large}::text`)) === large);
    equal(await value(db, "SELECT inet_server_addr()"), null);
  }, { host: socketFolder }));

await main(version("drizzle-orm"));
