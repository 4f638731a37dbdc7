"""Servers made by others: with the official SDK, and from package registries where they are there."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from configuration.tool_settings import McpServerSettings
from tests.tools.mcp.counter import Counter, run

pytest.importorskip("mcp_types", reason="the MCP SDK is not installed")
pytestmark = pytest.mark.long

SERVER = str(Path(__file__).with_name("sdk_server.py"))


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of an SDK server over streamable HTTP."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, SERVER, str(number)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", number)).close()
            break
        except OSError:
            time.sleep(0.05)
    yield number
    process.kill()
    process.wait()


def calls(
    folder: Path, server: McpServerSettings, *wanted: tuple[str, Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    counter = Counter(folder, {"u": server})

    async def work() -> list[Mapping[str, Any]]:
        await counter.approve("u")
        return [await counter.call(f"mcp_u_{name}", **arguments) for name, arguments in wanted]

    return run(counter, work())


def check_sdk_server(folder: Path, server: McpServerSettings) -> None:
    found = calls(
        folder, server,
        ("add", {"a": 2, "b": 3}), ("add", {"a": "x"}), ("work", {"steps": 100}), ("fail", {}),
        ("vast", {"characters": 300_000}),
    )  # fmt: skip
    assert found[0]["result"] == "5"
    assert "'a': 'x' is not of type 'integer'" in found[1]["error"]
    assert found[2]["result"] == "done"
    assert found[3]["error"].startswith("Error executing tool fail")
    assert len(found[4]["result"]) < 10_200
    assert found[4]["length"] == 300_000


def test_a_server_made_with_the_sdk_works_over_stdio(tmp_path: Path) -> None:
    check_sdk_server(tmp_path, McpServerSettings(command=sys.executable, args=[SERVER, "stdio"]))


def test_a_server_made_with_the_sdk_works_over_http(tmp_path: Path, port: int) -> None:
    check_sdk_server(tmp_path, McpServerSettings(url=f"http://127.0.0.1:{port}/mcp"))


def test_a_call_over_http_can_be_interrupted_and_the_next_one_works(tmp_path: Path, port: int) -> None:
    counter = Counter(tmp_path, {"u": McpServerSettings(url=f"http://127.0.0.1:{port}/mcp")})

    async def work() -> tuple[float, Mapping[str, Any]]:
        await counter.approve("u")
        await counter.call("mcp_u_add", a=1)
        task = asyncio.create_task(counter.call("mcp_u_sleep", seconds=30))
        await asyncio.sleep(0.3)
        began = time.monotonic()
        task.cancel()
        await asyncio.wait({task})
        return time.monotonic() - began, await counter.call("mcp_u_add", a=1)

    seconds, after = run(counter, work())
    assert seconds < 0.5
    assert after["result"] == "2"


REGISTRY: dict[str, tuple[list[str], str, dict[str, Any], str]] = {
    "mcp-server-time": ([], "get_current_time", {"timezone": "Etc/UTC"}, '"timezone": "Etc/UTC"'),
    "mcp-server-everything": ([], "echo", {"message": "hello"}, "Echo: hello"),
    "mcp-server-filesystem": (["${CWD}"], "read_text_file", {"path": "note.txt"}, "a note"),
    "mcp-server-memory": ([], "read_graph", {}, '"entities"'),
    "mcp-server-git": (["-r", "${CWD}"], "git_status", {"repo_path": "."}, "note.txt"),
}


@pytest.mark.parametrize("program", REGISTRY)
def test_a_server_from_a_registry_works(program: str, tmp_path: Path) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    (tmp_path / "note.txt").write_text("a note", encoding="utf-8")
    if program == "mcp-server-git":
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    args, tool, arguments, told = REGISTRY[program]
    given = {
        name: str(tmp_path / value) if name in ("path", "repo_path") else value
        for name, value in arguments.items()
    }
    (found,) = calls(tmp_path, McpServerSettings(command=program, args=args), (tool, given))
    assert found["status"] == "ok"
    assert told in found["result"]
