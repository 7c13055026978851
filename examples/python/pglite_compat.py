"""The interface of the libpglite draft: the memory area, the file transport, text. The library is called by ctypes."""

import ctypes
import os
import pathlib
import struct

IDB_FAILED, IDB_CALLED, IDB_HASDB, IDB_HASUSER = 1, 2, 4, 8


class Draft:
    """A backend behind the draft's functions, wherever those are: `functions` has them as attributes. A subclass says what the memory area is."""

    def __init__(self, functions, data):
        self.functions, self.data = functions, data
        self.status = functions.pgl_initdb()
        if self.status & IDB_FAILED or functions.pgl_backend() != 0:
            raise RuntimeError("the backend does not begin; the reason is on standard error")
        functions.use_wire(1)
        # Looked up once: that is most of what a call costs.
        self._written, self._one, self._read = (
            functions.interactive_write, functions.interactive_one, functions.interactive_read)

    def put(self, at, data):
        """Writes to the memory area."""
        raise NotImplementedError

    def get(self, begin, end):
        """Bytes of the memory area."""
        raise NotImplementedError

    def by_memory(self, message):
        """Sends bytes through the memory area; the reply."""
        length = len(message)
        self.put(1, message)
        self._written(length)
        self._one()
        size = self._read()
        if size >= 0:
            return self.get(2 + length, 2 + length + size)
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
        self.functions.use_wire(0)
        self.put(1, sql.encode() + b"\0")
        self._one()
        self.functions.use_wire(1)

    def has_client(self):
        return self.functions.pgl_closed() == 1

    def close(self):
        self.functions.pgl_shutdown()


class Backend(Draft):
    """The one backend of this process. Environment variables such as PREFIX say where and who it is."""

    def __init__(self):
        library = ctypes.CDLL(os.environ.get("PGLITE_LIBRARY", "libpglite.so.1"))
        library.pgl_cma.restype = ctypes.c_void_p
        prefix = pathlib.Path(os.environ.get("PREFIX", "/tmp/pglite"))
        super().__init__(library, pathlib.Path(os.environ.get("PGDATA", prefix / "base")))
        size = library.get_buffer_size(0)
        self.memory = memoryview((ctypes.c_char * size).from_address(library.pgl_cma())).cast("B")

    def put(self, at, data):
        self.memory[at:at + len(data)] = data

    def get(self, begin, end):
        return bytes(self.memory[begin:end])


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
