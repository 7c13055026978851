"""asyncpg."""

import asyncio
import contextlib
from datetime import datetime, timezone
from decimal import Decimal

import asyncpg

from harness import PARTS, ROWS, SOCKET, URI, check, equal, fails, main, scenario


@contextlib.asynccontextmanager
async def connect(count=1, **options):
    connections = [await asyncpg.connect(URI, **options) for _ in range(count)]
    try:
        yield connections[0] if count == 1 else connections
    finally:
        for connection in connections:
            await connection.close()


async def until(connection, query, *parameters):
    for _ in range(3000):
        if await connection.fetchval(query, *parameters):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never true: {query}")


GONE = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)"
ASLEEP = "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $1"


@scenario("simple-query")
async def simple_query():
    async with connect() as c:
        await c.execute("CREATE TABLE simple (n int); INSERT INTO simple VALUES (1), (2); SELECT sum(n) FROM simple")
        with fails("42P01"):
            await c.execute("SELECT * FROM no_such_table")
        with fails("22012"):
            await c.execute("INSERT INTO simple VALUES (9); SELECT 1 / 0")
        equal(await c.fetchval("SELECT count(*) FROM simple"), 2)


@scenario("extended-query")
async def extended_query():
    values = [2**40, "zażółć", b"\x00\xff", Decimal("12345.678900"), datetime(2024, 2, 29, 12, tzinfo=timezone.utc)]
    query = "SELECT $1::int8, $2::text, $3::bytea, $4::numeric, $5::timestamptz, $6::int[], $7::jsonb, $8::text"
    async with connect() as c:
        parameters = [*values, [1, None, 3], '{"a": [1]}', None]
        equal(list(await c.fetchrow(query, *parameters)), parameters)
        large = "x" * (4 << 20)
        check(await c.fetchval("SELECT $1::text", large) == large, "4 MiB come back")
        with fails("22012"):
            await c.fetchval("SELECT 1 / $1::int", 0)
        equal(await c.fetchval("SELECT $1::int + 1", 1), 2)


@scenario("prepared-names")
async def prepared_names():
    async with connect(2) as (a, b):
        first, second = await a.prepare("SELECT $1::int + 1", name="same"), await b.prepare("SELECT $1 || 'b'", name="same")
        for i in range(20):
            equal(await first.fetchval(i), i + 1)
            equal(await second.fetchval(str(i)), f"{i}b")
        equal(first.get_name(), second.get_name())
        await a.execute("DEALLOCATE same")
        equal(await second.fetchval("x"), "xb")
        with fails("26000"):
            await a.execute("EXECUTE same(1)")


@scenario("pipeline-error")
async def pipeline_error():
    # executemany sends all its parameters before one Sync
    async with connect() as c:
        await c.execute("CREATE TABLE pipeline (n int PRIMARY KEY)")
        with fails("23505"):
            await c.executemany("INSERT INTO pipeline VALUES ($1)", [(n % 500,) for n in range(1000)])
        equal(await c.fetchval("SELECT count(*) FROM pipeline"), 0)
        await c.executemany("INSERT INTO pipeline VALUES ($1)", [(n,) for n in range(1000)])
        equal(await c.fetchval("SELECT sum(n) FROM pipeline"), 499500)


