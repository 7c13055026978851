"""PGLITE_WASM=FOLDER python3 test_pglite.py, where FOLDER is what `cargo xtask build --target wasm32-wasip1` names."""

import os
import pathlib
import shutil
import struct
import tempfile
import unittest

PREFIX = tempfile.mkdtemp()
os.environ["PREFIX"] = PREFIX

from pglite_wasi import Backend  # noqa: E402 (first: it says where the others are)

from gateway_checks import Checks  # noqa: E402
from pglite_compat import IDB_CALLED, IDB_HASDB, IDB_HASUSER, query  # noqa: E402


class Host(unittest.TestCase):
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

    def test_text(self):
        with tempfile.TemporaryFile() as file:
            output = os.dup(1)
            os.dup2(file.fileno(), 1)
            try:
                self.backend.text("SELECT 6 * 7 AS answer;\n")
            finally:
                os.dup2(output, 1)
                os.close(output)
            file.seek(0)
            self.assertEqual(file.read(), b" answer \n--------\n     42\n(1 row)\n\n")

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
            self.backend.functions.pgl_shutdown()
            self.assertEqual(self.backend.functions.pgl_initdb(), IDB_HASDB | IDB_HASUSER)
            self.assertEqual(self.backend.functions.pgl_backend(), 0)
        self.assertLessEqual(self.backend.memory.data_len(self.backend.store), size + (8 << 20))
        self.backend.functions.use_wire(1)


class Gateway(Checks, unittest.TestCase):
    script = str(pathlib.Path(__file__).resolve().parent / "gateway.py")


if __name__ == "__main__":
    try:
        unittest.main()
    finally:
        shutil.rmtree(PREFIX, ignore_errors=True)
