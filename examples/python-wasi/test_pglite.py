"""PGLITE_WASM=FOLDER python3 test_pglite.py, where FOLDER is what `cargo xtask build --target wasm32-wasip1` names."""

import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

FOLDER = pathlib.Path(__file__).resolve().parent
PREFIX = tempfile.mkdtemp()
os.environ["PREFIX"] = PREFIX

from pglite_wasi import IDB_CALLED, IDB_HASDB, IDB_HASUSER, Backend  # noqa: E402


def query(sql):
    body = sql.encode() + b"\0"
    return b"Q" + struct.pack(">I", len(body) + 4) + body


class Draft(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.backend = Backend()

    @classmethod
    def tearDownClass(cls):
        cls.backend.close()

    def test_a_new_cluster(self):
        self.assertEqual(self.backend.status, IDB_CALLED | IDB_HASUSER)

    def test_memory_and_files(self):
        for send in (self.backend.by_memory, self.backend.by_file):
            self.assertIn(b"hello", send(query("SELECT 'hel' || 'lo'")))
            self.assertIn(b"division by zero", send(query("SELECT 1/0")))

    def test_a_reply_that_does_not_fit(self):
        reply = self.backend.by_memory(query("SELECT repeat('x', 20000000)"))
        self.assertGreater(len(reply), 20000000)

    def test_copy_spans_calls(self):
        send = self.backend.by_memory
        send(query("CREATE TABLE c (a int)"))
        send(query("BEGIN"))
        self.assertTrue(send(query("COPY c FROM STDIN")).startswith(b"G"))
        for number in range(100):
            row = b"%d\n" % number
            self.assertEqual(send(b"d" + struct.pack(">I", len(row) + 4) + row), b"")
        self.assertIn(b"COPY 100", send(b"c\0\0\0\4"))
        self.assertIn(b"COMMIT", send(query("COMMIT")))
        self.assertIn(b"4950", send(query("SELECT sum(a) FROM c")))

    def test_timeout(self):
        self.assertIn(b"57014", self.backend.by_memory(query("SET statement_timeout = 100; SELECT count(*) FROM generate_series(1, 1e12)")))
        self.backend.by_memory(query("RESET statement_timeout"))

    def test_memory_is_given_back(self):
        size = self.backend.memory.data_len(self.backend.store)
        for _ in range(5):
            self.backend.call("pgl_shutdown")
            self.assertEqual(self.backend.call("pgl_initdb"), IDB_HASDB | IDB_HASUSER)
            self.assertEqual(self.backend.call("pgl_backend"), 0)
        self.assertLessEqual(self.backend.memory.data_len(self.backend.store), size + (8 << 20))
        self.backend.call("use_wire", 1)


@unittest.skipUnless(shutil.which("psql"), "needs psql")
class Gateway(unittest.TestCase):
    def test_psql_and_pg_dump(self):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as prefix:
            for transport in ([], ["--files"]):
                command = [sys.executable, str(FOLDER / "gateway.py"), "unix", folder, *transport]
                gateway = subprocess.Popen(command, env=dict(os.environ, PREFIX=prefix), stdout=subprocess.PIPE, text=True)
                try:
                    self.assertTrue(gateway.stdout.readline().startswith("ready"))
                    self.talk(folder)
                finally:
                    gateway.send_signal(2)
                    gateway.wait()

    def talk(self, folder):
        where = f"host={folder} user=postgres sslmode=disable password=%s dbname=template1"

        def run(*words, password="password", data=None):
            return subprocess.run([words[0], where % password, *words[1:]], capture_output=True, text=True, input=data)

        done = run("psql", "-c", "DROP TABLE IF EXISTS t", "-c", "CREATE TABLE t (a int)", "-c", "\\copy t from stdin", data="1\n2\n\\.\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(run("psql", "-Atc", "SELECT sum(a) FROM t").stdout, "3\n")
        dumped = run("pg_dump")
        # An older one refuses to.
        self.assertTrue("COPY public.t" in dumped.stdout or "server version mismatch" in dumped.stderr, dumped.stderr)
        self.assertIn("password authentication failed", run("psql", "-c", "SELECT 1", password="wrong").stderr)


if __name__ == "__main__":
    try:
        unittest.main()
    finally:
        shutil.rmtree(PREFIX, ignore_errors=True)
