"""`hermes data sample`: draw a number of rows at random."""

from __future__ import annotations

from collections import Counter
from random import Random

import click

from commands.data_files import (
    counted,
    files_argument,
    input_files,
    output_option,
    output_rows,
    tell,
)
from corpus.row_facts import RowFacts
from corpus.row_identity import row_digest
from corpus.selection import Quotas, stratified

SEEDS = click.IntRange(0, 2**63 - 1)


@click.command()
@files_argument
@click.option("-n", "wanted", metavar="N", type=click.IntRange(min=1), required=True, help="How many rows.")
@click.option(
    "--seed", metavar="S", type=SEEDS, default=0, show_default=True, help="The same seed draws the same rows."
)
@click.option(
    "--by",
    metavar="KEY",
    help="Draw of each value of KEY in proportion, and at least one as far as N goes.",
)
@output_option
def sample(files: tuple[str, ...], wanted: int, seed: int, by: str | None, output: str) -> None:
    """Draw N rows of FILE... at random. They stay in order, and each is as likely as any other.

    The files are read twice. With --by every value of KEY takes some 300 bytes of memory.
    """
    kept = 0
    with input_files(files) as inputs, output_rows(output, inputs) as write:
        inputs.again()
        sizes = Counter(_group(row.value, by) for _, row in inputs.rows("counting"))
        numbers = stratified(wanted, sizes)
        random = Random(seed)
        quotas = {
            group: Quotas([number, sizes[group] - number], random)
            for group, number in numbers.items()
            if number
        }
        for _, row in inputs.rows("drawing"):
            quota = quotas.get(_group(row.value, by))
            if quota is not None and quota.deal() == 0:
                kept += 1
                write(row.raw)
    groups = (
        "" if by is None else f", of {sum(map(bool, numbers.values())):,} of {len(sizes):,} values of {by}"
    )
    tell(f"{kept:,} of {counted(sizes.total(), 'row')} drawn{groups}")
    if by is not None and sizes[b""]:
        tell(f"{by}: {counted(sizes[b''], 'row')} without it, taken as one group")


def _group(row: dict[str, object], by: str | None) -> bytes:
    return (row_digest(RowFacts(row), by) if by is not None else None) or b""
