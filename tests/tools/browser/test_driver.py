"""agent-browser of other kinds: what is not understood is told and never taken for an answer."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.tools.browser.driven import Driven, environ
from tools.browser.driver import AgentBrowser, Result
from tools.browser.failures import BrowserGone


def program(folder: Path, body: str) -> str:
    path = folder / "agent-browser"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def run(folder: Path, body: str, limit: float = 5) -> list[Result]:
    agent = AgentBrowser(program(folder, body), folder, environ())
    return asyncio.run(agent.run(["get", "url"], ["tab"], limit=limit))


def test_results_come_in_order_with_their_errors(tmp_path: Path) -> None:
    body = """cat > given; echo '[{"success": true, "result": {"url": "x"}, "error": null, "command": []},
    {"success": false, "result": null, "error": "no tab"}]'"""
    assert run(tmp_path, body) == [Result(True, {"url": "x"}), Result(False, error="no tab")]
    assert (tmp_path / "given").read_text() == '[["get", "url"], ["tab"]]'


def test_what_is_typed_is_no_argument_of_a_process(tmp_path: Path) -> None:
    agent = AgentBrowser(program(tmp_path, 'echo "$@" > words; echo "[]"'), tmp_path, environ())
    with pytest.raises(BrowserGone):
        asyncio.run(agent.run(["fill", "@e1", "hunter2"], limit=5))
    assert (tmp_path / "words").read_text() == "--json batch --bail\n"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("echo 'Unknown command: batch' >&2; exit 1", "Unknown command: batch"),
        ('echo \'{"success": true, "data": 1}\'', "unknown way"),
        ('echo \'{"success": false, "error": "Daemon failed to start"}\'', "Daemon failed to start"),
        ("echo '[]'", "unknown way"),
        ("echo '[1, 2]'", "unknown way"),
        ("echo '[{\"ok\": true}]'", "unknown way"),
        ('echo \'[{"success": true}, {"success": true}, {"success": true}]\'', "unknown way"),
        ("head -c 33000000 /dev/zero", "larger than 32 MB"),
        ("kill -9 $$", "nothing"),
    ],
)
def test_an_answer_that_is_not_known_is_told(tmp_path: Path, body: str, told: str) -> None:
    with pytest.raises(BrowserGone, match=told):
        run(tmp_path, body)


def test_one_that_hangs_is_ended_also_where_a_child_holds_its_output(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(BrowserGone, match=r"within 0\.3 s"):
        run(tmp_path, "sleep 5 & echo $! > pid; sleep 5", limit=0.3)
    assert time.monotonic() - started < 2


def test_an_answer_is_had_although_a_daemon_keeps_the_output_open(tmp_path: Path) -> None:
    started = time.monotonic()
    assert run(tmp_path, 'sleep 5 & echo \'[{"success": true, "result": {}}]\'') == [Result(True)]
    assert time.monotonic() - started < 2


def test_the_version_is_read_and_something_else_refused(tmp_path: Path) -> None:
    agent = AgentBrowser(program(tmp_path, "echo agent-browser 9.31.0-beta.2"), tmp_path, environ())
    assert asyncio.run(agent.find_version()) == "9.31.0-beta.2"
    for body in ("echo hello", "exit 1", "echo usage >&2; exit 2"):
        agent = AgentBrowser(program(tmp_path, body), tmp_path, environ())
        with pytest.raises(BrowserGone, match="no agent-browser"):
            asyncio.run(agent.find_version())


def test_a_program_that_cannot_be_run_is_told(tmp_path: Path) -> None:
    agent = AgentBrowser(str(tmp_path / "none"), tmp_path, environ())
    with pytest.raises(BrowserGone, match="cannot be run"):
        asyncio.run(agent.find_version())


def test_a_version_that_does_not_understand_us_is_an_error_the_model_can_read(tmp_path: Path) -> None:
    """As it would be with a browser elsewhere, so that no Chromium is needed here."""
    from configuration.tool_settings import BrowserSettings

    program(
        tmp_path, 'case $1 in --version) echo "agent-browser 0.1.0";; *) echo "unknown flag --json";; esac'
    )
    env = environ(PATH=f"{tmp_path}:{environ()['PATH']}")
    driven = Driven(tmp_path, settings=BrowserSettings(cdp_url="ws://127.0.0.1:1/x"), env=env)
    try:
        called = driven.call("navigate", url="https://example.com/")
        assert "agent-browser 0.1.0 answers in an unknown way ('unknown flag --json')" in called.error
        assert "npm install -g agent-browser" in called.error
    finally:
        driven.close()
