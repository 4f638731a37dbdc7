"""`hermes data redact`: take secrets out of files."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import Any

import click

from commands.crash_report import own_redactor
from commands.data_files import counted, files_argument, input_files, output_rows, place, tell
from configuration.home import read_secrets
from corpus.reading import Row, is_session_file
from safety.redact import Redactor
from safety.terminal_text import neutralize
from trajectories.row_line import row_line
from trajectories.turn_text import repeats_keys


@click.command()
@files_argument
@click.option(
    "-o", "--output", metavar="OUT", type=click.Path(), help="Write the rows without their secrets here."
)
def redact(files: tuple[str, ...], output: str | None) -> None:
    """Find secrets in FILE..., and with -o write the rows without them.

    Secrets are keys and tokens of known shapes, private keys, passwords in URLs, and your own: those in .env
    of the hermes home and in environment variables whose names speak of keys. Each becomes [redacted:KIND].
    Prints where there are how many of which kind, never the value. Sessions stay sessions. Exit code 1 if
    there are any and no OUT was given.
    """
    session = next((name for name in files if is_session_file(name)), None)
    if output is not None and len(files) > 1 and session is not None:
        message = f"{session} is a session: give each with an -o of its own, as one file holds one session"
        raise click.UsageError(neutralize(message))
    read_secrets()  # a file of secrets that cannot be read is an error: not all could be taken out
    redactor = own_redactor()
    totals: dict[str, Counter[str]] = {name: Counter() for name in files}
    rows = touched = 0
    with input_files(files) as inputs, ExitStack() as opened:
        write = opened.enter_context(output_rows(output, inputs)) if output is not None else None
        for name, row in inputs.rows("redacting", sessions=False):
            rows += 1
            try:
                value, found = _clean(row, redactor)
            except RecursionError:
                tell(f"{place(name, row.number)}: left out: nested too deeply")
                continue
            if found:
                touched += 1
                totals[name] += found
                line = neutralize(f"{place(name, row.number)}: {_kinds(found)}")
                click.echo(line, err=output == "-")
            if write is not None:
                write(row_line(value).rstrip(b"\n") if found else row.raw)
    for name, found in totals.items():
        if found:
            tell(f"{name}: {_kinds(found)}")
    done = "" if output is not None or not touched else "; nothing was written, give -o OUT for that"
    tell(f"{touched:,} of {counted(rows, 'row')} with secrets{done}")
    if touched and output is None:
        raise SystemExit(1)


def _clean(row: Row, redactor: Redactor) -> tuple[dict[str, Any], Counter[str]]:
    """The row without its secrets, and how many of each kind there were. Raises RecursionError."""
    clean, found = redactor.redact_json(row.value)
    if not found and repeats_keys(row.raw):  # the text holds what the value, the last one of a key, does not
        _, found = redactor.redact(row.raw.decode())
    return clean, found


def _kinds(found: Counter[str]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(found.items()))
