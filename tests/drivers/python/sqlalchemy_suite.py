"""SQLAlchemy 2, asynchronous, on psycopg or asyncpg: the first argument says which."""

import asyncio
import contextlib
import itertools
import os
import socket
import sys
from datetime import datetime, timezone
from decimal import Decimal

import sqlalchemy
from sqlalchemy import ForeignKey, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload
from sqlalchemy.pool import NullPool

from harness import PARTS, ROWS, SOCKET, NotApplicable, check, equal, fails, main, scenario

DRIVER = sys.argv.pop(1)
ADDRESS = sqlalchemy.URL.create(
    f"postgresql+{DRIVER}", PARTS.username, PARTS.password, PARTS.hostname, PARTS.port, "postgres"
)


@contextlib.asynccontextmanager
async def engine(url=ADDRESS, **options):
    made = create_async_engine(url, **({"poolclass": NullPool} | options))
    try:
        yield made
    finally:
        await made.dispose()


@contextlib.asynccontextmanager
async def connect(count=1, autocommit=True, **options):
    async with engine(**options) as e, contextlib.AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(e.connect()) for _ in range(count)]
        if autocommit:
            for c in connections:
                await c.execution_options(isolation_level="AUTOCOMMIT")
        yield connections[0] if count == 1 else connections


async def driver(connection):
    return (await connection.get_raw_connection()).driver_connection


async def until(connection, query, **parameters):
    for _ in range(3000):
        if await connection.scalar(text(query), parameters):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never true: {query}")


GONE = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = :pid)"
ASLEEP = "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = :pid"
PID = text("SELECT pg_backend_pid()")


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    born: Mapped[datetime] = mapped_column(sqlalchemy.DateTime(timezone=True))
    worth: Mapped[Decimal] = mapped_column(sqlalchemy.Numeric(20, 6))
    tags: Mapped[list[str]] = mapped_column(ARRAY(sqlalchemy.Text))
    more: Mapped[dict] = mapped_column(JSONB)
    image: Mapped[bytes | None]
    books: Mapped[list["Book"]] = relationship(back_populates="author", order_by="Book.title")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="books")


