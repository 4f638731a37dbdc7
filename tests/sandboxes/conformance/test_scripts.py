"""Scripts that call tools (execute_code) in every place."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from agent.toolbox import Toolbox
from model_tools import call_tool
from safety.gate import Gate, Mode
from tests.sandboxes.conformance.conftest import Bench
from tools.catalog import load_tool
from tools.runtime import ToolRuntime


class Scripts:
    def __init__(self, bench: Bench, mode: Mode = "yolo") -> None:
        self.bench = bench
        folder = bench.place.folder
        confinement = bench.sandbox.confinement
        gate = Gate(mode, workspace=folder, explicit=True, confinement=confinement)
        self.runtime = ToolRuntime("test", bench.sandbox, gate)
        names = ("terminal", "read_file", "write_file", "execute_code")
        self.box = Toolbox({name: load_tool(name) for name in names}, self.runtime, call_tool)

    def run(self, code: str, **more: Any) -> dict[str, Any]:
        tool = self.box.tools["execute_code"]
        reply = self.bench.wait(call_tool(tool, {"code": code, **more}, self.runtime))
        return dict(json.loads(reply.content))


@pytest.fixture
def scripts(bench: Bench) -> Scripts:
    if bench.run("for p in $(type -aP python3); do $p -c 1 && exit; done; exit 1").exit_code:
        made = Scripts(bench)
        assert "there is no python3 where commands run" in made.run("print(1)")["error"]
        pytest.skip(f"{bench.place.name} has no python3")
    return Scripts(bench)


def test_a_script_calls_tools_that_work_in_the_same_place(scripts: Scripts) -> None:
    found = scripts.run(
        "from hermes_tools import write_file, read_file, terminal\n"
        "write_file('a.txt', 'x' * 1_000_000)\n"
        "print(len(open('a.txt').read()), terminal('wc -c < a.txt')['output'].strip())\n"
        "print(len(terminal('head -c 9000 a.txt')['output']))"
    )
    assert (found["output"], found["exit_code"]) == ("1000000 1000000\n9000\n", 0)
    assert found["calls"] == {"write_file": 1, "terminal": 2}


def test_long_output_of_a_script_can_be_read_there(scripts: Scripts) -> None:
    found = scripts.run("for n in range(100_000): print(n)")
    assert scripts.bench.read(found["full_output"]).split()[-1] == b"99999"


def test_a_script_is_ended_after_its_time(scripts: Scripts) -> None:
    began = time.monotonic()
    found = scripts.run("import time\nprint('begun')\ntime.sleep(60)", timeout=2)
    assert (found["output"], found["exit_code"]) == ("begun\n", 124)
    assert time.monotonic() - began < 20
    assert scripts.bench.text("echo on") == "on\n"


def test_what_is_held_without_a_network_need_not_be_asked_about(bench: Bench) -> None:
    held = bench.sandbox.confinement.holds and not bench.sandbox.confinement.network
    found = Scripts(bench, "ask").run("print(1)")
    assert ("denied" in found.get("error", "")) is not held
