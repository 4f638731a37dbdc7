"""Servers that are spoken to over streamable HTTP on loopback, and some that had better not be."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from configuration.tool_settings import McpServerSettings
from tests.tools.mcp.counter import Counter, run
from tools.mcp.launch import url_problem
from tools.mcp.trouble import ServerError

pytest.importorskip("mcp_types", reason="the MCP SDK is not installed")

ECHO = {"name": "echo", "description": "Echo.", "inputSchema": {"type": "object", "properties": {"text": {}}}}

BOMB = gzip.compress(b" " * 20_000_000)


class Speaker(BaseHTTPRequestHandler):
    """Answers in JSON; the path says how it misbehaves once a tool is called."""

    server: Servers
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.heard.append((headers["host"], headers))
        method = message.get("method")
        if "id" not in message:
            self.answer(202, b"")
        elif method == "initialize":
            info = {"name": "speaker", "version": "1"}
            self.result(
                message, {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
            )
        elif method == "tools/list":
            self.result(message, {"tools": [ECHO]})
        elif method == "ping":
            self.result(message, {})
        else:
            self.misbehave(message)

    def misbehave(self, message: Mapping[str, Any]) -> None:
        match self.path:
            case "/vast":
                self.result(message, {"content": [{"type": "text", "text": "y" * 20_000_000}]})
            case "/bomb":
                self.answer(200, BOMB, {"Content-Type": "application/json", "Content-Encoding": "gzip"})
            case "/elsewhere":
                self.answer(307, b"", {"Location": f"http://127.0.0.2:{self.server.server_port}/stolen"})
            case "/locked":
                self.answer(401, b"no key, no answer")
            case "/garbage":
                self.answer(200, b"<html>", {"Content-Type": "application/json"})
            case "/page":
                self.answer(200, b"<html>", {"Content-Type": "text/html"})
            case "/cut":
                self.close_connection = True
                self.connection.shutdown(2)
            case "/slow":
                time.sleep(3)
            case _:
                text = str(message["params"]["arguments"].get("text"))
                self.result(message, {"content": [{"type": "text", "text": text}]})

    def do_GET(self) -> None:
        self.answer(405, b"")

    def do_DELETE(self) -> None:
        self.answer(405, b"")

    def result(self, message: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        told = {"jsonrpc": "2.0", "id": message["id"], "result": result}
        self.answer(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] = {}) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Servers(ThreadingHTTPServer):
    daemon_threads = True
    heard: list[tuple[str, dict[str, str]]]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever called has hung up."""


@pytest.fixture
def speaker() -> Iterator[Servers]:
    server = Servers(("", 0), Speaker)
    server.heard = []
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def call(speaker: Servers, path: str, folder: Path, times: int = 1, **more: Any) -> list[Mapping[str, Any]]:
    url = f"http://127.0.0.1:{speaker.server_port}{path}"
    counter = Counter(folder, {"u": McpServerSettings(url=url, **more)})

    async def work() -> list[Mapping[str, Any]]:
        await counter.approve("u")
        return [await counter.call("mcp_u_echo", text="hi") for _ in range(times)]

    return run(counter, work())


@pytest.mark.long
def test_a_server_over_http_answers_and_gets_its_headers(
    speaker: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKER_KEY", "canary")
    (found,) = call(speaker, "/mcp", tmp_path, headers={"Authorization": "Bearer ${SPEAKER_KEY}"})
    assert found == {"status": "ok", "untrusted": "MCP server u", "result": "hi"}
    assert {headers.get("authorization") for _, headers in speaker.heard} == {"Bearer canary"}


@pytest.mark.long
@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/vast", "longer than 16 MB"),
        ("/bomb", "compresses its answers"),
        ("/locked", "error response"),
        ("/garbage", "Failed to parse JSON"),
        ("/page", "Unexpected content type"),
        ("/cut", ""),
        ("/slow", "did not answer (echo) within 1 s"),
    ],
)
def test_a_bad_answer_is_an_error_and_the_next_call_is_heard(
    speaker: Servers, tmp_path: Path, path: str, told: str
) -> None:
    first, second = call(speaker, path, tmp_path, times=2, timeout=1.0 if path == "/slow" else 20.0)
    assert first["status"] == second["status"] == "error"
    assert told in first["error"]


@pytest.mark.long
def test_a_redirect_to_another_host_is_not_followed_and_takes_no_headers(
    speaker: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPEAKER_KEY", "canary")
    (found,) = call(speaker, "/elsewhere", tmp_path, headers={"X-Auth": "${SPEAKER_KEY}"})
    assert "not followed" in found["error"]
    assert {host.partition(":")[0] for host, _ in speaker.heard} == {"127.0.0.1"}


@pytest.mark.long
def test_a_server_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    counter = Counter(tmp_path, {"u": McpServerSettings(url="http://127.0.0.1:1/mcp")})
    with pytest.raises(ServerError, match="the MCP server u cannot be reached"):
        run(counter, counter.approve("u"))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://example.com/mcp", ""),
        ("http://localhost:8000/mcp", ""),
        ("http://127.1.2.3/mcp", ""),
        ("http://[::1]:80/mcp", ""),
        ("http://example.com/mcp", "others can read along"),
        ("http://127.0.0.1.example.com/mcp", "others can read along"),
        ("http://localhost@example.com/mcp", "login"),
        ("ftp://example.com", "https://"),
        ("/etc/passwd", "https://"),
        ("http://[", "cannot be read"),
    ],
)
def test_what_is_sent_in_the_clear_stays_on_this_machine(url: str, told: str) -> None:
    problem = url_problem(url, insecure=False)
    assert told in problem
    assert bool(problem) == bool(told)


def test_a_person_may_say_that_reading_along_does_not_matter() -> None:
    assert url_problem("http://example.com/mcp", insecure=True) == ""
