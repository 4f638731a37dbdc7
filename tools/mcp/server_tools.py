"""The tools of the servers in the settings, as the house knows tools. Nothing is started here."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from configuration.tool_settings import McpServerSettings
from safety.gate import EffectRequest
from settings import ToolsetSettings
from tools.mcp.approval import Approval, ApprovalError, is_server_name, read_approval
from tools.mcp.argument_check import checked_arguments
from tools.mcp.definition import function_schema
from tools.mcp.launch import launch_problem
from tools.mcp.servers import McpServers, Offer
from tools.mcp.tool_names import model_names
from tools.runtime import ToolReply, ToolRuntime
from tools.surroundings import Surroundings
from tools.tool import Handler, Tool

TOOLSET_PREFIX = "mcp-"
NO_SDK = "the MCP SDK is not installed; use: pip install 'hermes-agent[mcp]'"


@dataclass(frozen=True)
class ServerTool(Tool):
    """A tool of a server. Its schema is the one a person approved; arguments are checked against it."""

    offer: Offer | None = None
    allowed: str = ""
    """The setting by which a person lets it pass unasked."""

    def schema(self) -> dict[str, Any]:
        if not self._schema:
            assert self.offer is not None
            self._schema.update(function_schema(self.name, self.offer.definition))
        return self._schema

    def bind(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ArgumentError."""
        assert self.offer is not None
        return checked_arguments(self.name, self.offer.definition.parameters, arguments)

    def effect_request(self, runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
        """Whatever it may do, it does outside every sandbox, and what it is given leaves hermes."""
        assert self.offer is not None
        server, tool = self.offer.server, self.offer.definition.name
        summary = f"MCP server {server}: {tool} {json.dumps(arguments, ensure_ascii=False)}"
        return EffectRequest(
            self.name, self.effects, summary, grant=f"{TOOLSET_PREFIX}{server}: {tool}", allowed=self.allowed,
            deed=f"it calls the tool server {server}, which does what it likes",
        )  # fmt: skip

    async def settle(self, runtime: ToolRuntime) -> ToolReply | None:
        """The server is started for it: that is what the person agreed to when they added it."""
        assert self.offer is not None
        return await runtime.store(McpServers).settle(self.offer, runtime)


def check_mcp_requirements(around: Surroundings | None = None) -> str:
    """ "" if tool servers can be used, else the reason and the fix. The SDK is looked for, not imported."""
    found = all(importlib.util.find_spec(name) for name in ("mcp", "mcp_types"))
    return "" if found else NO_SDK


def server_problem(name: str, around: Surroundings) -> str:
    """Why the tools of a server cannot be used; "" if nothing is known to be in the way."""
    return check_mcp_requirements() or _approved(name, around)[1]


def mcp_toolsets(around: Surroundings) -> dict[str, ToolsetSettings]:
    """A toolset `mcp-NAME` for each server in the settings; without tools where none are approved."""
    tools = server_tools(around)
    return {
        f"{TOOLSET_PREFIX}{name}": ToolsetSettings(
            description=f"Tools of the MCP server {name}",
            tools=[each.name for each in tools.values() if each.offer and each.offer.server == name],
        )
        for name in around.settings.mcp
    }


def servers_on(around: Surroundings) -> list[str]:
    """The toolsets that are on wherever `default` is. What becomes training data uses none unasked."""
    if around.impersonal:
        return []
    return [f"{TOOLSET_PREFIX}{name}" for name, server in around.settings.mcp.items() if server.enabled]


def server_tools(around: Surroundings) -> dict[str, ServerTool]:
    """Every approved tool of every server in the settings, by the name the model calls it by."""
    if check_mcp_requirements():
        return {}
    servers = around.settings.mcp
    approvals = {name: _approved(name, around)[0] for name in servers}
    chosen = {
        name: {each.name: each for each in approval.tools if _is_chosen(each.name, servers[name])}
        for name, approval in approvals.items()
        if approval is not None
    }
    problems = {name: launch_problem(servers[name], around) for name in chosen}
    return {
        called: _tool(called, Offer(server, chosen[server][tool]), servers[server], problems[server])
        for (server, tool), called in model_names(chosen).items()
    }


def _tool(called: str, offer: Offer, server: McpServerSettings, problem: str) -> ServerTool:
    tool = offer.definition.name
    where = f"mcp.{offer.server}.allowed" if {"*", tool} & set(server.allowed) else ""
    return ServerTool(
        called, offer.definition.description, _handler(offer), ("write", "net"), {}, {},
        requires=lambda around: problem, offer=offer, allowed=where,
    )  # fmt: skip


def _handler(offer: Offer) -> Handler:
    async def call(runtime: ToolRuntime, /, **arguments: Any) -> ToolReply:
        return await runtime.store(McpServers).call(offer, arguments, runtime)

    return call


def _approved(name: str, around: Surroundings) -> tuple[Approval | None, str]:
    server = around.settings.mcp[name]
    if not is_server_name(name):
        return None, f"{name!r} is no name for a server: letters, digits, _ and -, at most 32"
    try:
        return read_approval(name, server, around.home), ""
    except ApprovalError as error:
        return None, str(error)


def _is_chosen(tool: str, server: McpServerSettings) -> bool:
    return not server.tools or tool in server.tools
