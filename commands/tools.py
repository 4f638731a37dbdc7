"""`hermes tools`: every tool, whether it is on, and what would turn it on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

import click
import msgspec

from commands.tool_lines import folded, head, line, one_line
from commands.tool_listing import Listing, ToolRow, ToolsetRow, take_stock, tell_problems
from tools.surroundings import surroundings_here
from tools.tool import Tool

_TEXT = 100
"""Columns of running text, where there is room for more."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.argument("name", required=False)
def tools(as_json: bool, name: str | None) -> None:
    """List the tools: toolsets, on or off, why, and the tokens each costs in every request.

    With NAME: what the model is told of that tool, its effects, and where it comes from; of a toolset
    its tools.
    """
    found = take_stock()
    if name is not None:
        _show_one(name, found, as_json)
    elif as_json:
        reply = {"tools": found.tools, "tokens": found.tokens, "problems": found.problems}
        click.echo(msgspec.json.encode(reply))
    else:
        click.echo("\n".join(_lines(found)))
        on = sum(row.on for row in found.tools)
        click.echo(f"\n{on} of {len(found.tools)} tools are on, about {found.tokens} tokens in each request")
    tell_problems(found.problems)


def _lines(found: Listing) -> Iterator[str]:
    """Each tool once, below the toolset it belongs to."""
    yield head("TOOL")
    for each in found.toolsets:
        rows = [row for row in found.tools if row.home == each.name]
        if not rows and (each.tools or each.custom or each.collection):
            continue
        yield line(each.name, each.state, sum(row.tokens for row in rows), each.description)
        reasons = {row.why for row in rows} or {each.why}
        shared = reasons.pop() if len(reasons) == 1 else ""
        yield from folded(shared, 6)
        for row in rows:
            yield from _tool(row, "" if shared else row.why)
    for row in found.tools:
        if not row.home:
            yield from _tool(row, row.why)


def _tool(row: ToolRow, why: str) -> Iterator[str]:
    yield line(row.name, "on" if row.on else "off", row.tokens, indent=2 if row.home else 0)
    yield from folded(why, 6)


def show_toolset(row: ToolsetRow, found: Listing, as_json: bool) -> None:
    """One toolset, and each of its tools with what would turn it on."""
    rows = [each for each in found.tools if each.name in row.tools]
    if as_json:
        click.echo(msgspec.json.encode({"toolset": row, "tools": rows}))
        return
    lines = [head("TOOLSET"), line(row.name, row.state, row.tokens, row.description)]
    reasons = {each.why for each in rows} or {row.why}
    shared = reasons.pop() if len(reasons) == 1 else ""
    lines += folded(shared, 6)
    for each in rows:
        lines.append(line(each.name, "on" if each.on else "off", each.tokens, indent=2))
        lines += folded("" if shared else each.why, 6)
    click.echo("\n".join(lines))


def nearest(name: str, names: Iterable[str], command: str) -> str:
    near = get_close_matches(name, list(names), n=1)
    return f"; did you mean {near[0]}?" if near else f"; hermes {command} lists them all"


def _show_one(name: str, found: Listing, as_json: bool) -> None:
    from tools.catalog import BrokenToolError, UnknownToolError, load_tool

    toolsets = {each.name: each for each in found.toolsets}
    try:
        tool = load_tool(name, surroundings_here())
    except BrokenToolError as error:
        raise click.ClickException(str(error)) from None
    except UnknownToolError:
        if name in toolsets:
            show_toolset(toolsets[name], found, as_json)
            return
        names = [*(each.name for each in found.tools), *toolsets]
        unknown = f"there is no tool and no toolset {name!r}{nearest(name, names, 'tools')}"
        raise click.ClickException(unknown) from None
    row = next((each for each in found.tools if each.name == name), None)
    function = tool.schema()["function"]
    if as_json:
        told = {"description": function["description"], "parameters": function["parameters"]}
        facts = msgspec.to_builtins(row) if row is not None else {"name": name}
        defaults = {
            each: _default(tool, each) for each in tool.parameters if _default(tool, each) is not None
        }
        click.echo(msgspec.json.encode({**facts, "effects": tool.effects, **told, "defaults": defaults}))
        return
    if row is not None:
        state = "on" if row.on else "off"
        click.echo(f"{one_line(name)}: {state}, about {row.tokens or '?'} tokens in each request")
        for text in (row.why, f"from: {row.source}", f"toolsets: {', '.join(row.toolsets) or 'none'}"):
            click.echo("".join(f"{each}\n" for each in folded(text, 2, _TEXT)), nl=False)
    click.echo(f"  effects: {', '.join(tool.effects) or 'none'}\n")
    for paragraph in str(function["description"]).split("\n\n"):
        click.echo("\n".join(folded(paragraph, 0, _TEXT)))
    for each in _parameters(tool, function["parameters"]):
        click.echo(each)


def _default(tool: Tool, name: str) -> Any:
    """What holds where the model does not give it; None where that is nothing."""
    parameter = tool.parameters.get(name)
    value = None if parameter is None or parameter.default is parameter.empty else parameter.default
    return None if value == "" else value


def _parameters(tool: Tool, schema: dict[str, Any]) -> Iterator[str]:
    required = schema.get("required", [])
    for name, each in schema.get("properties", {}).items():
        kind = each.get("type", "any")
        if "enum" in each:
            kind = " | ".join(map(str, each["enum"]))
        elif kind == "array":
            kind = f"list of {each.get('items', {}).get('type', 'any')}"
        needed = ", required" if name in required else ""
        default = each.get("default", _default(tool, name))
        told = "" if default is None else f", default {one_line(msgspec.json.encode(default).decode())}"
        yield f"\n{one_line(name)} ({one_line(str(kind))}{needed}{told})"
        yield from folded(str(each.get("description", "")), 4, _TEXT)
