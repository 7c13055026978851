"""The interface of the libpglite draft by ctypes: the memory area, the file transport, text."""

import ctypes
import os
import pathlib
import struct

IDB_FAILED, IDB_CALLED, IDB_HASDB, IDB_HASUSER = 1, 2, 4, 8


def _library():
    return ctypes.CDLL(os.environ.get("PGLITE_LIBRARY", "libpglite.so.1"))


class Backend:
    """The one backend of this process. Environment variables such as PREFIX say where and who it is."""

    def __init__(self):
        self.lib = _library()
        self.lib.pgl_cma.restype = ctypes.c_void_p
        self.status = self.lib.pgl_initdb()
        if self.status & IDB_FAILED or self.lib.pgl_backend() != 0:
            raise RuntimeError("the backend does not begin; the reason is on standard error")
        self.lib.use_wire(1)
        size = self.lib.get_buffer_size(0)
        self.memory = memoryview((ctypes.c_char * size).from_address(self.lib.pgl_cma())).cast("B")
        prefix = pathlib.Path(os.environ.get("PREFIX", "/tmp/pglite"))
        self.data = pathlib.Path(os.environ.get("PGDATA", prefix / "base"))
        # Looked up once: that is most of what a call costs.
        self._write, self._one, self._read = (
            self.lib.interactive_write, self.lib.interactive_one, self.lib.interactive_read)

    def by_memory(self, message):
        """Sends bytes through the memory area; the reply."""
        length = len(message)
        self.memory[1:1 + length] = message
        self._write(length)
        self._one()
        size = self._read()
        if size >= 0:
            return bytes(self.memory[2 + length:2 + length + size])
        return self._take(self.data / f".s.PGSQL.5432.out.{-size}")

    def by_file(self, message):
        """Sends bytes through files; the reply."""
        lock = self.data / ".s.PGSQL.5432.lock.in"
        lock.write_bytes(message)
        lock.rename(self.data / ".s.PGSQL.5432.in")
        self._one()
        return self._take(self.data / ".s.PGSQL.5432.out")

    @staticmethod
    def _take(path):
        try:
            reply = path.read_bytes()
        except FileNotFoundError:
            return b""
        path.unlink()
        return reply

    def text(self, sql):
        """Runs text; the tables go to standard output."""
        self.lib.use_wire(0)
        encoded = sql.encode() + b"\0"
        self.memory[1:1 + len(encoded)] = encoded
        self._one()
        self.lib.use_wire(1)

    def has_client(self):
        return self.lib.pgl_closed() == 1

    def close(self):
        self.lib.pgl_shutdown()


def query(sql):
    """A simple query message."""
    body = sql.encode() + b"\0"
    return b"Q" + struct.pack(">I", len(body) + 4) + body


def messages(reply):
    """The messages of a reply: type and body."""
    at = 0
    while at + 5 <= len(reply):
        length = struct.unpack_from(">I", reply, at + 1)[0]
        yield reply[at:at + 1], reply[at + 5:at + 1 + length]
        at += 1 + length
