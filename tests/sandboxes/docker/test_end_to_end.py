"""The real `hermes` with the real engine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandboxes.engine import Engine
from tests.server.scripted_server import Call, ScriptedServer, Step, scripted_server

CLI = [sys.executable, str(Path(__file__).parents[3] / "cli.py")]
COMMANDS = (
    "cat /proc/sys/kernel/hostname",
    "id -u > who; pwd; cat /proc/1/cmdline | tr '\\0' ' '",
    "cat who; env; cat ~/.hermes/.env .hermes/.env",
)
KEY = "sk-canary-0123456789"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    calls = [Step(tool_calls=[Call("terminal", {"command": command})]) for command in COMMANDS]
    write = Step(tool_calls=[Call("write_file", {"path": "written", "content": "by the file tool\n"})])
    with scripted_server(*calls, write, Step(text="Done.")) as running:
        yield running


def hermes(engine: Engine, server: ScriptedServer, home: Path, folder: Path, **more: str) -> str:
    environ = {
        **engine.environ, "HOME": str(home), "HERMES_HOME": str(home / ".hermes"), "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": server.url, "HERMES_MODEL": "scripted", "TERMINAL_ENV": engine.name,
        "HERMES_DOCKER_IMAGE": engine.image, "HERMES_GATE_MODE": "yolo", **more,
    }  # fmt: skip
    done = subprocess.run(
        [*CLI, "-q", "go"], env=environ, cwd=folder, capture_output=True, text=True, timeout=50, check=False
    )
    return done.stdout + done.stderr


def results(server: ScriptedServer) -> list[Any]:
    """What the model was told of its calls."""
    messages = server.requests[-1].body["messages"]
    return [json.loads(each["content"]) for each in messages if each["role"] == "tool"]


def test_a_model_s_commands_run_in_a_container_and_nothing_is_left(
    engine: Engine, server: ScriptedServer, home: Path, folder: Path
) -> None:
    (folder / ".hermes").mkdir()
    (folder / ".hermes" / ".env").touch(0o600)
    (folder / ".hermes" / ".env").write_text(f"SOME_KEY={KEY}\n")
    told = hermes(engine, server, home, folder, HERMES_HOME=str(folder / ".hermes"))
    assert "Done." in told
    name, first, second, written = results(server)
    assert first["output"].startswith(f"{folder}\nbash --noprofile")
    assert KEY not in json.dumps(second)
    assert "HOME=/tmp/home" in second["output"]
    assert "error" not in written
    assert (folder / "written").read_text() == "by the file tool\n"
    assert (folder / "who").read_text() == f"{folder.stat().st_uid}\n"
    assert name["output"].strip() not in engine.call("ps", "-aq")


def test_without_an_engine_nothing_runs_at_all(
    docker: Engine, server: ScriptedServer, home: Path, folder: Path
) -> None:
    hermes(docker, server, home, folder, DOCKER_HOST=f"unix://{docker.folder}/nobody")
    assert "does not answer" in json.dumps(results(server)[0])
    assert not (folder / "who").exists()
    assert not (folder / "written").exists()
