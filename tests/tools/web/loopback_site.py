"""A site on loopback for the tests of the web tools: pages by path, and what was asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass
class Served:
    """What a path answers, after `delay` seconds and once `together` requests were there at a time."""

    body: bytes = b""
    type: str = "text/html; charset=utf-8"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    together: int = 0


class LoopbackSite:
    """`pages` by path, or by a function of the path; anything else is a 404."""

    def __init__(self) -> None:
        self.pages: dict[str, Served] = {}
        self.made: Callable[[str], Served | None] = lambda path: None
        self.asked: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Condition()
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site._answer(self)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def url(self, path: str = "/") -> str:
        return f"http://{self.host}{path}"

    def html(self, path: str, body: str, title: str = "A page", **more: Any) -> str:
        page = f"<!doctype html><html><head><title>{title}</title></head><body>{body}</body></html>"
        self.pages[path] = Served(page.encode(), **more)
        return self.url(path)

    def put(self, path: str, body: bytes | str, type: str, **more: Any) -> str:
        self.pages[path] = Served(body.encode() if isinstance(body, str) else body, type, **more)
        return self.url(path)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.asked.append(handler.path)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self._lock.notify_all()
        try:
            served = self.pages.get(handler.path) or self.made(handler.path) or Served(b"none", status=404)
            with self._lock:
                self._lock.wait_for(lambda: self.most_at_once >= served.together, timeout=10)
            time.sleep(served.delay)
            handler.send_response(served.status)
            if served.type:
                handler.send_header("Content-Type", served.type)
            handler.send_header("Content-Length", str(len(served.body)))
            for name, value in served.headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(served.body)
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True
        finally:
            with self._lock:
                self._at_once -= 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@contextmanager
def loopback_site() -> Iterator[LoopbackSite]:
    with LoopbackSite() as site:
        yield site
