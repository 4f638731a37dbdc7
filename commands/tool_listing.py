"""Which tools and toolsets there are, what is on, and why the others are not."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import click
import msgspec

import toolsets
from model_tools import added_toolsets
from safety.terminal_text import neutralize
from settings import ToolsetSettings
from tools.catalog import (
    TOOL_MODULES,
    BrokenToolError,
    UnknownToolError,
    available_tools,
    load_tool,
    third_party_tools,
    unusable_servers,
    with_servers,
)
from tools.surroundings import Surroundings, surroundings_here
from toolsets import TOOLSETS, ToolsetError

State = Literal["on", "partly", "off", "broken"]
SERVED = "mcp-"


class ToolRow(msgspec.Struct):
    """`tokens`: what the schema costs in each request (JSON bytes / 4). `source`: `built-in`, a package or a
    tool server. `home`: the toolset it belongs to. `missing`: it cannot be used now, whatever is on."""

    name: str
    on: bool
    toolsets: list[str]
    tokens: int
    source: str
    why: str
    home: str = ""
    missing: bool = False


class ToolsetRow(msgspec.Struct):
    """`custom`: the person's own. `collection`: built in, and its tools belong to others."""

    name: str
    state: State
    description: str
    tools: list[str]
    tokens: int
    custom: bool
    why: str
    collection: bool = False


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
    added = {name: each for name, each in added_toolsets(around).items() if name not in TOOLSETS}
    resolved: dict[str, list[str]] = {}
    broken: dict[str, str] = {}
    for name in [*TOOLSETS, *added]:
        try:
            resolved[name] = toolsets.resolve_toolset(name, added)
        except ToolsetError as error:
            broken[name] = str(error)
    packages = dict(third_party_tools())
    names = dict.fromkeys(
        [*TOOL_MODULES, *(each for tools in resolved.values() for each in tools), *packages]
    )
    _, unavailable = available_tools(names, around)
    unavailable += unusable_servers(added, around)
    facts = _Facts(
        settings.enabled,
        _chosen("enabled", with_servers(settings.enabled, around), added, problems),
        _chosen("disabled", settings.disabled, added, problems),
        packages, set(settings.custom), resolved,
        costs={name: _tokens(name, around) for name in names},
        reasons={each.name: each.reason for each in unavailable},
    )  # fmt: skip
    rows = [_tool_row(name, facts) for name in names]
    on = {row.name for row in rows if row.on}
    texts = {name: each.description for name, each in TOOLSETS.items()}
    texts |= {name: each.description for name, each in added.items()}
    sets = [_toolset_row(name, text, broken.get(name, ""), on, facts) for name, text in texts.items()]
    return Listing(rows, sets, sum(row.tokens for row in rows if row.on), problems)


@dataclass(frozen=True, slots=True)
class _Facts:
    """`named`: what `tools.enabled` says. `enabled` and `disabled`: tool to the toolset that does it.
    `resolved`: toolset to its tools. `costs`: by tool. `reasons`: by tool or toolset."""

    named: Sequence[str]
    enabled: dict[str, str]
    disabled: dict[str, str]
    packages: dict[str, str]
    custom: set[str]
    resolved: dict[str, list[str]]
    costs: dict[str, int]
    reasons: dict[str, str]

    def home(self, tool: str) -> str:
        """The toolset that the tool belongs to: the first that names it, of the person's own none if there is
        another; "" if none has it."""
        homes = [name for name, tools in self.resolved.items() if tool in tools]
        others = (name for name in homes if name not in self.custom)
        naming = (name for name in others if name not in TOOLSETS or tool in TOOLSETS[name].tools)
        return next(naming, homes[0] if homes else "")

    def advice(self, toolset: str) -> str:
        names = ",".join([*self.named, toolset])
        return f"turn it on with --toolsets {names}, or add {toolset} to tools.enabled"


def _chosen(
    key: str, names: Sequence[str], added: Mapping[str, ToolsetSettings], problems: list[str]
) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for name in names:
        try:
            chosen.update(dict.fromkeys(toolsets.resolve_toolset(name, added), name))
        except ToolsetError as error:
            problems.append(f"tools.{key}: {error}")
    return chosen


def _tokens(name: str, around: Surroundings) -> int:
    """What it costs, or would; 0 where there is no such tool."""
    try:
        return load_tool(name, around).tokens
    except (UnknownToolError, BrokenToolError):
        return 0


def _tool_row(name: str, facts: _Facts) -> ToolRow:
    homes = [each for each, tools in facts.resolved.items() if name in tools]
    on = name in facts.enabled and name not in facts.disabled and name not in facts.reasons
    why = ""
    if name in facts.reasons:
        why = facts.reasons[name]
    elif name in facts.disabled:
        why = f"toolset {facts.disabled[name]} is in tools.disabled; take it out there"
    elif name not in facts.enabled:
        why = facts.advice(facts.home(name))
    elif name in facts.packages and name in TOOL_MODULES:
        why = f"{facts.packages[name]} adds a tool of this name, which is not used"
    return ToolRow(
        name, on, homes, facts.costs.get(name, 0), _source(name, homes, facts), why, facts.home(name),
        name in facts.reasons,
    )  # fmt: skip


def _source(name: str, homes: Iterable[str], facts: _Facts) -> str:
    if name in TOOL_MODULES:
        return "built-in"
    server = next((each.removeprefix(SERVED) for each in homes if each.startswith(SERVED)), "")
    return f"tool server {server}" if server else facts.packages.get(name, "unknown")


def _toolset_row(name: str, description: str, error: str, on: set[str], facts: _Facts) -> ToolsetRow:
    custom = name in facts.custom and name not in TOOLSETS
    tools = facts.resolved.get(name)
    if tools is None:
        return ToolsetRow(name, "broken", description, [], 0, custom, error)
    running = [tool for tool in tools if tool in on]
    verdict: State = "on" if tools and len(running) == len(tools) else "partly" if running else "off"
    missing = [tool for tool in tools if tool in facts.reasons]
    why = facts.reasons.get(name, "")
    if missing:
        why = f"not available: {', '.join(missing)} (hermes tools says why)"
    if verdict == "off" and not why:
        why = facts.advice(name) if tools else "it has no tools"
    cost = sum(facts.costs.get(tool, 0) for tool in tools)
    collection = name in TOOLSETS and all(facts.home(tool) != name for tool in tools)
    return ToolsetRow(name, verdict, description, tools, cost, custom, why, collection)


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
