#!/usr/bin/env python3
"""Tests of the Python host: python3 test_pglite.py, with PGLITE_LIBRARY naming the library."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PREFIX = tempfile.mkdtemp()
os.environ["PREFIX"] = PREFIX

from pglite_compat import IDB_CALLED, IDB_HASUSER, Backend, messages, query  # noqa: E402


def tearDownModule():
    shutil.rmtree(PREFIX)


class Host(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.backend = Backend()

    @classmethod
    def tearDownClass(cls):
        cls.backend.close()

    def kinds(self, reply):
        return b"".join(kind for kind, _ in messages(reply))

    def test_status(self):
        self.assertEqual(self.backend.status, IDB_CALLED | IDB_HASUSER)

    def test_memory_and_files_say_the_same(self):
        for sql in ["SELECT 1", "SELECT 1/0", "SELECT 1; SELECT 2", ""]:
            self.assertEqual(self.backend.by_memory(query(sql)), self.backend.by_file(query(sql)))

    def test_a_large_reply(self):
        reply = self.backend.by_memory(query("SELECT repeat('x', 1000000) FROM generate_series(1, 30)"))
        self.assertEqual(self.kinds(reply), b"T" + b"D" * 30 + b"CZ")

    def test_a_message_in_two_pieces(self):
        message = query("SELECT 'in two pieces'")
        self.assertEqual(self.backend.by_memory(message[:7]), b"")
        self.assertEqual(self.kinds(self.backend.by_file(message[7:])), b"TDCZ")

    def test_round_trips(self):
        message = query("SELECT 1")
        best = float("inf")
        for _ in range(20):
            begin = time.perf_counter()
            for _ in range(1000):
                self.backend.by_memory(message)
            best = min(best, (time.perf_counter() - begin) * 1000)
        print(f"memory area: {best:.1f} us per SELECT 1", file=sys.stderr)


@unittest.skipUnless(shutil.which("psql"), "psql is not installed")
class Gateway(unittest.TestCase):
    def through(self, kind, place, connection, *more):
        prefix = tempfile.mkdtemp()
        gateway = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "gateway.py"), kind, place, *more],
            env={**os.environ, "PREFIX": prefix}, stdout=subprocess.PIPE, text=True)
        try:
            line = gateway.stdout.readline()
            self.assertTrue(line.startswith("ready"), line)
            if kind == "inet":
                connection += " port=" + line.rsplit(",", 1)[1].strip(" )\n")
            connection += " user=postgres sslmode=disable dbname=template1"
            psql = ["psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
            for number in range(3):
                run = subprocess.run(psql + ["-c", f"CREATE TEMP TABLE t AS SELECT {number} AS n", "-c", "SELECT n FROM t",
                                             connection + " password=password"], capture_output=True, text=True)
                self.assertEqual(run.stdout, f"SELECT 1\n{number}\n", run.stderr)
            run = subprocess.run(psql + ["-c", "SELECT 1", connection + " password=wrong"], capture_output=True, text=True)
            self.assertIn("password authentication failed", run.stderr)
        finally:
            gateway.send_signal(signal.SIGINT)
            gateway.wait(timeout=60)
            gateway.stdout.close()
            shutil.rmtree(prefix)

    def test_unix(self):
        with tempfile.TemporaryDirectory() as folder:
            self.through("unix", folder, f"host={folder}")

    def test_inet_by_files(self):
        self.through("inet", "127.0.0.1:0", "host=127.0.0.1", "--files")


if __name__ == "__main__":
    unittest.main()