class Account(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    n: Mapped[int]


@scenario("simple-query")
async def simple_query():
    async with connect() as c:
        await c.execute(text("CREATE TABLE simple (n int)"))
        await c.execute(text("INSERT INTO simple VALUES (1), (2)"))
        with fails("42P01"):
            await c.execute(text("SELECT * FROM no_such_table"))
        equal(await c.scalar(text("SELECT sum(n) FROM simple")), 3)
        several = await driver(c)
        with fails("22012"):
            await several.execute("INSERT INTO simple VALUES (9); SELECT 1 / 0")
        equal(await c.scalar(text("SELECT count(*) FROM simple")), 2)


@scenario("extended-query")
async def extended_query():
    async with engine() as e:
        async with e.begin() as c:
            await c.run_sync(lambda c: Base.metadata.create_all(c, [Author.__table__, Book.__table__]))
        session = async_sessionmaker(e, expire_on_commit=False)
        born = datetime(2024, 2, 29, 12, tzinfo=timezone.utc)
        async with session.begin() as s:
            s.add(
                Author(
                    name="zażółć", born=born, worth=Decimal("12345.678900"), tags=["a", "ü"], more={"a": [1]},
                    image=b"\x00\xff", books=[Book(title=f"{i:03}") for i in range(500)],
                )
            )
        async with session() as s:
            author = (await s.scalars(select(Author).options(selectinload(Author.books)))).one()
            equal((author.born, author.worth, author.image), (born, Decimal("12345.678900"), b"\x00\xff"))
            equal((author.tags, author.more), (["a", "ü"], {"a": [1]}))
            equal([book.title for book in author.books], [f"{i:03}" for i in range(500)])
            large = "x" * (4 << 20)
            check(await s.scalar(select(func.concat(large, ""))) == large, "4 MiB come back")
        async with session() as s:
            with fails("23503"):
                await s.execute(insert(Book).values(title="of nobody", author_id=0))
            await s.rollback()
            equal(await s.scalar(select(func.count()).select_from(Book).where(Book.title < "010")), 10)


@scenario("prepared-names")
async def prepared_names():
    # each engine counts its names by itself
    def options():
        if DRIVER == "psycopg":
            return {"prepare_threshold": 0}
        numbers = itertools.count()
        return {"prepared_statement_name_func": lambda: f"name_{next(numbers)}"}

    async with connect(connect_args=options()) as a, connect(connect_args=options()) as b:
        for i in range(20):
            equal(await a.scalar(text("SELECT CAST(:i AS int) + 1"), {"i": i}), i + 1)
            equal(await b.scalar(text("SELECT CAST(:i AS text) || 'b'"), {"i": str(i)}), f"{i}b")
        query = text("SELECT array_agg(name) FROM pg_prepared_statements WHERE statement LIKE '%AS %+ 1' OR statement LIKE '%b'''")
        names = [await c.scalar(query) for c in (a, b)]
        check(names[0] and names[0] == names[1], f"the names collide: {names}")
        raw = [await driver(c) for c in (a, b)]
        for c, name in zip(raw, "ab"):
            await c.execute(f"PREPARE ours AS SELECT '{name}'")
        await raw[0].execute("DEALLOCATE ours")
        with fails("26000"):
            await raw[0].execute("EXECUTE ours")
        await raw[1].execute("EXECUTE ours")


@scenario("pipeline-error")
async def pipeline_error():
    if DRIVER == "psycopg":
        raise NotApplicable("SQLAlchemy has no pipelines")
    # asyncpg's executemany, which SQLAlchemy uses for lists of parameters, is one
    async with connect(autocommit=False) as c:
        await c.execute(text("CREATE TABLE pipeline (n int PRIMARY KEY)"))
        await c.commit()
        query = text("INSERT INTO pipeline VALUES (:n)")
        with fails("23505"):
            await c.execute(query, [{"n": n % 500} for n in range(1000)])
        await c.rollback()
        await c.execute(query, [{"n": n} for n in range(1000)])
        await c.commit()
        equal(await c.scalar(text("SELECT sum(n) FROM pipeline")), 499500)


@scenario("copy-in")
async def copy_in():
    async with connect() as c:
        await c.execute(text("CREATE TABLE copied (n int, t text)"))
        raw = await driver(c)
        rows = [(i, f"row\t{i}") for i in range(ROWS)]
        if DRIVER == "asyncpg":
            await raw.copy_records_to_table("copied", records=rows)
        else:
            async with raw.cursor() as cursor, cursor.copy("COPY copied FROM STDIN") as copy:
                for row in rows:
                    await copy.write_row(row)
        total = await c.execute(text("SELECT count(*), sum(n) FROM copied"))
        equal(tuple(total.one()), (ROWS, ROWS * (ROWS - 1) // 2))


@scenario("copy-out")
async def copy_out():
    query = f"SELECT i, repeat('x', 100) FROM generate_series(1, {ROWS}) i"
    async with connect() as c:
        raw, parts = await driver(c), []
        if DRIVER == "asyncpg":

            async def take(part):
                parts.append(bytes(part))

            await raw.copy_from_query(query, output=take)
        else:
            async with raw.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT") as copy:
                async for part in copy:
                    parts.append(bytes(part))
        lines = b"".join(parts).decode().splitlines()
        equal((len(lines), lines[-1]), (ROWS, f"{ROWS}\t" + "x" * 100))
        equal(await c.scalar(text("SELECT 1")), 1)


@scenario("listen-notify")
async def listen_notify():
    async with connect(2) as (a, b):
        raw = await driver(a)
        pid = await b.scalar(PID)
        if DRIVER == "asyncpg":
            got = asyncio.Queue()
            await raw.add_listener("news", lambda _, pid, channel, payload: got.put_nowait((channel, payload, pid)))
        else:
            await raw.execute("LISTEN news")
        await b.execute(text("SELECT pg_notify('news', :text)"), {"text": "one"})
        await b.execute(text("NOTIFY news, 'two'"))
        if DRIVER == "asyncpg":
            received = [await got.get(), await got.get()]
            await raw.execute("UNLISTEN *")
        else:
            received = [(n.channel, n.payload, n.pid) async for n in raw.notifies(timeout=30, stop_after=2)]
        equal(received, [("news", "one", pid), ("news", "two", pid)])


@scenario("cursor")
async def cursor():
    async with connect(autocommit=False) as c:
        query = text("SELECT i FROM generate_series(1, :n) i")
        result = await c.stream(query, {"n": ROWS}, execution_options={"yield_per": 500})
        equal(sum([row.i async for row in result]), ROWS * (ROWS + 1) // 2)
        result = await c.stream(query, {"n": ROWS}, execution_options={"yield_per": 100})
        equal([row.i for row in await result.fetchmany(3)], [1, 2, 3])
        await result.close()
        equal(await c.scalar(text("SELECT 1")), 1)


@scenario("cancel")
async def cancel():
    async with connect(2) as (a, b):
        pid = await a.scalar(PID)
        task = asyncio.create_task(a.execute(text("SELECT pg_sleep(60)")))
        await until(b, ASLEEP, pid=pid)
        if DRIVER == "psycopg":
            await (await driver(a)).cancel_safe()
        else:
            await b.scalar(text("SELECT pg_cancel_backend(:pid)"), {"pid": pid})
        with fails("57014"):
            await task
        equal(await a.scalar(text("SELECT 1")), 1)


@scenario("transactions")
async def transactions():
    async with engine() as e:
        async with e.begin() as c:
            await c.run_sync(lambda c: Base.metadata.create_all(c, [Account.__table__]))
            await c.execute(insert(Account), [{"id": 1, "n": 10}, {"id": 2, "n": 20}])
        one, two = select(Account.n).where(Account.id == 1), select(Account.n).where(Account.id == 2)
        async with e.connect() as a, e.connect() as b, e.connect() as watch:
            await a.execute(update(Account).values(n=11).where(Account.id == 1))
            equal(await b.scalar(one), 10)
            waiting = asyncio.create_task(b.execute(update(Account).values(n=Account.n + 100).where(Account.id == 1)))
            await until(watch, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted")
            await a.commit()
            await waiting
            await b.commit()
            equal(await a.scalar(one), 111)
            await a.commit()
            for c in (a, b):
                await c.execution_options(isolation_level="REPEATABLE READ")
                await c.execute(select(Account))
            await a.execute(update(Account).values(n=0).where(Account.id == 2))
            await a.commit()
            with fails("40001"):
                await b.execute(update(Account).values(n=1).where(Account.id == 2))
            with fails("25P02"):
                await b.scalar(text("SELECT 1"))
            await b.rollback()
            equal(await b.scalar(two), 0)


def tear(raw):
    """The client dies: nothing is said, the socket is shut."""
    if DRIVER == "asyncpg":
        raw.terminate()
        return
    with socket.socket(fileno=os.dup(raw.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


@scenario("client-dies-query")
async def client_dies_query():
    async with connect() as watch, engine() as e:
        victim = await e.connect()
        await victim.execute(text("SET client_connection_check_interval = '100ms'"))
        await victim.commit()
        pid = await victim.scalar(PID)
        raw = await driver(victim)
        task = asyncio.create_task(victim.execute(text("SELECT pg_sleep(600)")))
        await until(watch, ASLEEP, pid=pid)
        tear(raw)
        ended = (await asyncio.gather(task, return_exceptions=True))[0]
        check(isinstance(ended, Exception), "the client hears of it")
        await until(watch, GONE, pid=pid)
        with contextlib.suppress(Exception):
            await victim.close()


@scenario("client-dies-copy")
async def client_dies_copy():
    async with connect() as watch, engine() as e:
        await watch.execute(text("CREATE TABLE torn (t text)"))
        victim = await e.connect()
        pid = await victim.scalar(PID)
        raw = await driver(victim)
        begun = asyncio.Event()

        async def write():
            if DRIVER == "asyncpg":

                async def source():
                    yield b"a row\n" * 10_000
                    begun.set()
                    await asyncio.sleep(600)

                await raw.copy_to_table("torn", source=source())
            else:
                async with raw.cursor() as cursor, cursor.copy("COPY torn FROM STDIN") as copy:
                    await copy.write(b"a row\n" * 10_000)
                    begun.set()
                    await asyncio.sleep(600)

        task = asyncio.create_task(write())
        await begun.wait()
        tear(raw)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(watch, GONE, pid=pid)
        equal(await watch.scalar(text("SELECT count(*) FROM torn")), 0)
        with contextlib.suppress(Exception):
            await victim.close()


@scenario("hundred-connections")
async def hundred_connections():
    async with engine(poolclass=None, pool_size=100) as e, connect() as c:
        await c.execute(text("CREATE TABLE hundred (n int)"))
        together = asyncio.Barrier(100)

        async def client(n):
            async with e.begin() as mine:
                await together.wait()
                await mine.execute(text("INSERT INTO hundred VALUES (:n)"), {"n": n})
                await together.wait()

        await asyncio.gather(*map(client, range(100)))
        equal(e.pool.checkedin(), 100)
        equal(tuple((await c.execute(text("SELECT count(*), sum(n) FROM hundred"))).one()), (100, 4950))


@scenario("unix-socket")
async def unix_socket():
    url = ADDRESS.set(host=None, port=None).update_query_dict({"host": SOCKET, "port": str(PARTS.port)})
    async with connect(url=url) as c:
        large = "y" * (1 << 20)
        check(await c.scalar(select(func.concat(large, ""))) == large)
        equal(await c.scalar(text("SELECT inet_server_addr()")), None)


main(sqlalchemy.__version__)