@scenario("copy-in")
async def copy_in():
    async with connect() as c:
        await c.execute("CREATE TABLE copied (n int, t text)")
        rows = [(i, f"row\t{i}") for i in range(ROWS)]
        equal(await c.copy_records_to_table("copied", records=rows), f"COPY {ROWS}")

        async def source():
            yield b"1\tgood\n"
            yield b"bad\tbad\n"

        with fails("22P02"):
            await c.copy_to_table("copied", source=source())
        total = await c.fetchrow("SELECT count(*), sum(n), count(*) FILTER (WHERE t = E'row\\t' || n) FROM copied")
        equal(tuple(total), (ROWS, ROWS * (ROWS - 1) // 2, ROWS))


@scenario("copy-out")
async def copy_out():
    async with connect() as c:
        parts = []

        async def take(part):
            parts.append(part)

        await c.copy_from_query("SELECT i, repeat('x', 100) FROM generate_series(1, $1) i", ROWS, output=take)
        lines = b"".join(parts).decode().splitlines()
        equal((len(lines), lines[-1]), (ROWS, f"{ROWS}\t" + "x" * 100))
        with fails("22012"):
            await c.copy_from_query("SELECT 1 / (100 - i) FROM generate_series(1, 200) i", output=take)
        equal(await c.fetchval("SELECT 1"), 1)


@scenario("listen-notify")
async def listen_notify():
    async with connect(2) as (a, b):
        got = asyncio.Queue()
        await a.add_listener("news", lambda _, pid, channel, payload: got.put_nowait((channel, payload, pid)))
        with fails("22012"):
            async with b.transaction():
                await b.execute("NOTIFY news, 'rolled back'")
                await b.execute("SELECT 1 / 0")
        await b.execute("SELECT pg_notify('news', $1)", "one")
        await b.execute("NOTIFY news, 'two'")
        pid = b.get_server_pid()
        equal([await got.get(), await got.get()], [("news", "one", pid), ("news", "two", pid)])
        await a.execute("UNLISTEN *")


@scenario("cursor")
async def cursor():
    async with connect() as c, c.transaction():
        total = 0
        async for row in c.cursor("SELECT i FROM generate_series(1, $1) i", ROWS, prefetch=500):
            total += row[0]
        equal(total, ROWS * (ROWS + 1) // 2)
        portal = await c.cursor("SELECT i FROM generate_series(1, 1000) i")
        equal([row[0] for row in await portal.fetch(3)], [1, 2, 3])
        await portal.forward(994)
        equal([row[0] for row in await portal.fetch(10)], [998, 999, 1000])


@scenario("cancel")
async def cancel():
    async with connect(2) as (a, b):
        # asyncpg sends the cancel request when its task is cancelled
        task = asyncio.create_task(a.execute("SELECT pg_sleep(60)"))
        await until(b, ASLEEP, a.get_server_pid())
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        equal(await a.fetchval("SELECT 1"), 1)
        task = asyncio.create_task(a.execute("SELECT pg_sleep(60)"))
        await until(b, ASLEEP, a.get_server_pid())
        check(await b.fetchval("SELECT pg_cancel_backend($1)", a.get_server_pid()))
        with fails("57014"):
            await task
        equal(await a.fetchval("SELECT 1"), 1)


@scenario("transactions")
async def transactions():
    async with connect(2) as (a, b):
        await a.execute("CREATE TABLE account (id int PRIMARY KEY, n int); INSERT INTO account VALUES (1, 10), (2, 20)")
        first = a.transaction()
        await first.start()
        await a.execute("UPDATE account SET n = 11 WHERE id = 1")
        equal(await b.fetchval("SELECT n FROM account WHERE id = 1"), 10)
        waiting = asyncio.create_task(b.execute("UPDATE account SET n = n + 100 WHERE id = 1"))
        async with connect() as watch:
            await until(watch, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted")
        await first.commit()
        await waiting
        equal(await a.fetchval("SELECT n FROM account WHERE id = 1"), 111)
        both = [c.transaction(isolation="repeatable_read") for c in (a, b)]
        for c, transaction in zip((a, b), both):
            await transaction.start()
            await c.fetch("SELECT * FROM account")
        await a.execute("UPDATE account SET n = 0 WHERE id = 2")
        await both[0].commit()
        with fails("40001"):
            await b.execute("UPDATE account SET n = 1 WHERE id = 2")
        with fails("25P02"):
            await b.fetchval("SELECT 1")
        await both[1].rollback()
        equal(await b.fetchval("SELECT n FROM account WHERE id = 2"), 0)


@scenario("client-dies-query")
async def client_dies_query():
    async with connect() as watch:
        victim = await asyncpg.connect(URI, server_settings={"client_connection_check_interval": "100ms"})
        pid = victim.get_server_pid()
        task = asyncio.create_task(victim.execute("SELECT pg_sleep(600)"))
        await until(watch, ASLEEP, pid)
        victim.terminate()
        await asyncio.gather(task, return_exceptions=True)
        await until(watch, GONE, pid)


@scenario("client-dies-copy")
async def client_dies_copy():
    async with connect() as watch:
        await watch.execute("CREATE TABLE torn (t text)")
        victim = await asyncpg.connect(URI)
        pid = victim.get_server_pid()
        begun = asyncio.Event()

        async def source():
            yield b"a row\n" * 10_000
            begun.set()
            await asyncio.sleep(600)

        task = asyncio.create_task(victim.copy_to_table("torn", source=source()))
        await begun.wait()
        victim.terminate()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(watch, GONE, pid)
        equal(await watch.fetchval("SELECT count(*) FROM torn"), 0)


@scenario("hundred-connections")
async def hundred_connections():
    async with connect() as c:
        await c.execute("CREATE TABLE hundred (n int)")
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hundred'"
        together = asyncio.Barrier(100)

        async def client(n):
            mine = await asyncpg.connect(URI, server_settings={"application_name": "hundred"})
            await together.wait()
            await mine.execute("INSERT INTO hundred VALUES ($1)", n)
            await together.wait()
            seen = await mine.fetchval(count)
            await together.wait()
            await mine.close()
            return seen

        seen = await asyncio.gather(*map(client, range(100)))
        equal(set(seen), {100})
        equal(tuple(await c.fetchrow("SELECT count(*), sum(n) FROM hundred")), (100, 4950))
        await until(c, f"SELECT ({count}) = 0")


@scenario("unix-socket")
async def unix_socket():
    c = await asyncpg.connect(
        host=SOCKET, port=PARTS.port, user=PARTS.username, password=PARTS.password, database="postgres"
    )
    large = "y" * (1 << 20)
    check(await c.fetchval("SELECT $1::text", large) == large)
    equal(await c.fetchval("SELECT inet_server_addr()"), None)
    await c.close()


main(asyncpg.__version__)
