#!/usr/bin/env python3
"""The gateway of ../python in front of a WebAssembly instance.

    PGLITE_WASM=FOLDER PREFIX=/tmp/my-prefix python3 gateway.py unix /tmp
    PGLITE_WASM=FOLDER PREFIX=/tmp/my-prefix python3 gateway.py inet 127.0.0.1:5432 --files
"""

from pglite_wasi import Backend  # first: it says where the other one is

import gateway

if __name__ == "__main__":
    gateway.main(Backend)
