"""`hermes tools`: every tool, whether it is on, and what would turn it on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import msgspec

from commands.tool_lines import folded, head, line, one_line
from commands.tool_listing import Listing, ToolRow, take_stock, tell_problems
from tools.surroundings import surroundings_here

_TEXT = 100
"""Columns of running text, where there is room for more."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.argument("name", required=False)
def tools(as_json: bool, name: str | None) -> None:
    """List the tools: toolsets, on or off, why, and the tokens each costs in every request.

    With NAME: what the model is told of that tool, its effects, and where it comes from.
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


def _show_one(name: str, found: Listing, as_json: bool) -> None:
    from tools.catalog import BrokenToolError, UnknownToolError, load_tool

    try:
        tool = load_tool(name, surroundings_here())
    except (UnknownToolError, BrokenToolError) as error:
        raise click.ClickException(str(error)) from None
    row = next((each for each in found.tools if each.name == name), None)
    function = tool.schema()["function"]
    if as_json:
        told = {"description": function["description"], "parameters": function["parameters"]}
        facts = msgspec.to_builtins(row) if row is not None else {"name": name}
        click.echo(msgspec.json.encode({**facts, "effects": tool.effects, **told}))
        return
    if row is not None:
        state = "on" if row.on else "off"
        click.echo(f"{one_line(name)}: {state}, about {row.tokens or '?'} tokens in each request")
        for text in (row.why, f"from: {row.source}", f"toolsets: {', '.join(row.toolsets) or 'none'}"):
            click.echo("".join(f"{each}\n" for each in folded(text, 2, _TEXT)), nl=False)
    click.echo(f"  effects: {', '.join(tool.effects) or 'none'}\n")
    for paragraph in str(function["description"]).splitlines():
        click.echo("\n".join(folded(paragraph, 0, _TEXT)))
    for each in _parameters(function["parameters"]):
        click.echo(each)


def _parameters(schema: dict[str, Any]) -> Iterator[str]:
    required = schema.get("required", [])
    for name, each in schema.get("properties", {}).items():
        kind = each.get("type", "any")
        if "enum" in each:
            kind = " | ".join(map(str, each["enum"]))
        elif kind == "array":
            kind = f"list of {each.get('items', {}).get('type', 'any')}"
        needed = ", required" if name in required else ""
        yield f"\n{one_line(name)} ({one_line(str(kind))}{needed})"
        yield from folded(str(each.get("description", "")), 4, _TEXT)
