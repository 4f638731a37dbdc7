"""`hermes toolsets`: the groups of tools, which are on, and what each costs."""

from __future__ import annotations

import click
import msgspec

from commands.tool_lines import folded, head, line
from commands.tool_listing import Listing, take_stock, tell_problems
from commands.tools import nearest, show_toolset


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.argument("name", required=False)
def toolsets(as_json: bool, name: str | None) -> None:
    """List the toolsets: tools, on or off, and the tokens each costs in every request.

    With NAME: that toolset, and each of its tools.
    """
    found = take_stock()
    if name is not None:
        _show_one(name, found, as_json)
    elif as_json:
        reply = {"toolsets": found.toolsets, "tokens": found.tokens, "problems": found.problems}
        click.echo(msgspec.json.encode(reply))
    else:
        click.echo(head("TOOLSET"))
        for row in found.toolsets:
            shown = f"{row.name} (yours)" if row.custom else row.name
            click.echo(line(shown, row.state, row.tokens, row.description))
            for text in (", ".join(row.tools), row.why):
                click.echo("".join(f"{each}\n" for each in folded(text, 6)), nl=False)
    tell_problems(found.problems)


def _show_one(name: str, found: Listing, as_json: bool) -> None:
    row = next((each for each in found.toolsets if each.name == name), None)
    if row is not None:
        show_toolset(row, found, as_json)
        return
    if any(each.name == name for each in found.tools):
        raise click.ClickException(f"{name} is a tool, not a toolset; see: hermes tools {name}")
    known = [each.name for each in found.toolsets]
    raise click.ClickException(f"there is no toolset {name!r}{nearest(name, known, 'toolsets')}")
