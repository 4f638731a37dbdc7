"""Reading a file of rows: line by line, in bounded memory, and nothing in it is fatal.

JSON lines, plain or compressed with gzip (told by the first bytes, not by the name), or one of our own
session files, which reads as its one training row. A line that is no row is named with its number and
reason, and the next line is read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Literal, cast

import msgspec
from msgspec import Struct

LONGEST_LINE = 64 * 1024 * 1024
"""Bytes; a longer line is counted and left out without being held."""

_LONGEST_HEADER = 1 << 24
_PIECE = 1 << 20
_STEP = 1 << 20
"""Bytes between two reports of progress."""

ProblemKind = Literal[
    "blank", "nul", "too_long", "not_utf8", "cut_off", "not_json", "not_object", "damaged", "session"
]


class Row(Struct, frozen=True, gc=False):
    """A good line. `offset` is where it begins, in bytes of the (unpacked) file; `raw` is without its end."""

    number: int
    offset: int
    value: dict[str, Any]
    raw: bytes


class Problem(Struct, frozen=True, gc=False):
    """A line that was left out, or (`damaged`) where reading had to end. `number` is 0 if it has no line."""

    number: int
    offset: int
    kind: ProblemKind
    reason: str


def read_rows(
    path: str | Path,
    *,
    limit: int = LONGEST_LINE,
    advance: Callable[[int], None] | None = None,
    sessions: bool = True,
) -> Iterator[Row | Problem]:
    """Every line of the file at `path` (`-` is standard input), as a row or as a problem.

    With `sessions` off, the records of a session file are given line by line as they stand there. `advance`
    is called from time to time with how many bytes of the file were read since its last call.

    Raises:
        OSError: the file cannot be opened, or the disk fails.
    """
    with ExitStack() as opened:
        stored: IO[bytes] = sys.stdin.buffer if path == "-" else opened.enter_context(open(path, "rb"))
        if foreign := _foreign(stored):
            yield Problem(0, 0, "damaged", foreign)
            return
        lines, packed = _unpacked(stored, opened)
        told = 0
        items = _read_lines(lines, path if sessions else None, packed, limit)
        if sessions:
            from corpus.session_trace import joined_traces

            items = joined_traces(items, limit)
        for item in items:
            yield item
            if advance is not None:
                position = _position(stored, item, packed)
                if position - told >= _STEP:
                    advance(position - told)
                    told = position


def stored_size(path: str | Path) -> int | None:
    """Bytes of the file, None where that cannot be known (standard input, a pipe, no such file)."""
    try:
        return os.path.getsize(path) if path != "-" and os.path.isfile(path) else None
    except OSError:
        return None


def decode_row(line: bytes, *, last: bool = False) -> dict[str, Any] | tuple[ProblemKind, str]:
    """The row in one line, or why it is none. `last`: nothing follows it, not even a line end."""
    try:
        value = msgspec.json.decode(line)
    except UnicodeDecodeError as error:
        return "not_utf8", f"not UTF-8 at byte {_bad_byte(line, error)} of the line"
    except RecursionError:
        return "not_json", "nested too deeply"
    except ValueError as error:
        return _why_no_json(line, last, error)
    if not isinstance(value, dict):
        return "not_object", f"not a JSON object but {_NAMES.get(type(value), 'something else')}"
    return value


_NAMES = {list: "a list", str: "a string", int: "a number", float: "a number", bool: "true or false"}
_NAMES[type(None)] = "null"


_UNPACK = "unpack it first (what gzip compressed is read as it is)"
_FOREIGN = {
    b"PAR1": "this is Parquet; give the rows as JSON lines (hermes export -o NAME.jsonl)",
    b"\x28\xb5\x2f\xfd": f"this is compressed with zstd: {_UNPACK}",
    b"\xfd7zX": f"this is compressed with xz: {_UNPACK}",
    b"BZh": f"this is compressed with bzip2: {_UNPACK}",
    b"PK\x03\x04": f"this is a zip archive: {_UNPACK}",
}
"""How files begin that people have rows in and that are not read, and what to do."""


def _foreign(stored: IO[bytes]) -> str:
    peek: Any = getattr(stored, "peek", None)
    beginning: bytes = peek(4)[:4] if peek is not None else b""
    return next((what for magic, what in _FOREIGN.items() if beginning.startswith(magic)), "")


def _unpacked(stored: IO[bytes], opened: ExitStack) -> tuple[IO[bytes], bool]:
    peek: Any = getattr(stored, "peek", None)
    if peek is None or peek(2)[:2] != b"\x1f\x8b":
        return stored, False
    import gzip

    return cast("IO[bytes]", opened.enter_context(gzip.GzipFile(fileobj=stored))), True


def _position(stored: IO[bytes], item: Row | Problem, packed: bool) -> int:
    if packed and stored.seekable():
        return stored.tell()
    return item.offset


def _read_lines(
    lines: IO[bytes], path: str | Path | None, packed: bool, limit: int
) -> Iterator[Row | Problem]:
    """`path` is where a session file may be read as a whole; without it its lines are given."""
    offset = number = 0
    while True:
        number += 1
        try:
            line = lines.readline(limit + 1)
            rest = _skip_line(lines) if len(line) > limit and not line.endswith(b"\n") else 0
        except Exception as error:
            if not packed or not _is_damage(error):
                raise
            yield Problem(number, offset, "damaged", f"the compressed file is damaged from here on ({error})")
            return
        if not line:
            return
        if rest or len(line.rstrip(b"\r\n")) > limit:
            size = (len(line) + rest) / 1e6
            reason = f"{size:,.1f} MB long; lines over {limit / 1e6:,.0f} MB are left out"
            yield Problem(number, offset, "too_long", reason)
        else:
            item = _item(number, offset, line)
            if path and number == 1 and isinstance(item, Row) and is_session_header(item.value):
                yield from _session_rows(path, packed)
                return
            yield item
        offset += len(line) + rest


def _is_damage(error: Exception) -> bool:
    import zlib

    return isinstance(error, EOFError | zlib.error) or (isinstance(error, OSError) and error.errno is None)


def _skip_line(lines: IO[bytes]) -> int:
    """Reads on to the end of a line that is too long. Returns its bytes."""
    skipped = 0
    while piece := lines.readline(_PIECE):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


def _item(number: int, offset: int, line: bytes) -> Row | Problem:
    bare = line.removeprefix(b"\xef\xbb\xbf").strip(b"\0 \t\r\n")
    if not bare:
        if b"\0" in line:
            return Problem(number, offset, "nul", "NUL bytes alone")
        return Problem(number, offset, "blank", "a blank line")
    found = decode_row(bare, last=not line.endswith(b"\n"))
    if isinstance(found, tuple):
        return Problem(number, offset, *found)
    return Row(number, offset, found, bare)


def _bad_byte(line: bytes, error: UnicodeDecodeError) -> int:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as whole:  # the first error counts from the beginning of its string
        error = whole
    return error.start + 1


def _why_no_json(line: bytes, last: bool, error: ValueError) -> tuple[ProblemKind, str]:
    if b"\0" in line:
        return "nul", "NUL bytes in the line"
    import json

    try:
        json.loads(line)
    except UnicodeDecodeError as wrong:
        return "not_utf8", f"not UTF-8 at byte {wrong.start + 1} of the line"
    except json.JSONDecodeError as wrong:
        if last:
            return "cut_off", "a last line that was not written to its end"
        if wrong.pos >= len(line.decode("utf-8", "replace")) or "Unterminated string" in wrong.msg:
            return "cut_off", "the line ends in the middle of its JSON"
        return "not_json", f"not JSON: {wrong.msg} at character {wrong.pos + 1}"
    except (ValueError, RecursionError):
        return "not_json", f"not JSON: {error}"
    if b"\\u" in line and "Number" not in str(error):
        return "not_json", "half of a surrogate pair in an escape, which no UTF-8 text can hold"
    return "not_json", "a number that JSON does not know (NaN, Infinity or beyond 1e308)"


def is_session_header(row: Mapping[str, Any]) -> bool:
    """Whether a first line is the header of one of our session files; others have a `harness` there."""
    return row.get("type") == "session" and "schema" in row and "harness" not in row


def is_session_file(path: str | Path) -> bool:
    """By its first line. What cannot be read is none; a pipe, which can be read once, is not looked into."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            header = decode_row(file.readline(_LONGEST_HEADER).removeprefix(b"\xef\xbb\xbf"))
    except OSError:
        return False
    return isinstance(header, dict) and is_session_header(header)


def _session_rows(path: str | Path, packed: bool) -> Iterator[Row | Problem]:
    from trajectories.openai_messages import openai_row
    from trajectories.session_load import SessionError, load_session
    from trajectories.sharegpt import sharegpt_row

    if path == "-" or packed or not os.path.isfile(path):
        reason = "a session file is read whole: give it by its path, not compressed and not through a pipe"
        yield Problem(1, 0, "session", reason)
        return
    try:
        session = load_session(Path(path))
    except SessionError as error:
        yield Problem(1, 0, "session", str(error))
        return
    for problem in session.problems:
        yield Problem(0, 0, "session", problem)
    value = sharegpt_row(session) or openai_row(session)
    raw = msgspec.json.encode(value)
    yield Row(1, 0, msgspec.json.decode(raw), raw)
