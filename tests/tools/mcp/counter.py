"""A server in the settings, approved, and its tools called the way the loop calls them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from configuration.home import hermes_home
from configuration.tool_settings import McpServerSettings
from model_tools import call_tool
from safety.gate import AskPermission, Gate, Mode
from sandboxes.local import LocalSandbox
from settings import Settings
from tools.mcp.approval import Approval, approve, fingerprint
from tools.mcp.connection import Connection
from tools.mcp.definition import read_definitions
from tools.mcp.launch import launch_of
from tools.runtime import AskPerson, ToolRuntime
from tools.surroundings import Surroundings, surroundings
from tools.tool import Tool

UNRULY = str(Path(__file__).with_name("unruly_server.py"))
Value = TypeVar("Value")


def unruly(how: str = "", *arguments: str, **more: Any) -> McpServerSettings:
    return McpServerSettings(command=sys.executable, args=["-I", UNRULY, how, *arguments], **more)


@dataclass
class Counter:
    """`folder` is the working folder; `servers` are in the settings."""

    folder: Path
    servers: dict[str, McpServerSettings]
    mode: Mode = "yolo"
    ask: AskPerson | None = None
    ask_permission: AskPermission | None = None

    def __post_init__(self) -> None:
        self.settings = msgspec.structs.replace(Settings(), mcp=self.servers)
        self.around: Surroundings = surroundings(self.settings, str(self.folder))
        gate = Gate(self.mode, workspace=str(self.folder), explicit=True, ask=self.ask_permission)
        self.gate = gate
        sandbox = LocalSandbox("test", str(self.folder))
        self.runtime = ToolRuntime(
            "test", sandbox, gate, settings=self.settings, around=self.around, ask=self.ask
        )

    async def approve(self, name: str) -> Approval:
        """What `hermes mcp add` does, without the questions."""
        server = self.servers[name]
        connection = Connection(name, launch_of(server, self.around), server.timeout, server.start_timeout)
        await connection.open()
        try:
            usable, _ = read_definitions(connection.listed.values(), server.tools)
        finally:
            await connection.close()
        approval = Approval(fingerprint(server), connection.title, usable)
        approve(name, approval, hermes_home())
        return approval

    def tools(self) -> dict[str, Tool]:
        from model_tools import select_tools

        return {tool.name: tool for tool in select_tools(["default"], [], self.around)[0]}

    async def call(self, name: str, **arguments: Any) -> Mapping[str, Any]:
        reply = await call_tool(self.tools()[name], arguments, self.runtime)
        data: dict[str, Any] = json.loads(reply.content)
        return {"status": reply.status, **data}


def run(counter: Counter, work: Coroutine[Any, Any, Value]) -> Value:
    """`work` in an event loop that ends with everything the tools keep open."""

    async def whole() -> Value:
        try:
            return await work
        finally:
            await counter.runtime.aclose()

    return asyncio.run(whole())


def gone(pid: int) -> bool:
    """Zombies, which nobody may reap here, count as gone."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state in "ZX"
