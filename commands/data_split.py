"""`hermes data split`: part rows for training and testing."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random

import click

from commands.data_files import InputFiles, counted, files_argument, input_files, output_rows, tell
from commands.data_sample import SEEDS
from corpus.reading import Row
from corpus.row_facts import RowFacts
from corpus.row_identity import row_digest
from corpus.selection import Quotas, part_of, shares_of

_NAMES = {2: ("train", "test"), 3: ("train", "validation", "test")}
MOST_PARTS = 100


def _ratio(_: click.Context, __: click.Parameter, text: str | None) -> dict[str, float] | None:
    """`0.9,0.1` or `train=8,dev=1,test=1`: names and shares, whose sum may be anything."""
    if text is None:
        return None
    pieces = text.split(",")
    if not 2 <= len(pieces) <= MOST_PARTS:
        raise click.BadParameter(f"give 2 to {MOST_PARTS} parts, e.g. 0.9,0.1")
    shares: dict[str, float] = {}
    for usual, piece in zip(_part_names(len(pieces)), pieces, strict=True):
        name, equals, number = piece.rpartition("=")
        name = name.strip() if equals else usual
        try:
            share = float(number)
        except ValueError:
            share = 0
        if not 0 < share < 1e9:
            raise click.BadParameter(f"{piece!r} is no share; write 0.9,0.1 or train=0.9,test=0.1")
        if not name.replace("-", "").replace("_", "").isalnum() or name in shares:
            raise click.BadParameter(f"{name!r} cannot be the name of a part, or is there twice")
        shares[name] = share
    return shares


def _part_names(count: int) -> tuple[str, ...]:
    return _NAMES.get(count) or _equal_names(count)


def _equal_names(count: int) -> tuple[str, ...]:
    return tuple(f"part{number}" for number in range(1, count + 1))


@click.command()
@files_argument
@click.option("--ratio", metavar="R,R…", callback=_ratio, help="Shares: 0.9,0.1 or train=8,dev=1,test=1.")
@click.option("--parts", type=click.IntRange(2, MOST_PARTS), metavar="N", help="N parts of the same size.")
@click.option(
    "--seed",
    metavar="S",
    type=SEEDS,
    default=0,
    show_default=True,
    help="The same seed parts them the same way.",
)
@click.option(
    "--by",
    metavar="KEY",
    help="Rows with the same KEY (e.g. prompt) go to the same part. Shares are then about right.",
)
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    type=click.Path(),
    help="OUT.jsonl becomes OUT.train.jsonl and OUT.test.jsonl; else they lie beside FILE.",
)
def split(
    files: tuple[str, ...],
    ratio: dict[str, float] | None,
    parts: int | None,
    seed: int,
    by: str | None,
    output: str | None,
) -> None:
    """Part the rows of FILE... at random, each into exactly one file; within a file they stay in order.

    Without --by the files are read twice and the shares are exact. With it the part depends on the value and
    the seed alone: what was for testing stays for testing when rows are added.
    """
    if (ratio is None) == (parts is None):
        raise click.UsageError("give either --ratio or --parts")
    shares = ratio or dict.fromkeys(_equal_names(parts or 2), 1.0)
    if output is None and files[0] == "-":
        raise click.UsageError("rows of standard input need a name: give -o OUT")
    targets = {name: _named(output or files[0], name) for name in shares}
    counts = dict.fromkeys(shares, 0)
    with input_files(files) as inputs, ExitStack() as outputs:
        deal = _dealer(inputs, list(shares.values()), seed, by)
        writes = {name: outputs.enter_context(output_rows(path, inputs)) for name, path in targets.items()}
        names = list(shares)
        for _, row in inputs.rows("splitting"):
            name = names[deal(row)]
            writes[name](row.raw)
            counts[name] += 1
    for name, path in targets.items():
        tell(f"{path}: {counted(counts[name], 'row')}")
        if not counts[name]:
            tell(f"{name} got no row: there are too few values of {by}" if by else f"{name} got no row")


def _dealer(inputs: InputFiles, shares: list[float], seed: int, by: str | None) -> Callable[[Row], int]:
    """What says for each row, in order, which part it goes to."""
    if by is None:
        inputs.again()
        rows = sum(1 for _ in inputs.rows("counting"))
        quotas = Quotas(shares_of(rows, shares), Random(seed))
        return lambda _: quotas.deal()

    def by_key(row: Row) -> int:
        # a row without the key is its own kind
        key = row_digest(RowFacts(row.value), by) or row.raw
        return part_of(key, shares, seed)

    return by_key


def _named(path: str, part: str) -> str:
    """rows.jsonl.gz and train make rows.train.jsonl.gz."""
    folder, name = os.path.split(path)
    stem, *endings = name.split(".")
    kept = [each for each in endings[-2:] if each in ("jsonl", "json", "gz")]
    first = ".".join([stem, *endings[: len(endings) - len(kept)]])
    return str(Path(folder, ".".join([first, part, *(kept or ["jsonl"])])))
