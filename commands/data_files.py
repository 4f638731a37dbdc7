"""What the commands of `hermes data` share: reading FILE…, naming what is left out, writing -o OUT."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, Any, TypeVar

import click

from corpus.progress import reading_bar
from corpus.reading import Problem, Row, read_rows
from corpus.row_filter import RowFilter
from corpus.writing import OutputError, replaced
from safety.terminal_text import neutralize

NAMED = 5
"""Lines of one file that are left out and named; the others are counted."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


def files_argument(command: _Command) -> _Command:
    return click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())(command)


def output_option(command: _Command) -> _Command:
    text = "Where the rows go; else standard output."
    return click.option("-o", "--output", metavar="OUT", default="-", type=click.Path(), help=text)(command)


class InputFiles:
    """The FILE… of a command. Standard input and pipes can be read `again`, from a copy on the disk."""

    def __init__(self, names: Sequence[str], copies: ExitStack) -> None:
        self.names = list(names)
        self._copies = copies
        self._paths: dict[str, str] = {}
        self._told: set[str] = set()
        self.left_out = 0

    def items(self, what: str, *, sessions: bool = True) -> Iterator[tuple[str, Row | Problem]]:
        """Each row and each problem with the name of its file. Problems are not named: see `rows`."""
        paths = [self._paths.get(name, name) for name in self.names]
        with reading_bar(what, paths) as advance:
            for name, path in zip(self.names, paths, strict=True):
                try:
                    for item in read_rows(path, advance=advance, sessions=sessions):
                        yield name, item
                except OSError as error:
                    if error.filename not in (None, path):
                        raise
                    raise click.UsageError(
                        neutralize(f"cannot read {name}: {error.strerror or error}")
                    ) from None

    def rows(self, what: str, *, sessions: bool = True) -> Iterator[tuple[str, Row]]:
        """Each row with the name of its file. The first time, what is left out is named on standard error."""
        problems: dict[str, int] = {}
        for name, item in self.items(what, sessions=sessions):
            if isinstance(item, Row):
                yield name, item
            elif item.kind != "blank" and name not in self._told:
                problems[name] = problems.get(name, 0) + 1
                if problems[name] <= NAMED:
                    tell(f"{place(name, item.number)}: left out: {item.reason}")
        for name, count in problems.items():
            if count > NAMED:
                tell(f"{name}: and {count - NAMED} more lines left out")
        self.left_out += sum(problems.values())
        self._told.update(self.names)

    def again(self) -> None:
        """From here on every file can be read more than once."""
        for name in self.names:
            if name in self._paths or (name != "-" and os.path.isfile(name)):
                continue
            folder = self._copies.enter_context(tempfile.TemporaryDirectory(prefix="hermes-data-"))
            self._paths[name] = os.path.join(folder, "rows")
            try:
                with open(self._paths[name], "xb") as copy, ExitStack() as opened:
                    source = sys.stdin.buffer if name == "-" else opened.enter_context(open(name, "rb"))
                    shutil.copyfileobj(source, copy)
            except OSError as error:
                raise click.UsageError(neutralize(f"cannot read {name}: {error.strerror}")) from None


@contextmanager
def input_files(names: Sequence[str]) -> Iterator[InputFiles]:
    """Errors of reading and writing in the block become what a person can read.

    Raises:
        click.ClickException: a file is no file, is there twice, cannot be read or cannot be written.
    """
    for name in names:
        if names.count(name) > 1:
            raise click.UsageError(neutralize(f"{name} is there twice"))
        if name != "-" and os.path.isdir(name):
            raise click.UsageError(neutralize(f"{name} is a folder; name {_files_of(name)}"))
        if name != "-" and not os.path.exists(name):
            raise click.UsageError(neutralize(f"cannot read {name}: no such file"))
    with ExitStack() as copies:
        try:
            yield InputFiles(names, copies)
        except OutputError as error:
            raise click.ClickException(neutralize(str(error))) from None


def _files_of(folder: str) -> str:
    rows = os.path.join(folder, "trajectories.jsonl")
    return f"the file in it, {rows}" if os.path.exists(rows) else "the files in it"


@contextmanager
def output_rows(output: str, files: InputFiles) -> Iterator[Callable[[bytes], None]]:
    """Gives what writes one row, and takes its line end. Raises OutputError."""
    with replaced(output, files.names) as file:
        yield lambda raw: _write_line(file, raw)


def _write_line(file: IO[bytes], raw: bytes) -> None:
    file.write(raw)
    file.write(b"\n")


def tell(text: str) -> None:
    click.echo(neutralize(text), err=True)


def tell_unknown(chosen: RowFilter, rows: int) -> None:
    """Says which keys some rows did not have."""
    for key, count in chosen.unknown.items():
        some = "none of the rows has" if count == rows else f"{counted(count, 'row')} without"
        tell(f"{key}: {some} this key")


def counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def place(name: str, line: int) -> str:
    return f"{name}:{line}" if line else name
