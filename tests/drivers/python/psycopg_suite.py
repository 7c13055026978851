"""psycopg 3, blocking."""

import contextlib
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from decimal import Decimal

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from harness import PARTS, ROWS, SOCKET, URI, check, equal, fails, main, scenario


def connect(**options):
    return psycopg.connect(URI, autocommit=True, **options)


def value(connection, query, *parameters):
    return connection.execute(query, parameters or None).fetchone()[0]


def wait_until_gone(connection, pid):
    end = time.monotonic() + 30
    while value(connection, "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid):
        check(time.monotonic() < end, "the session of a dead client does not end")
        time.sleep(0.02)


def tear(connection):
    """The client dies: nothing is said, the socket is shut."""
    with socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


@scenario("simple-query")
def simple_query():
    with connect(cursor_factory=psycopg.ClientCursor) as c:
        cursor = c.execute("CREATE TABLE simple (n int); INSERT INTO simple VALUES (1), (2); SELECT sum(n) FROM simple")
        check(cursor.nextset() and cursor.nextset())
        equal(cursor.fetchone(), (3,))
        with fails("42P01"):
            c.execute("SELECT * FROM no_such_table")
        with fails("22012"):
            c.execute("INSERT INTO simple VALUES (9); SELECT 1 / 0")
        equal(value(c, "SELECT count(*) FROM simple"), 2)


@scenario("extended-query")
def extended_query():
    values = [2**40, "zażółć", b"\x00\xff", Decimal("12345.678900"), datetime(2024, 2, 29, 12, tzinfo=timezone.utc)]
    query = "SELECT %s::int8, %s::text, %s::bytea, %s::numeric, %s::timestamptz, %s::int[], %s::jsonb, %s::text"
    for binary in (False, True):
        with connect() as c:
            parameters = [*values, [1, None, 3], Jsonb({"a": [1]}), None]
            row = c.execute(query, parameters, binary=binary).fetchone()
            equal(list(row), [*values, [1, None, 3], {"a": [1]}, None])
            large = "x" * (4 << 20)
            check(value(c, "SELECT %s::text", large) == large, "4 MiB come back")
            with fails("22012"):
                c.execute("SELECT 1 / %s", [0])
            equal(value(c, "SELECT %s::int + 1", 1), 2)


@scenario("prepared-names")
def prepared_names():
    with connect() as a, connect() as b:
        for i in range(20):
            equal(a.execute("SELECT %s::int + 1", [i], prepare=True).fetchone()[0], i + 1)
            equal(b.execute("SELECT %s::text || 'b'", [str(i)], prepare=True).fetchone()[0], f"{i}b")
        names = [value(c, "SELECT array_agg(name ORDER BY name) FROM pg_prepared_statements") for c in (a, b)]
        check(names[0] and names[0] == names[1], f"the names collide: {names}")
        a.execute("PREPARE same AS SELECT 'a'")
        b.execute("PREPARE same AS SELECT 'b'")
        a.execute("DEALLOCATE same")
        equal(value(b, "EXECUTE same"), "b")
        with fails("26000"):
            a.execute("EXECUTE same")


@scenario("pipeline-error")
def pipeline_error():
    with connect() as c:
        c.execute("CREATE TABLE pipeline (n int PRIMARY KEY)")
        with c.pipeline() as pipeline:
            first = c.execute("INSERT INTO pipeline VALUES (1) RETURNING n")
            pipeline.sync()
            wrong = after = None
            with fails("23505"):
                # the error comes up where its message happens to be received
                wrong = c.execute("INSERT INTO pipeline VALUES (%s)", [1])
                after = c.execute("INSERT INTO pipeline VALUES (2) RETURNING n")
                pipeline.sync()
            with contextlib.suppress(psycopg.Error):
                pipeline.sync()
            with_new = c.execute("INSERT INTO pipeline VALUES (3) RETURNING n")
            equal(with_new.fetchone(), (3,))
            equal(first.fetchone(), (1,))
        check(all(cursor is None or cursor.rowcount == -1 for cursor in (wrong, after)))
        equal(c.execute("SELECT n FROM pipeline ORDER BY n").fetchall(), [(1,), (3,)])


@scenario("copy-in")
def copy_in():
    with connect() as c, c.cursor() as cursor:
        c.execute("CREATE TABLE copied (n int, t text)")
        with cursor.copy("COPY copied FROM STDIN") as copy:
            for i in range(ROWS):
                copy.write_row((i, f"row\t{i}"))
        equal(cursor.rowcount, ROWS)
        with fails("22P02"):
            with cursor.copy("COPY copied FROM STDIN") as copy:
                copy.write("1\tgood\nbad\tbad\n")
        total = c.execute("SELECT count(*), sum(n), count(*) FILTER (WHERE t = E'row\\t' || n) FROM copied").fetchone()
        equal(total, (ROWS, ROWS * (ROWS - 1) // 2, ROWS))


@scenario("copy-out")
def copy_out():
    with connect() as c, c.cursor() as cursor:
        with cursor.copy(sql.SQL("COPY (SELECT i, repeat('x', 100) FROM generate_series(1, {}) i) TO STDOUT").format(ROWS)) as copy:
            text = b"".join(copy).decode()
        lines = text.splitlines()
        equal((len(lines), lines[-1]), (ROWS, f"{ROWS}\t" + "x" * 100))
        with fails("22012"):
            with cursor.copy("COPY (SELECT 1 / (100 - i) FROM generate_series(1, 200) i) TO STDOUT") as copy:
                for _ in copy:
                    pass
        equal(value(c, "SELECT 1"), 1)


@scenario("listen-notify")
def listen_notify():
    with connect() as a, connect() as b:
        a.execute("LISTEN news")
        with fails("22012"), b.transaction():
            b.execute("NOTIFY news, 'rolled back'")
            b.execute("SELECT 1 / 0")
        b.execute("SELECT pg_notify('news', %s)", ["one"])
        b.execute("NOTIFY news, 'two'")
        got = [(n.channel, n.payload, n.pid) for n in a.notifies(timeout=30, stop_after=2)]
        equal(got, [("news", "one", b.info.backend_pid), ("news", "two", b.info.backend_pid)])


@scenario("cursor")
def cursor():
    with connect() as c, c.transaction():
        with c.cursor("ours") as cursor:
            cursor.itersize = 500
            cursor.execute("SELECT i FROM generate_series(1, %s) i", [ROWS])
            equal(sum(row[0] for row in cursor), ROWS * (ROWS + 1) // 2)
        with c.cursor("scrolls", scrollable=True) as cursor:
            cursor.execute("SELECT i FROM generate_series(1, 1000) i")
            equal([row[0] for row in cursor.fetchmany(3)], [1, 2, 3])
            cursor.scroll(997, mode="absolute")
            equal([row[0] for row in cursor.fetchall()], [998, 999, 1000])


@scenario("cancel")
def cancel():
    with connect() as a, connect() as b:
        for safe in (True, False):
            thread = threading.Thread(target=cancel_when_asleep, args=(a, b, safe))
            thread.start()
            with fails("57014"):
                a.execute("SELECT pg_sleep(60)")
            thread.join()
        equal(value(a, "SELECT 1"), 1)


def cancel_when_asleep(target, watch, safe):
    query = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
    while not value(watch, query, target.info.backend_pid):
        time.sleep(0.01)
    target.cancel_safe() if safe else target.cancel()


@scenario("transactions")
def transactions():
    with connect() as a, connect() as b:
        a.execute("CREATE TABLE account (id int PRIMARY KEY, n int); INSERT INTO account VALUES (1, 10), (2, 20)")
        a.execute("BEGIN")
        a.execute("UPDATE account SET n = 11 WHERE id = 1")
        equal(value(b, "SELECT n FROM account WHERE id = 1"), 10)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(b.execute, "UPDATE account SET n = n + 100 WHERE id = 1")
            while not value_elsewhere("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                time.sleep(0.01)
            a.execute("COMMIT")
            waiting.result()
        equal(value(a, "SELECT n FROM account WHERE id = 1"), 111)
        for c in (a, b):
            c.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            c.execute("SELECT * FROM account")
        a.execute("UPDATE account SET n = 0 WHERE id = 2")
        a.execute("COMMIT")
        with fails("40001"):
            b.execute("UPDATE account SET n = 1 WHERE id = 2")
        with fails("25P02"):
            b.execute("SELECT 1")
        b.execute("ROLLBACK")
        equal(value(b, "SELECT n FROM account WHERE id = 2"), 0)


def value_elsewhere(query):
    with connect() as c:
        return value(c, query)


@scenario("client-dies-query")
def client_dies_query():
    with connect() as watch:
        victim = connect(options="-c client_connection_check_interval=100ms")
        pid = victim.info.backend_pid
        victim.pgconn.send_query(b"SELECT pg_sleep(600)")
        while not value(watch, "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'", pid):
            time.sleep(0.01)
        tear(victim)
        wait_until_gone(watch, pid)


@scenario("client-dies-copy")
def client_dies_copy():
    with connect() as watch:
        watch.execute("CREATE TABLE torn (t text)")
        victim = connect()
        pid = victim.info.backend_pid
        victim.pgconn.exec_(b"COPY torn FROM STDIN")
        victim.pgconn.put_copy_data(b"a row\n" * 10_000)
        tear(victim)
        wait_until_gone(watch, pid)
        equal(value(watch, "SELECT count(*) FROM torn"), 0)


@scenario("hundred-connections")
def hundred_connections():
    with connect() as c:
        c.execute("CREATE TABLE hundred (n int)")
        together = threading.Barrier(100)

        def client(n):
            with connect(application_name="hundred") as mine:
                together.wait(50)
                mine.execute("INSERT INTO hundred VALUES (%s)", [n])
                together.wait(50)
                return value(mine, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hundred'")

        with ThreadPoolExecutor(100) as pool:
            seen = list(pool.map(client, range(100)))
        equal(max(seen), 100)
        equal(c.execute("SELECT count(*), sum(n) FROM hundred").fetchone(), (100, 4950))
        end = time.monotonic() + 30
        while value(c, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hundred'"):
            check(time.monotonic() < end, "sessions do not end")


@scenario("unix-socket")
def unix_socket():
    with psycopg.connect(
        host=SOCKET, port=PARTS.port, user=PARTS.username, password=PARTS.password, dbname="postgres", autocommit=True
    ) as c:
        large = "y" * (1 << 20)
        check(value(c, "SELECT %s::text", large) == large)
        equal(value(c, "SELECT inet_server_addr()"), None)


main(psycopg.__version__)
