"""`hermes data dedupe`: leave out what is there twice."""

from __future__ import annotations

from collections.abc import Iterator

import click

from commands.data_files import (
    InputFiles,
    counted,
    files_argument,
    input_files,
    output_option,
    output_rows,
    tell,
)
from corpus.digest_set import SIZE, DigestSet
from corpus.row_facts import RowFacts
from corpus.row_identity import CONVERSATION, row_digest


@click.command()
@files_argument
@click.option(
    "--by",
    metavar="WHAT",
    default=CONVERSATION,
    show_default=True,
    help="When rows are the same: `conversation` (all that was said), `prompt`, or any key, e.g. id.",
)
@click.option(
    "--keep",
    type=click.Choice(["first", "last"]),
    default="first",
    show_default=True,
    help="Which one stays.",
)
@output_option
def dedupe(files: tuple[str, ...], by: str, keep: str, output: str) -> None:
    """Leave out the rows of FILE... that are there already.

    Rows without the key all stay. It takes some 32 bytes of memory a row, 48 with --keep last.
    """
    seen = kept = without = 0
    with input_files(files) as inputs, output_rows(output, inputs) as write:
        if keep == "last":
            inputs.again()
            last = _last_ones(inputs, by)
        known = DigestSet()
        for _, row in inputs.rows("deduplicating"):
            seen += 1
            if keep == "last":
                stays = next(last, None)
                without += stays is None
            else:
                found = row_digest(RowFacts(row.value), by)
                without += found is None
                stays = found is None or known.add(found)
            if stays is not False:
                kept += 1
                write(row.raw)
    if without:
        tell(f"{by}: {counted(without, 'row')} without it stayed")
    tell(f"{kept:,} of {counted(seen, 'row')} kept, {seen - kept:,} were there already")


def _last_ones(inputs: InputFiles, by: str) -> Iterator[bool | None]:
    """For each row, whether it is the last of its kind; None where it has no kind."""
    found = bytearray()
    for _, row in inputs.rows("looking for the last ones"):
        found += row_digest(RowFacts(row.value), by) or bytes(SIZE)
    known = DigestSet()
    stays = bytearray(len(found) // SIZE)
    for index in reversed(range(len(stays))):
        each = bytes(found[index * SIZE : (index + 1) * SIZE])
        stays[index] = 2 if not any(each) else known.add(each)
    return (None if each == 2 else bool(each) for each in stays)
