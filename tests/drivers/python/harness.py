"""Runs scenarios and reports as ../README.md says."""

import asyncio
import inspect
import os
import sys
import time
import traceback
from urllib.parse import urlsplit

URI = os.environ["DRIVERS_URI"]
SOCKET = os.environ["DRIVERS_SOCKET"]
PARTS = urlsplit(URI)
ROWS = 20_000
LIMIT = 60

_scenarios = {}


class NotApplicable(Exception):
    """The driver has no such thing."""


def scenario(name):
    def register(function):
        _scenarios[name] = function
        return function

    return register


def check(condition, what="a check"):
    if not condition:
        raise AssertionError(what)


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"{actual!r:.300} instead of {expected!r:.300}")


def sqlstate(error):
    """The SQLSTATE of an error of psycopg, asyncpg, or SQLAlchemy around one of them."""
    while error is not None:
        state = getattr(error, "sqlstate", None)
        if state:
            return state
        error = getattr(error, "orig", None) or error.__cause__
    return None


class fails:
    """`with fails("22012"):` wants an error with this SQLSTATE."""

    def __init__(self, state):
        self.state = state

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is None:
            raise AssertionError(f"no error, but {self.state} was expected")
        if isinstance(error, Exception) and sqlstate(error) == self.state:
            return True
        return False


def main(version):
    print("version", version, flush=True)
    only = sys.argv[1:]
    failed = False
    for name, function in _scenarios.items():
        if only and name not in only:
            continue
        start = time.monotonic()
        try:
            if inspect.iscoroutinefunction(function):
                asyncio.run(asyncio.wait_for(function(), LIMIT))
            else:
                function()
            print(f"ok {name} {time.monotonic() - start:.3f}", flush=True)
        except NotApplicable as reason:
            print(f"n/a {name} {reason}", flush=True)
        except Exception as error:
            failed = True
            text = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"FAILED {name} {text}", flush=True)
            traceback.print_exc(limit=-4, chain=False)
    sys.exit(failed)
