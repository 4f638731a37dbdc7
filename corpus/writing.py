"""Writing a file of rows: it appears whole, in one step, and never in place of what it was made from."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast


class OutputError(Exception):
    """The output cannot be written; the text says why in one line."""


@contextmanager
def replaced(path: str | Path, inputs: Iterable[str | Path] = ()) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when the block ends, readable by its owner alone (0600).

    Its folder is made where there is none. If the block fails, what was at `path` stays as it was. A name
    that ends in `.gz` is compressed. `-`, a pipe and a device are written to as they are.

    Raises:
        OutputError: it cannot be written, or is one of `inputs`.
    """
    refuse_inputs(path, inputs)
    if path == "-":
        out = sys.stdout.buffer
        yield cast(IO[bytes], _ShownRows(out)) if sys.stdout.isatty() else out
        out.flush()
        return
    special = os.path.exists(path) and not os.path.isfile(path)
    # what /dev/stdout leads to is no name where it is a pipe
    target = Path(path) if special else Path(os.path.realpath(path))
    draft = target if special else target.with_name(f".{target.name}.{os.urandom(8).hex()}.part")
    _make_folder(target)
    try:
        # a name that nobody can prepare, in a folder that others may write to as well
        flags = os.O_WRONLY if special else os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(draft, flags, 0o600), "wb") as file:
            try:
                with _packed(file, target.suffix == ".gz" and not special) as rows:
                    yield rows
                if not special:
                    file.flush()
                    os.fsync(file.fileno())
                    os.replace(draft, target)
            except BaseException:
                if not special:
                    draft.unlink(missing_ok=True)
                raise
    except OSError as error:
        if isinstance(error, BrokenPipeError) or error.filename not in (None, str(draft), str(target)):
            raise
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None


class _ShownRows:
    """Rows on a terminal: JSON still, with what a terminal would obey escaped."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    def write(self, line: bytes) -> int:
        from safety.terminal_text import escape_json

        return self._out.write(escape_json(line.decode("utf-8", "replace")).encode("utf-8", "replace"))

    def writelines(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._out.flush()


def _make_folder(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {target.parent}: {error.strerror or error}") from None


def refuse_inputs(path: str | Path, inputs: Iterable[str | Path]) -> None:
    """Raises OutputError if `path` is one of `inputs`, by whatever name."""
    if path == "-" or not os.path.isfile(path):
        return
    for each in inputs:
        if each != "-" and os.path.exists(each) and os.path.samefile(path, each):
            raise OutputError(f"{path} is read and cannot be written at the same time; name another file")


@contextmanager
def _packed(file: IO[bytes], packed: bool) -> Iterator[IO[bytes]]:
    if not packed:
        yield file
        return
    import gzip

    # without a name and a time in it, so that the same rows make the same file
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as rows:
        yield cast("IO[bytes]", rows)
