"""A Firecrawl server on loopback, as far as its wire goes: /v2/search, /v2/scrape, /v2/crawl."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class FakeFirecrawl:
    """`answers` by method and path: (status, body); `requests` keeps what was asked, `keys` who asked.

    `answers["POST /v2/scrape"]` may be a function of the request's body.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.keys: list[str] = []
        self.delay = 0.0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def _any(self) -> None:
                fake._answer(self)

            do_GET = do_POST = do_DELETE = _any

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def asked(self) -> list[str]:
        return [request for request, _ in self.requests]

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        size = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(size)) if size else {}
        request = f"{handler.command} {handler.path}"
        self.requests.append((request, body))
        self.keys.append(handler.headers.get("Authorization", ""))
        time.sleep(self.delay)
        found = self.answers.get(request, (404, {"success": False, "error": "no such thing"}))
        status, answer = found(body) if callable(found) else found
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        try:
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()
