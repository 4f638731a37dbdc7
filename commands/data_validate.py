"""`hermes data validate`: check every row against its layout."""

from __future__ import annotations

import click

from commands.data_files import files_argument, input_files, place
from corpus.reading import Row
from corpus.row_layout import LAYOUTS, layout_of, layout_problems
from safety.terminal_text import neutralize


@click.command()
@files_argument
@click.option(
    "--format",
    "layout",
    type=click.Choice(["auto", *LAYOUTS]),
    default="auto",
    show_default=True,
    help="What the rows must be; auto takes it from their keys.",
)
def validate(files: tuple[str, ...], layout: str) -> None:
    """Check every row of FILE... against the layout of its format.

    Prints one line for each problem. Exit code 1 if there is any or no row at all, 2 if a FILE cannot be
    read.
    """
    good = bad = 0
    with input_files(files) as inputs:
        for name, item in inputs.items("checking"):
            if isinstance(item, Row):
                problems = layout_problems(item.value, layout_of(item.value) if layout == "auto" else layout)
            elif item.kind == "blank":
                continue
            else:
                problems = [item.reason]
            for problem in problems:
                click.echo(neutralize(f"{place(name, item.number)}: {problem}"))
            bad += bool(problems)
            good += not problems
    count = good + bad
    click.echo(f"{count} row{'' if count == 1 else 's'}: {good} good, {bad} bad", err=bool(bad))
    if bad or not good:
        raise SystemExit(1)
