"""What commands see of the world, and what becomes of them when it ends."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.sandboxes.conformance.conftest import Bench


def test_no_key_of_the_agent_is_in_the_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-1234567890")
    monkeypatch.setenv("SOME_TOKEN", "canary-token")
    sandbox = bench.place.make(100_000)
    try:
        shown = bench.wait(sandbox.exec("env; cat /proc/self/environ /proc/$PPID/environ", timeout=30))
        assert "canary" not in shown.output.text
    finally:
        bench.wait(sandbox.close())


def test_commands_have_no_terminal(bench: Bench) -> None:
    assert bench.run("test -t 0 || test -t 1 || test -t 2 || : < /dev/tty").exit_code != 0


def test_secret_files_of_the_person_are_out_of_reach_where_something_confines(bench: Bench) -> None:
    keys = bench.place.keys
    if not keys:
        pytest.skip("nothing confines commands here")
    assert Path(keys).read_text()
    assert Path(keys).read_text() not in bench.text(f"cat {keys}")


def test_the_network_is_off_where_that_is_promised(bench: Bench) -> None:
    if bench.sandbox.confinement.network:
        pytest.skip("this place has a network")
    if bench.sandbox.confinement.kind == "landlock":  # it sees the machine's interfaces, but has no sockets
        with socket.create_server(("127.0.0.1", 0)) as server:
            reached = bench.run(f": < /dev/tcp/127.0.0.1/{server.getsockname()[1]}")
        assert reached.exit_code != 0 and "not permitted" in reached.output.text
        return
    names = bench.text("ls /sys/class/net 2> /dev/null || tail -n +3 /proc/net/dev | cut -d: -f1").split()
    assert names in ([], ["lo"])


def test_a_place_that_ended_is_replaced_and_that_is_said(bench: Bench) -> None:
    kill = bench.place.kill
    if kill is None:
        pytest.skip("this place cannot end")
    bench.run("cd /usr; A=1; touch /tmp/mark")
    kill(bench.sandbox)
    result = bench.run("echo again")
    assert result.output.text == "again\n"
    assert result.note


def test_a_place_that_ends_under_a_command_is_told_and_nothing_runs_twice(bench: Bench) -> None:
    import asyncio

    kill = bench.place.kill
    if kill is None:
        pytest.skip("this place cannot end")
    bench.run("true")

    async def struck() -> str:
        task = asyncio.ensure_future(bench.sandbox.exec("echo x >> ran; sleep 30", timeout=60))
        await asyncio.sleep(1)
        await asyncio.to_thread(kill, bench.sandbox)
        began = time.monotonic()
        result = await task
        assert time.monotonic() - began < 10
        assert result.exit_code != 0
        return result.note

    assert bench.sandbox.confinement.kind == "none" or bench.wait(struck())
    assert bench.text("test ! -e ran || cat ran") in ("", "x\n")
