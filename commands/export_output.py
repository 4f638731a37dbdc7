"""Where exported sessions go: a file of rows, a Parquet table, a file for each session, or the screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, NamedTuple

import click
import msgspec

from configuration.home import make_private_folder
from corpus.reading import is_session_file
from corpus.writing import OutputError, replaced
from trajectories.columns import write_parquet
from trajectories.formats.registry import FORMATS, Format
from trajectories.row_line import row_line


class Export(NamedTuple):
    """What one session is written as; `rows` are never empty."""

    id: str
    rows: list[dict[str, Any]]


class Written(NamedTuple):
    """How many sessions there were, and the files that were written beside the output."""

    sessions: int
    side_files: list[Path]


def write_export(exports: Iterable[Export], kind: Format, out: str, target: str) -> Written:
    """Write to the file or folder `out`, or to standard output for `-`. Each file appears whole, in one step.

    Raises:
        click.UsageError: `out` is not for sessions of that format.
        corpus.writing.OutputError: it cannot be written.
        trajectories.columns.MissingLibrary: Parquet needs a library that is not there.
        trajectories.formats.llamafactory.SideFileError: a file that is there cannot be added to.
    """
    path = Path(out)
    beside = out != "-" and (path.is_file() or not path.exists())
    sides = kind.side_files(path, target) if kind.side_files and beside else {}
    if path.suffix == ".parquet":
        count = _write_table(exports, kind, path)
    elif out == "-" or kind.unit == "rows" or path.suffix in (".json", ".jsonl"):
        count = _write_file(exports, kind, out)
    else:
        count = _write_folder(exports, kind, path)
    for side, text in sides.items():
        with replaced(side) as file:
            file.write(text.encode())
    return Written(count, list(sides))


def is_output(name: str) -> bool:
    """Whether an argument without an option is meant as the file to write."""
    return name == "-" or "/" in name or name.endswith((".json", ".jsonl", ".parquet"))


def _write_table(exports: Iterable[Export], kind: Format, path: Path) -> int:
    if kind.columns is None:
        able = ", ".join(each.name for each in FORMATS.values() if each.columns is not None)
        raise click.UsageError(f"{kind.name} is no table, so it has no Parquet form; these have: {able}")
    rows = (row for export in exports for row in export.rows)
    with _output(path) as file:
        return write_parquet(rows, kind.columns, file)


def _write_file(exports: Iterable[Export], kind: Format, out: str) -> int:
    """A line for each row. A file of lines, and a .json file of documents, hold one session alone."""
    document = kind.unit == "document" and out.endswith(".json")
    count = 0
    with _output(out) as file:
        for export in exports:
            if count and (document or kind.unit == "lines"):
                others = "a folder, or a name that ends in .jsonl" if document else "a folder"
                raise click.UsageError(
                    f"{kind.name} has a file for each session: for several give -o {others}"
                )
            file.writelines([_document(export.rows[0])] if document else _lines(export.rows))
            count += 1
    return count


def _write_folder(exports: Iterable[Export], kind: Format, folder: Path) -> int:
    count = 0
    for export in exports:
        _make_folder(folder)
        document = kind.unit == "document"
        with _output(folder / f"{export.id}{'.json' if document else '.jsonl'}") as file:
            file.writelines([_document(export.rows[0])] if document else _lines(export.rows))
        count += 1
    return count


def _output(path: str | Path) -> AbstractContextManager[IO[bytes]]:
    if path != "-" and is_session_file(path):
        raise OutputError(f"{path} is a session, and sessions are not written over; name another file")
    return replaced(path)


def _make_folder(folder: Path) -> None:
    try:
        make_private_folder(folder)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from None


def _document(value: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _lines(rows: list[dict[str, Any]]) -> Iterator[bytes]:
    return map(row_line, rows)
