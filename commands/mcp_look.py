"""A look at a server: it is started once, asked for its tools, and ended."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import click

from configuration.tool_settings import McpServerSettings
from safety.terminal_text import neutralize, without_hostile
from tools.mcp.approval import Approval, fingerprint
from tools.mcp.connection import Connection
from tools.mcp.definition import LONGEST_DESCRIPTION, Definition, read_definitions, tokens_of
from tools.mcp.differences import difference
from tools.mcp.launch import launch_of, launch_problem
from tools.mcp.server_tools import check_mcp_requirements
from tools.mcp.tool_names import model_names
from tools.mcp.trouble import ServerError
from tools.surroundings import Surroundings

STDERR_LINES = 8
_TOLD = ("type", "description")
"""What of a parameter is told in words; the rest is shown as it is."""


@dataclass(frozen=True, slots=True)
class Look:
    """`said` is what the server said of each tool, unchanged; `refused` are (name, reason)."""

    name: str
    title: str
    tools: list[Definition]
    refused: list[tuple[str, str]]
    said: dict[str, Any] = field(default_factory=dict)

    def approval(self, server: McpServerSettings) -> Approval:
        return Approval(fingerprint(server), self.title, self.tools)


async def look_at(name: str, server: McpServerSettings, around: Surroundings) -> Look:
    """Raises ServerError; its text ends with what the server wrote on stderr."""
    problem = check_mcp_requirements() or launch_problem(server, around)
    if problem:
        raise ServerError(f"the MCP server {name} cannot be started: {problem}")
    connection = Connection(name, launch_of(server, around), server.timeout, server.start_timeout)
    try:
        await connection.open()
        tools, refused = read_definitions(connection.listed.values(), server.tools)
        return Look(name, connection.title, tools, refused, dict(connection.listed))
    except ServerError as error:
        written = [line for line in connection.stderr.splitlines() if line.strip()][-STDERR_LINES:]
        told = "".join(f"\n  {neutralize(line)[:300]}" for line in written)
        raise ServerError(f"{error}{f'{chr(10)}It wrote:{told}' if told else ''}") from None
    finally:
        await connection.close()


def show(look: Look) -> None:
    """Every tool as the model would be told of it, with what its text hides spelled out."""
    names = model_names({look.name: [each.name for each in look.tools]})
    costs = {each.name: tokens_of(names[look.name, each.name], each) for each in look.tools}
    title = f" ({neutralize(look.title)})" if look.title else ""
    count = f"{len(look.tools)} tool{'s' * (len(look.tools) != 1)}"
    click.echo(f"{look.name}{title}: {count}, about {sum(costs.values()):,} tokens in each request")
    for each in look.tools:
        claims = f"; it calls itself {', '.join(each.claims)}" if each.claims else ""
        click.echo(f"\n{each.name}  ({costs[each.name]} tokens{claims})")
        for line in _told(each.description, str(look.said.get(each.name, {}).get("description") or "")):
            click.echo(f"    {line}")
        for line in _parameters(each.parameters):
            click.echo(f"  - {line}")
    for name, reason in look.refused:
        click.echo(f"\n{neutralize(name)!r} is not used: {reason}")


def changes(before: Approval, look: Look) -> list[str]:
    """What is not as the person approved it, one entry a tool."""
    old = {each.name: each for each in before.tools}
    new = {each.name: each for each in look.tools}
    found = [f"{name} is gone" for name in old if name not in new]
    found += [f"{name} is new" for name in new if name not in old]
    found += [
        f"{name} has changed:\n{difference(old[name], new[name])}"
        for name in old
        if name in new and old[name].digest != new[name].digest
    ]
    return found


def _told(description: str, said: str) -> list[str]:
    """What the model reads, all of it, and what it does not read of what the server `said`."""
    clean = without_hostile(said)
    notes = []
    if len(clean.strip()) > LONGEST_DESCRIPTION:
        notes.append(f"of {len(said):,} characters the model sees {LONGEST_DESCRIPTION:,}")
    if len(said) > len(clean):
        hidden = len(said) - len(clean)
        notes.append(f"{hidden} characters that can hide or move text are taken out for the model")
    return [*neutralize(description).splitlines(), *(f"({note})" for note in notes)]


def _parameters(schema: dict[str, Any]) -> list[str]:
    required = schema.get("required", [])
    lines = []
    for name, each in schema.get("properties", {}).items():
        kind = each.get("type", "") if isinstance(each, dict) else ""
        kind = kind if isinstance(kind, str) else json.dumps(kind)
        note = each.get("description", "") if isinstance(each, dict) else ""
        rest = (
            {key: value for key, value in each.items() if key not in _TOLD}
            if isinstance(each, dict)
            else each
        )
        more = "" if rest == {} or rest is True else neutralize(json.dumps(rest, ensure_ascii=False))
        facts = ", ".join(filter(None, (kind, "required" if name in required else "", more)))
        lines.append(
            f"{name}{f' ({facts})' if facts else ''}{f': {note}' if note else ''}".replace("\n", " ")
        )
    others = {key: value for key, value in schema.items() if key not in ("type", "properties", "required")}
    return [*lines, f"all: {neutralize(json.dumps(others, ensure_ascii=False))}"] if others else lines
