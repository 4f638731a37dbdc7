"""A client of `POST /stream` as a program: `python relay.py ADDRESS SLOT LEASE PROGRAM ARGUMENT…`.

Runs PROGRAM in a slot with its own stdin, stdout and stderr, and ends with that one's exit code. The token is
in HERMES_EXECUTOR_TOKEN. It needs nothing but the standard library, for it is started with each command.
"""

from __future__ import annotations

import os
import select
import socket
import sys

_CHUNK = 1 << 16
LOST = 255
"""Exit code where the sandbox was lost; why is said on stderr."""


def main(address: str, slot: str, lease: str, *argv: str) -> int:
    import json

    try:
        connection = _connect(address)
        asked = json.dumps({"slot_id": int(slot), "lease": lease, "argv": argv}).encode()
        connection.sendall(_frame(b"c", asked))
        return _relay(connection)
    except OSError as error:
        sys.stderr.write(f"nomad: the sandbox cannot be reached: {error}\n")
        return LOST


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host.strip("[]"), int(port)), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    token = os.environ["HERMES_EXECUTOR_TOKEN"]
    connection.sendall(
        f"POST /stream HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n"
        "Connection: Upgrade\r\nUpgrade: hermes-stream\r\nContent-Length: 0\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError("it closed the connection")
        head += byte
    if b" 101 " not in head.split(b"\r\n", 1)[0]:
        raise ConnectionError(head.split(b"\r\n", 1)[0].decode("latin-1"))
    connection.settimeout(None)
    return connection


def _relay(connection: socket.socket) -> int:
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    poller.register(0, select.POLLIN)
    received = b""
    while True:
        for descriptor, _ in poller.poll():
            if descriptor == 0:
                data = os.read(0, _CHUNK)
                connection.sendall(_frame(b"i", data))
                if not data:
                    poller.unregister(0)
                continue
            data = connection.recv(_CHUNK)
            if not data:
                raise ConnectionError("the connection was lost")
            received += data
            received, code = _deal(received)
            if code is not None:
                return code


def _deal(received: bytes) -> tuple[bytes, int | None]:
    """Pass on each whole frame; (the rest, the exit code once it is there)."""
    while len(received) >= 5:
        end = 5 + int.from_bytes(received[1:5], "big")
        if len(received) < end:
            break
        kind, data, received = received[:1], received[5:end], received[end:]
        if kind == b"x":
            return received, _code(data)
        _write_all(1 if kind == b"o" else 2, data)
    return received, None


def _code(data: bytes) -> int:
    import json

    told = json.loads(data)
    if "error" in told:
        sys.stderr.write(f"nomad: {told['error']}\n")
        return LOST
    return int(told["code"])


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _frame(kind: bytes, data: bytes) -> bytes:
    return kind + len(data).to_bytes(4, "big") + data


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
