#!/usr/bin/env python3
"""Tests of the Python host: python3 test_pglite.py, with PGLITE_LIBRARY naming the library."""

import os
import shutil
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PREFIX = tempfile.mkdtemp()
os.environ["PREFIX"] = PREFIX

from gateway_checks import Checks  # noqa: E402
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


class Gateway(Checks, unittest.TestCase):
    script = os.path.join(HERE, "gateway.py")


if __name__ == "__main__":
    unittest.main()
