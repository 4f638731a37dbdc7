"""`hermes toolsets`: the groups of tools, which are on, and what each costs."""

from __future__ import annotations

import click
import msgspec

from commands.tool_lines import folded, head, line
from commands.tool_listing import take_stock, tell_problems


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def toolsets(as_json: bool) -> None:
    """List the toolsets: tools, on or off, and the tokens each costs in every request."""
    found = take_stock()
    if as_json:
        reply = {"toolsets": found.toolsets, "tokens": found.tokens, "problems": found.problems}
        click.echo(msgspec.json.encode(reply))
    else:
        click.echo(head("TOOLSET"))
        for row in found.toolsets:
            name = f"{row.name} (yours)" if row.custom else row.name
            click.echo(line(name, row.state, row.tokens, row.description))
            for text in (", ".join(row.tools), row.why):
                click.echo("".join(f"{each}\n" for each in folded(text, 6)), nl=False)
    tell_problems(found.problems)
