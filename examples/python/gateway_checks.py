"""Tests of a gateway by psql and pg_dump, for the hosts that have one."""

import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest


def tool(name):
    """A program of PostgreSQL 18: on the path, or built by `cargo xtask bench` or `conformance`."""
    cache = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    for program in [shutil.which(name), *glob.glob(f"{cache}/libpglite/stock/*/install/bin/{name}")]:
        if program and b") 18" in subprocess.run([program, "--version"], capture_output=True).stdout:
            return program
    return None


PSQL, PG_DUMP = tool("psql"), tool("pg_dump")
# Older ones do not know what they may ask for.
AUTHENTICATION = "require_auth=md5" if PSQL else ""
PSQL = PSQL or shutil.which("psql")


class Checks:
    """For a test case that names the gateway's `script`."""

    def through(self, kind, place, connection, *more):
        if PSQL is None:
            self.skipTest("NOT TESTED: psql is not installed")
        prefix = tempfile.mkdtemp()
        gateway = subprocess.Popen(
            [sys.executable, self.script, kind, place, *more],
            env={**os.environ, "PREFIX": prefix}, stdout=subprocess.PIPE, text=True)
        try:
            line = gateway.stdout.readline()
            self.assertTrue(line.startswith("ready"), line)
            if kind == "inet":
                connection += " port=" + line.rsplit(",", 1)[1].strip(" )\n")
            self.connection = connection + f" user=postgres sslmode=disable dbname=template1 {AUTHENTICATION} password="
            self.talk()
            self.dump()
        finally:
            gateway.send_signal(signal.SIGINT)
            gateway.wait(timeout=60)
            gateway.stdout.close()
            shutil.rmtree(prefix)
        self.assertEqual(gateway.returncode, 0)

    def psql(self, *statements, password="password", data=""):
        command = [PSQL, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        for statement in statements:
            command += ["-c", statement]
        return subprocess.run([*command, self.connection + password], capture_output=True, text=True, input=data)

    def talk(self):
        for number in range(3):
            run = self.psql(f"CREATE TEMP TABLE t AS SELECT {number} AS n", "SELECT n FROM t")
            self.assertEqual(run.stdout, f"SELECT 1\n{number}\n", run.stderr)
        self.assertIn("password authentication failed", self.psql("SELECT 1", password="wrong").stderr)
        run = self.psql("CREATE TABLE numbers (n int)", "\\copy numbers from stdin", "SELECT sum(n) FROM numbers", data="1\n2\n\\.\n")
        self.assertEqual(run.stdout, "CREATE TABLE\nCOPY 2\n3\n", run.stderr)

    def dump(self):
        if PG_DUMP is None:
            # Older ones refuse.
            print("NOT TESTED: there is no pg_dump of PostgreSQL 18; `cargo xtask bench --quick` builds one", file=sys.stderr)
            return
        self.psql("CREATE VIEW doubles AS SELECT 2 * n AS d FROM numbers", "CREATE FUNCTION f(a int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN a; END'")
        first = self.dumped()
        for part in ["COPY public.numbers (n) FROM stdin;\n1\n2\n\\.\n", "CREATE VIEW public.doubles", "CREATE FUNCTION public.f(a integer)"]:
            self.assertIn(part, first)
        self.psql("DROP FUNCTION f", "DROP TABLE numbers CASCADE")
        restored = self.psql(data=first)
        self.assertEqual(restored.returncode, 0, restored.stderr)
        self.assertEqual(self.dumped(), first)

    def dumped(self):
        run = subprocess.run([PG_DUMP, "--restrict-key=same", self.connection + "password"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def test_unix(self):
        with tempfile.TemporaryDirectory() as folder:
            self.through("unix", folder, f"host={folder}")

    def test_unix_by_files(self):
        with tempfile.TemporaryDirectory() as folder:
            self.through("unix", folder, f"host={folder}", "--files")

    def test_inet(self):
        self.through("inet", "127.0.0.1:0", "host=127.0.0.1")

    def test_inet_by_files(self):
        self.through("inet", "127.0.0.1:0", "host=127.0.0.1", "--files")
