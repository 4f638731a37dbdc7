"""How far a compression has come: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from corpus.compress_record import Totals

SECONDS = 30.0
"""Between two lines where there is no terminal."""


class Progress(NamedTuple):
    """`advance` takes bytes that were read, `tell` the totals after each row."""

    advance: Callable[[int], None]
    tell: Callable[[Totals], None]


@contextmanager
def compress_progress(files: Sequence[str]) -> Iterator[Progress]:
    """Shows it on standard error while the block runs."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from corpus.reading import stored_size

    sizes = [stored_size(file) for file in files]
    known = [size for size in sizes if size is not None]
    columns = (TextColumn("compressing"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Bar(*columns, TextColumn("{task.fields[so_far]}"), console=console, transient=True) as bar:
        task = bar.add_task("", total=sum(known) if len(known) == len(sizes) else None, so_far="")
        yield Progress(
            lambda count: bar.advance(task, count),
            lambda totals: bar.update(task, so_far=so_far(totals)),
        )


def so_far(totals: Totals) -> str:
    """In a few words, e.g. `1,204 rows, 310 compressed, 2 failed, $0.12`."""
    parts = [f"{totals.rows:,} rows", f"{totals.compressed:,} compressed"]
    aside = {"too large": totals.too_large, "failed": totals.failed, "unreadable": totals.unreadable}
    parts += [f"{count:,} {what}" for what, count in aside.items() if count]
    if totals.usage.cost:
        parts.append(f"${totals.usage.cost:,.2f}")
    return ", ".join(parts)


def _lines() -> Progress:
    last = time.monotonic()

    def tell(totals: Totals) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS:
            last = now
            click.echo(f"hermes: {so_far(totals)}", err=True)

    return Progress(lambda _: None, tell)
