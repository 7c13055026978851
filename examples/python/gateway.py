#!/usr/bin/env python3
"""A gateway: a Unix socket or a TCP port in front of the one backend of this process. Clients take turns.

    PREFIX=/tmp/my-prefix python3 gateway.py unix /tmp
    PREFIX=/tmp/my-prefix python3 gateway.py inet 127.0.0.1:5432 --files

and then

    psql "host=/tmp user=postgres sslmode=disable password=password require_auth=md5 dbname=template1"
"""

import os
import socket
import sys

from pglite_compat import Backend

TERMINATE = b"X\0\0\0\4"


def listen(kind, place):
    if kind == "unix":
        path = os.path.join(place, ".s.PGSQL.5432")
        if os.path.exists(path):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
    else:
        host, port = place.rsplit(":", 1)
        listener = socket.create_server((host, int(port)))
    listener.listen()
    return listener


def serve(client, backend, send):
    """Carries bytes between a client and the backend, until one of them is gone."""
    with client:
        while True:
            try:
                data = client.recv(1 << 20)
                # Strangers begin with a start-up packet, whose first byte is zero: without one they would be the trusted host.
                if not data or (data[0] != 0 and not backend.has_client()):
                    break
                reply = send(data)
                client.sendall(reply)
                # Its password was wrong, or it said good-bye. `N` is the answer to the question for encryption.
                if not backend.has_client() and reply != b"N":
                    break
            except OSError:
                break
    if backend.has_client():
        send(TERMINATE)


def main(open_backend):
    kind, place = sys.argv[1:3]
    backend = open_backend()
    send = backend.by_file if "--files" in sys.argv else backend.by_memory
    listener = listen(kind, place)
    print("ready", listener.getsockname(), flush=True)
    try:
        while True:
            client, _ = listener.accept()
            serve(client, backend, send)
    except KeyboardInterrupt:
        backend.close()


if __name__ == "__main__":
    main(Backend)
