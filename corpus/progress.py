"""How far reading has come: one bar over the bytes of all files, on a terminal alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from corpus.reading import stored_size


@contextmanager
def reading_bar(what: str, paths: Sequence[str | Path]) -> Iterator[Callable[[int], None]]:
    """Shows a bar named `what` on standard error while it is open; give it the bytes that were read.

    Where standard error is no terminal it shows nothing. Without a known size it counts what was read.
    """
    if not sys.stderr.isatty():
        yield _nothing
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    sizes = [stored_size(path) for path in paths]
    known = [size for size in sizes if size is not None]
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=sum(known) if len(known) == len(sizes) else None)
        yield lambda count: progress.advance(task, count)


def _nothing(_: int) -> None:
    """Nobody watches."""
