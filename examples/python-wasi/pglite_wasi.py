"""The interface of the libpglite draft in WebAssembly, by the PyPI package `wasmtime`: the memory area, the file transport, text."""

import fcntl
import hashlib
import importlib.metadata
import os
import pathlib

import wasmtime
from wasmtime import _bindings

IDB_FAILED, IDB_CALLED, IDB_HASDB, IDB_HASUSER = 1, 2, 4, 8
STACK = 12 << 20


def _engine():
    config = wasmtime.Config()
    config.wasm_exceptions = True
    config.max_wasm_stack = STACK
    # The package has no name for it; it must be more than the other.
    _bindings.wasmtime_config_async_stack_size_set(config.ptr(), STACK + (1 << 20))
    return wasmtime.Engine(config)


def _compiled(engine, path):
    """The module, compiled once, and kept beside it."""
    name = hashlib.sha256(f"{path.stat().st_mtime_ns} {importlib.metadata.version('wasmtime')}".encode()).hexdigest()[:16]
    place = path.parent / f"{path.stem}.{name}.cwasm"
    if not place.exists():
        partial = place.with_suffix(".partial")
        partial.write_bytes(wasmtime.Module.from_file(engine, str(path)).serialize())
        partial.rename(place)
    return wasmtime.Module.deserialize_file(engine, str(place))


class Backend:
    """The backend of one instance. PREFIX is a directory of this machine; PGUSER and others are the module's environment."""

    def __init__(self):
        modules = pathlib.Path(os.environ["PGLITE_WASM"])
        prefix = pathlib.Path(os.environ.get("PREFIX", "/tmp/pglite"))
        prefix.mkdir(parents=True, exist_ok=True)
        self.data = prefix / "base"
        # Inside, every process has the same number: the module cannot see that somebody else has the directory.
        self.lock = os.open(prefix, os.O_RDONLY)
        fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        engine = _engine()
        self.store = wasmtime.Store(engine)
        wasi = wasmtime.WasiConfig()
        wasi.preopen_dir(str(modules / "root"), "/pglite")
        wasi.preopen_dir(str(prefix), "/tmp/pglite")
        wasi.inherit_stdout()
        wasi.inherit_stderr()
        wasi.env = [(name, value) for name, value in os.environ.items() if name.startswith("PG") and name != "PGDATA"]
        self.store.set_wasi(wasi)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        exports = linker.instantiate(self.store, _compiled(engine, modules / "libpglite.wasm")).exports(self.store)
        self.exports, self.memory = exports, exports["memory"]
        self.call("_initialize")
        self.status = self.call("pgl_initdb")
        if self.status & IDB_FAILED or self.call("pgl_backend") != 0:
            raise RuntimeError("the backend does not begin; the reason is on standard error")
        self.call("use_wire", 1)

    def call(self, name, *arguments):
        return self.exports[name](self.store, *arguments)

    def by_memory(self, message):
        """Sends bytes through the memory area, which begins at address 1; the reply."""
        length = len(message)
        self.memory.write(self.store, message, 1)
        self.call("interactive_write", length)
        self.call("interactive_one")
        size = self.call("interactive_read")
        if size >= 0:
            return bytes(self.memory.read(self.store, 2 + length, 2 + length + size))
        return self._take(self.data / f".s.PGSQL.5432.out.{-size}")

    def by_file(self, message):
        """Sends bytes through files; the reply."""
        lock = self.data / ".s.PGSQL.5432.lock.in"
        lock.write_bytes(message)
        lock.rename(self.data / ".s.PGSQL.5432.in")
        self.call("interactive_one")
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
        self.call("use_wire", 0)
        self.memory.write(self.store, sql.encode() + b"\0", 1)
        self.call("interactive_one")
        self.call("use_wire", 1)

    def has_client(self):
        return self.call("pgl_closed") == 1

    def close(self):
        self.call("pgl_shutdown")
        os.close(self.lock)
