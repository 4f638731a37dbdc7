"""Browsers that are not ours: one that runs already, and one at Browserbase, played on loopback."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from configuration.tool_settings import BrowserSettings
from conversation.message import AssistantMessage
from models.scripted import ScriptedModel
from tests.tools.browser.driven import Driven, environ, needs_browser
from tests.tools.browser.site import Site
from tools.browser.programs import find_chromium

THEIRS = "data:text/html,theirs"
KEYS = {"BROWSERBASE_API_KEY": "bb-key", "BROWSERBASE_PROJECT_ID": "bb-project"}


@contextmanager
def chromium() -> Iterator[str]:
    """A browser somebody started, with a tab of theirs; its CDP address."""
    folder = tempfile.mkdtemp(prefix="theirs-", dir="/tmp")  # it makes a socket there: a path must be short
    arguments = [
        "--headless=new",
        "--no-sandbox",
        "--remote-debugging-port=0",
        "--no-first-run",
        "--disable-gpu",
    ]
    process = subprocess.Popen(
        [find_chromium("", environ()), *arguments, f"--user-data-dir={folder}/profile", THEIRS],
        stderr=subprocess.PIPE, text=True, env=environ(HOME=folder, TMPDIR=folder),
        start_new_session=True,
    )  # fmt: skip
    with process:
        assert process.stderr is not None
        try:
            said = []
            for line in process.stderr:
                said.append(line)
                if found := re.search(r"ws://\S+", line):
                    break
            assert found, said
            yield found.group()
        finally:
            process.terminate()
    shutil.rmtree(folder, ignore_errors=True)


class Played:
    """Browserbase's API: `seen` are (path, key, body); `answers` come first, then sessions of `cdp_url`."""

    def __init__(self, cdp_url: str = "ws://127.0.0.1:1/x") -> None:
        self.seen: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: list[tuple[int, bytes]] = []
        played = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                played.seen.append((self.path, self.headers["X-BB-API-Key"], body))
                session = json.dumps({"id": "session-1", "connectUrl": cdp_url, "status": "RUNNING"}).encode()
                status, text = played.answers.pop(0) if played.answers else (201, session)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def played() -> Iterator[Played]:
    played = Played()
    yield played
    played.close()


def tabs(cdp_url: str) -> list[str]:
    host = cdp_url.split("/")[2]
    with urllib.request.urlopen(f"http://{host}/json/list", timeout=5) as answer:
        return [each["url"] for each in json.load(answer) if each["type"] == "page"]


@pytest.mark.long
@needs_browser
def test_a_browser_that_runs_keeps_its_tabs_and_loses_ours(site: Site, tmp_path: Path) -> None:
    with chromium() as url:
        driven = Driven(tmp_path, [site.host], settings=BrowserSettings(cdp_url=url))
        try:
            opened = driven.call("navigate", url=f"{site.url}/links")
            assert "In a new tab" in opened.data["snapshot"]
            driven.call("click", ref=driven.ref("link", "In a new tab"))
            assert len(tabs(url)) == 3
            led = driven.call("navigate", url=f"{site.url}/goto?to=http://127.0.0.1:1/x")
            assert led.status == "error"
        finally:
            driven.close()
        assert tabs(url) == [THEIRS]


@pytest.mark.long
@needs_browser
def test_where_a_browser_elsewhere_was_led_is_checked_afterwards(site: Site, tmp_path: Path) -> None:
    other = site.url.replace("127.0.0.1", "localhost")
    with chromium() as url:
        driven = Driven(tmp_path, [site.host], settings=BrowserSettings(cdp_url=url))
        try:
            led = driven.call("navigate", url=f"{site.url}/goto?to={other}/login")
            assert "cannot be opened" in led.error
            assert driven.session.page.url == "about:blank"
        finally:
            driven.close()


@pytest.mark.long
@needs_browser
def test_a_session_at_browserbase_is_made_used_and_released(site: Site, tmp_path: Path) -> None:
    with chromium() as url:
        played = Played(url)
        driven = Driven(
            tmp_path, [site.host], settings=BrowserSettings(browserbase_url=played.url), secrets=KEYS
        )
        try:
            assert "Order a cake" in driven.call("navigate", url=f"{site.url}/form").data["snapshot"]
            driven.close()
        finally:
            played.close()
    made, released = played.seen
    assert made == ("/v1/sessions", "bb-key", {"projectId": "bb-project", "keepAlive": False})
    assert released == (
        "/v1/sessions/session-1", "bb-key", {"projectId": "bb-project", "status": "REQUEST_RELEASE"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, b"{}", "BROWSERBASE_API_KEY is not accepted"),
        (402, b"{}", "plan or credit"),
        (429, b"{}", "too many sessions"),
        (500, b"kaput", "answers 500: kaput"),
        (201, b"not json", "no JSON"),
        (201, b"[]", "without a session's id"),
        (201, b'{"id": "x", "connectUrl": "http://example.com"}', "without a session's id"),
    ],
)
def test_what_browserbase_refuses_is_told_with_the_fix(
    played: Played, tmp_path: Path, status: int, body: bytes, told: str
) -> None:
    (tmp_path / "agent-browser").write_text("#!/bin/sh\necho agent-browser 0.27.0\n")
    (tmp_path / "agent-browser").chmod(0o755)
    played.answers.append((status, body))
    env = environ(PATH=f"{tmp_path}:{environ()['PATH']}")
    settings = BrowserSettings(browserbase_url=played.url)
    driven = Driven(tmp_path, settings=settings, secrets=KEYS, env=env)
    try:
        error = driven.call("navigate", url="https://example.com/").error
        assert told in error
        assert "bb-key" not in error
    finally:
        driven.close()


@pytest.mark.long
@needs_browser
def test_a_model_looks_at_the_page_and_answers(driven: Driven, site: Site) -> None:
    model = ScriptedModel([AssistantMessage("A form with one button.")])
    driven.runtime.model = model
    driven.call("navigate", url=f"{site.url}/form")
    seen = driven.call("vision", question="What is on it?")
    assert seen.data["answer"] == "A form with one button."
    assert seen.data["untrusted"] == "picture of a web page"
    sent = json.dumps(model.requests[0].messages)
    assert "What is on it?" in sent
    assert "data:image/png;base64,iVBOR" in sent
