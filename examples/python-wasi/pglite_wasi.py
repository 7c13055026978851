"""The interface of the libpglite draft in WebAssembly, by the PyPI package `wasmtime`."""

import fcntl
import functools
import hashlib
import importlib.metadata
import os
import pathlib
import sys

import wasmtime
from wasmtime import _bindings

# The draft's interface, and what uses it, are those of the host without WebAssembly.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))

from pglite_compat import Draft  # noqa: E402

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


class Functions:
    """The exports of an instance as methods."""

    def __init__(self, store, exports):
        self._store, self._exports = store, exports

    def __getattr__(self, name):
        function = functools.partial(self._exports[name], self._store)
        setattr(self, name, function)
        return function


class Backend(Draft):
    """The backend of one instance. PREFIX is a directory of this machine; PGUSER and others are the module's environment."""

    def __init__(self):
        modules = pathlib.Path(os.environ["PGLITE_WASM"])
        prefix = pathlib.Path(os.environ.get("PREFIX", "/tmp/pglite"))
        prefix.mkdir(parents=True, exist_ok=True)
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
        self.memory = exports["memory"]
        functions = Functions(self.store, exports)
        functions._initialize()
        super().__init__(functions, prefix / "base")

    # The memory area begins at address 0.

    def put(self, at, data):
        self.memory.write(self.store, data, at)

    def get(self, begin, end):
        return bytes(self.memory.read(self.store, begin, end))

    def close(self):
        super().close()
        os.close(self.lock)
