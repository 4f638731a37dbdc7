"""Commands that misbehave, run by the real agent: none of them hangs it, fills its memory or outlives it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.faults.hermes_process import Finished, Hermes, descendants_of_tasks, finish, some
from tests.server.script import Call
from tests.server.scripted_server import ScriptedServer, Step

Serve = Callable[..., ScriptedServer]


def play(hermes: Hermes, serve: Serve, *calls: dict[str, Any], options: tuple[str, ...] = ()) -> list[Any]:
    """One call after the other, then an end; the results, decoded. Nothing that was started survives."""
    steps = [Step(tool_calls=[Call(each.pop("tool", "terminal"), each)]) for each in calls]
    server = serve(*steps, Step(text="Done."))
    hermes.url = server.url
    told = hermes.ask("Go.", *options)
    assert (told.code, told.text) == (0, "Done.\n"), told
    assert told.seconds < 15
    assert descendants_of_tasks(hermes.home) == {}
    assert hermes.session().outcome == "done"
    return [json.loads(each["content"]) for each in server.last["messages"] if each["role"] == "tool"]


def test_a_command_that_reads_stdin_gets_its_end(hermes: Hermes, serve: Serve) -> None:
    (result,) = play(hermes, serve, {"command": 'cat; read x; echo "read: $?"'})
    assert result["output"].strip() == "read: 1"


def test_a_child_that_keeps_the_pipe_holds_nothing_up(hermes: Hermes, serve: Serve) -> None:
    first, second = play(
        hermes, serve, {"command": "sleep 300 & echo started"}, {"tool": "process", "action": "list"}
    )
    assert first["output"].strip() == "started" and "still runs" in first["note"]
    assert len(second["processes"]) == 1


def test_a_child_that_ignores_term_is_ended_after_its_timeout(hermes: Hermes, serve: Serve) -> None:
    command = "trap '' TERM; (trap '' TERM; sleep 300) & echo here; sleep 300"
    first, second = play(hermes, serve, {"command": command, "timeout": 0.5}, {"command": "echo after"})
    assert first["timed_out"] is True and "here" in first["output"]
    assert second["output"].strip() == "after"


def test_a_background_server_answers_and_ends_with_the_run(hermes: Hermes, serve: Serve) -> None:
    command = f"{sys.executable} -u -m http.server 0 --bind 127.0.0.1"
    fetch = (
        "import re, sys, urllib.request; port = sys.argv[1]; "
        "print(urllib.request.urlopen(f'http://127.0.0.1:{port}/').status)"
    )

    def steps() -> list[Any]:
        def port_from(body: dict[str, Any]) -> Step:
            output = json.loads(body["messages"][-1]["content"])["output"]
            port = output.rpartition("port ")[2].split()[0] if "port " in output else ""
            if not port:
                return Step(tool_calls=[Call("process", {"action": "wait", "id": "bg_1", "timeout": 0.3})])
            return Step(tool_calls=[Call("terminal", {"command": f'{sys.executable} -c "{fetch}" {port}'})])

        start = Step(tool_calls=[Call("terminal", {"command": command, "background": True})])
        look = Step(tool_calls=[Call("process", {"action": "wait", "id": "bg_1", "timeout": 1})])
        return [start, look, port_from, Step(text="Done.")]

    server = serve(*steps())
    hermes.url = server.url
    told = hermes.ask("Serve.")
    assert told.code == 0
    assert json.loads(server.last["messages"][-1]["content"])["output"].strip() == "200"
    assert descendants_of_tasks(hermes.home) == {}


def test_the_shell_goes_on_after_every_way_of_ending(hermes: Hermes, serve: Serve) -> None:
    endings = ["exit 3", "exec true", "exec bash -c 'exit 4'", "kill -9 $$", "set -e; false"]
    calls = [{"command": "cd /; export WORD=kept"}]
    for ending in endings:
        calls += [{"command": ending}, {"command": f"echo $WORD in $PWD after {ending!r}"}]
    results = play(hermes, serve, *calls)
    assert [each["exit_code"] for each in results[1::2]] == [3, 0, 4, 137, 1]
    assert all(each["output"].startswith("kept in / after") for each in results[2::2])


def test_bytes_that_are_no_text_do_no_harm(hermes: Hermes, serve: Serve) -> None:
    hermes.folder.joinpath(os.fsdecode(b"bad-\xff-name")).write_text("needle")
    steps = [
        Step(tool_calls=[Call("terminal", {"command": "ls; printf '\\xff\\xfe\\x00bytes'"})]),
        Step(tool_calls=[Call("search_files", {"pattern": "needle"})]),
        Step(tool_calls=[Call("search_files", {"pattern": "*", "target": "files"})]),
        Step(text="Done."),
    ]
    server = serve(*steps)
    hermes.url = server.url
    told = hermes.ask("Look.", "--json")
    assert told.code == 0 and told.events[-1]["outcome"] == "done", told.told
    assert "bytes" in str(server.last["messages"])
    hermes.session()


def flood(hermes: Hermes, serve: Serve, megabytes: int, *options: str) -> tuple[Finished, int, Any]:
    """A command that writes so much; the run, its peak of memory in MB, and the result."""
    server = serve(Step(tool_calls=[Call("terminal", {
        "command": f"head -c {megabytes}M /dev/zero | tr '\\0' 'x'; echo the end", "timeout": 500,
    })]), Step(text="Done."))  # fmt: skip
    hermes.url = server.url
    process = hermes.start(
        "-q", "Flood.", "--yolo", *options, stdout=subprocess.DEVNULL if options else subprocess.PIPE
    )
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss)
        except psutil.Error:
            break
        time.sleep(0.02)
    return finish(process, timeout=10), peak >> 20, json.loads(server.last["messages"][-1]["content"])


def check_flood(hermes: Hermes, serve: Serve, megabytes: int, *options: str) -> None:
    told, peak, result = flood(hermes, serve, megabytes, *options)
    assert told.code == 0
    assert peak < 150, f"{peak} MB"
    assert result["output"].rstrip().endswith("the end") and len(result["output"]) < 12_000
    assert result["total_bytes"] == megabytes * 1024 * 1024 + len("the end\n")
    assert Path(result["full_output"]).stat().st_size < 130 * 1024 * 1024
    Path(result["full_output"]).unlink()
    hermes.session()


@pytest.mark.parametrize("options", some([(), ("--json",)], [("--json",)]))
def test_three_hundred_megabytes_of_output_cost_no_memory(
    options: tuple[str, ...], hermes: Hermes, serve: Serve
) -> None:
    check_flood(hermes, serve, 300, *options)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.thorough
def test_ten_gigabytes_of_output_cost_no_memory(hermes: Hermes, serve: Serve) -> None:
    check_flood(hermes, serve, 10 * 1024)
