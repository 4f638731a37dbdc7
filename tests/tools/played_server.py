"""An HTTP server on loopback whose answers are played from a table, for APIs that are no chat."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Page = tuple[int, str, bytes]
"""Status, content type, body."""
Handler = Callable[["Asked"], Page]


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Played:
    """`pages` by "METHOD /path": an answer, a function, or a list of which the last repeats."""

    url: str = ""
    pages: dict[str, Page | Handler | list[Page]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def paths(self) -> list[str]:
        return [f"{each.method} {each.path}" for each in self.asked]

    def wait_for(self, path: str, seconds: float = 5.0) -> None:
        deadline = time.monotonic() + seconds
        while path not in self.paths():
            assert time.monotonic() < deadline, f"{path} was not asked for: {self.paths()}"
            time.sleep(0.01)


def as_json(value: Any, status: int = 200) -> Page:
    return status, "application/json", json.dumps(value).encode()


@contextlib.contextmanager
def played_server() -> Iterator[Played]:
    played = Played()

    class Answerer(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, self.rfile.read(size))
            played.asked.append(asked)
            page = played.pages.get(f"{self.command} {self.path}", (404, "text/plain", b"not here"))
            if isinstance(page, list):
                page = page.pop(0) if len(page) > 1 else page[0]
            status, kind, data = page(asked) if callable(page) else page
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        do_GET = do_POST = do_PUT = answer

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answerer)
    played.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield played
    finally:
        server.shutdown()
        server.server_close()
