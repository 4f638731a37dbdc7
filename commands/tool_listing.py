"""Which tools and toolsets there are, what is on, and why the others are not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import click
import msgspec

import toolsets
from safety.terminal_text import neutralize
from settings import ToolsetSettings
from tools.catalog import (
    TOOL_MODULES,
    available_tools,
    own_toolsets,
    third_party_tools,
    unusable_servers,
    with_servers,
)
from tools.surroundings import Surroundings, surroundings_here
from tools.tool import Tool
from toolsets import TOOLSETS, ToolsetError

State = Literal["on", "partly", "off", "broken"]


class ToolRow(msgspec.Struct):
    """`tokens`: what the schema costs in each request (JSON bytes / 4). `source`: `built-in`, a package, or
    a tool server (`mcp-NAME`). A server that cannot be used is a row of its own."""

    name: str
    on: bool
    toolsets: list[str]
    tokens: int
    source: str
    why: str


class ToolsetRow(msgspec.Struct):
    name: str
    state: State
    description: str
    tools: list[str]
    tokens: int
    custom: bool
    why: str


class Listing(msgspec.Struct):
    """`tokens` is what all that is on costs together; `problems` are errors in the settings of toolsets."""

    tools: list[ToolRow]
    toolsets: list[ToolsetRow]
    tokens: int
    problems: list[str]


def take_stock() -> Listing:
    """Rows for the settings that hold in this folder. Raises SettingsError."""
    return listing(surroundings_here())


def listing(around: Surroundings) -> Listing:
    settings = around.settings.tools
    problems = [
        f"tools.custom.{name}: a built-in toolset has this name; yours is not used"
        for name in settings.custom
        if name in TOOLSETS
    ]
    good = {name: own for name, own in own_toolsets(around).items() if name not in TOOLSETS}
    resolved: dict[str, list[str]] = {}
    broken: dict[str, str] = {}
    for name in [*TOOLSETS, *good]:
        try:
            resolved[name] = toolsets.resolve_toolset(name, good)
        except ToolsetError as error:
            broken[name] = str(error)
    enabled = _chosen("enabled", with_servers(settings.enabled, around), good, problems)
    disabled = _chosen("disabled", settings.disabled, good, problems)
    packages = dict(third_party_tools())
    names = dict.fromkeys(
        [*TOOL_MODULES, *(tool for tools in resolved.values() for tool in tools), *packages]
    )
    usable, unavailable = available_tools(names, around)
    facts = _Facts(
        enabled, disabled, packages, {f"mcp-{name}" for name in around.settings.mcp},
        costs={tool.name: schema_tokens(tool) for tool in usable},
        reasons={each.name: each.reason for each in unavailable},
    )  # fmt: skip
    rows = [_tool_row(name, resolved, facts) for name in names]
    on = {row.name for row in rows if row.on}
    down = {each.name: each.reason for each in unusable_servers(good, around)}
    rows += [ToolRow(name, False, [name], 0, name, reason) for name, reason in down.items()]
    told = {**down, **broken}
    sets = [
        _toolset_row(name, good.get(name), resolved.get(name), told.get(name, ""), on, facts)
        for name in [*TOOLSETS, *good]
    ]
    return Listing(rows, sets, sum(row.tokens for row in rows if row.on), problems)


@dataclass(frozen=True, slots=True)
class _Facts:
    """`enabled` and `disabled`: tool to the toolset that does it. `costs`, `reasons`: by tool. `servers` are
    the toolsets of tool servers."""

    enabled: dict[str, str]
    disabled: dict[str, str]
    packages: dict[str, str]
    servers: set[str]
    costs: dict[str, int]
    reasons: dict[str, str]


def _chosen(
    key: str, names: Sequence[str], custom: dict[str, ToolsetSettings], problems: list[str]
) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for name in names:
        try:
            chosen.update(dict.fromkeys(toolsets.resolve_toolset(name, custom), name))
        except ToolsetError as error:
            problems.append(f"tools.{key}: {error}")
    return chosen


def schema_tokens(tool: Tool) -> int:
    """About how many tokens the tool's definition takes in a request: its JSON bytes / 4, rounded up."""
    return -(-len(msgspec.json.encode(tool.schema())) // 4)


def _tool_row(name: str, resolved: dict[str, list[str]], facts: _Facts) -> ToolRow:
    homes = [home for home, tools in resolved.items() if name in tools]
    server = next((home for home in homes if home in facts.servers), "")
    source = "built-in" if name in TOOL_MODULES else server or facts.packages.get(name, "unknown")
    on = name in facts.enabled and name not in facts.disabled and name not in facts.reasons
    why = ""
    if name in facts.reasons:
        why = facts.reasons[name]
    elif name in facts.disabled:
        why = f"toolset {facts.disabled[name]} is in tools.disabled; take it out there"
    elif name not in facts.enabled and homes:
        narrow = min(homes, key=lambda home: len(resolved[home]))
        why = f"turn it on with --toolsets {narrow}, or add {narrow} to tools.enabled"
    elif name not in facts.enabled:
        why = f"in no toolset; add one in the settings: tools.custom.mine.tools: [{name}]"
    elif name in facts.packages and name in TOOL_MODULES:
        why = f"{facts.packages[name]} adds a tool of this name, which is not used"
    return ToolRow(name, on, homes, facts.costs.get(name, 0), source, why)


def _toolset_row(
    name: str, own: ToolsetSettings | None, tools: list[str] | None, error: str, on: set[str], facts: _Facts
) -> ToolsetRow:
    custom = own is not None and name not in facts.servers
    description = own.description if own is not None else TOOLSETS[name].description
    if tools is None:
        return ToolsetRow(name, "broken", description, [], 0, custom, error)
    running = [tool for tool in tools if tool in on]
    verdict: State = "on" if tools and len(running) == len(tools) else "partly" if running else "off"
    missing = [tool for tool in tools if tool in facts.reasons]
    why = f"not available: {', '.join(missing)} (hermes tools says why)" if missing else error
    if verdict == "off" and not why:
        why = f"turn it on with --toolsets {name}, or add it to tools.enabled" if tools else "it has no tools"
    cost = sum(facts.costs.get(tool, 0) for tool in tools)
    return ToolsetRow(name, verdict, description, tools, cost, custom, why)


def print_table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A Rich table on a terminal, aligned plain text elsewhere."""
    cells = [[neutralize(str(cell)).replace("\n", " ") for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for title in heads:
            table.add_column(title)
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)
        return
    widths = [max(len(line[column]) for line in [list(heads), *cells]) for column in range(len(heads))]
    for line in [list(heads), *cells]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def tell_problems(problems: Sequence[str]) -> None:
    """Problems go to stderr; the exit code is then 1, because a chat would not start."""
    for problem in problems:
        click.echo(f"error: {neutralize(problem)}", err=True)
    if problems:
        click.get_current_context().exit(1)
