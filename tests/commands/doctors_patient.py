"""A person's machine for `hermes doctor` to look at, with the programs and servers that are on it."""

from __future__ import annotations

import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from commands.checks.examination import look_around
from commands.checks.finding import Check, Finding


class Person:
    def __init__(self, home: Path, cwd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home / ".hermes"
        self.cwd = cwd
        self.set = monkeypatch.setenv
        self.unset = monkeypatch.delenv

    def has(self, config: str) -> Path:
        self.home.mkdir(exist_ok=True)
        path = self.home / "config.yaml"
        path.write_text(config)
        return path

    def finds(self, check: Check, *, offline: bool = False) -> dict[str, Finding]:
        scene = look_around(self.cwd, offline=offline)
        return {finding.name: finding for finding in check(scene)}

    def states(self, check: Check) -> set[str]:
        return {finding.state for finding in self.finds(check).values()}


@contextmanager
def silent() -> Iterator[str]:
    """The URL of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """The URL of a server that always gives this answer."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


@contextmanager
def recording_proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy that lets nothing through, and the first line of each request that came to it."""
    asked: list[str] = []

    class Refusal(BaseHTTPRequestHandler):
        def _refuse(self) -> None:
            asked.append(self.requestline)
            self.send_error(502)

        do_CONNECT = do_GET = do_POST = _refuse

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refusal) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def fake(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
