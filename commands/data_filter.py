"""`hermes data filter`: keep the rows that an expression holds for."""

from __future__ import annotations

import click

from commands.data_files import (
    counted,
    files_argument,
    input_files,
    output_option,
    output_rows,
    tell,
    tell_unknown,
)
from corpus.row_filter import FACTS, FilterError, RowFilter, parse_filter

_KEYS = ", ".join(FACTS)


def _expression(_: click.Context, __: click.Parameter, text: str) -> RowFilter:
    try:
        return parse_filter(text)
    except FilterError as error:
        raise click.BadParameter(str(error)) from None


@click.command(
    "filter",
    epilog=f"Keys: {_KEYS}, and the path of any field, as in metadata.model=x. Operators: = != < <= > >= and "
    "~ (contains). Example: --where 'outcome=done and turns>=2 and tool=terminal and not flag=flawed'",
)
@files_argument
@click.option("--where", metavar="EXPR", required=True, callback=_expression, help="Which rows: see below.")
@click.option("--invert", is_flag=True, help="Keep the others.")
@output_option
def filter_rows(files: tuple[str, ...], where: RowFilter, invert: bool, output: str) -> None:
    """Keep the rows of FILE... for which an expression holds. Rows are written as they stood there."""
    seen = kept = 0
    with input_files(files) as inputs, output_rows(output, inputs) as write:
        for _, row in inputs.rows("filtering"):
            seen += 1
            if where.accepts(row.value) is not invert:
                kept += 1
                write(row.raw)
    tell_unknown(where, seen)
    tell(f"{kept:,} of {counted(seen, 'row')} kept")
