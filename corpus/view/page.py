"""Writes the page. Rows go through it one by one, so that its memory does not grow with the file."""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import msgspec
from msgspec import Struct

from corpus.reading import Problem
from corpus.view.blocks import BlockWriter, Packer
from corpus.view.row_entry import RowEntry, row_entry
from corpus.view.shown_rows import shown_rows
from corpus.writing import replaced
from safety.terminal_text import neutralize

GENERATOR = b'<meta name="generator" content="hermes data view">'
"""Stands in the first thousand bytes of every page: such a file may be replaced without a word."""

SCRIPTS = (
    "visible", "store", "layouts", "session_layout", "found", "values", "turn_view", "facts_view", "raw_view",
    "list_view", "search", "filters", "panes", "keys", "main",
)  # fmt: skip
STYLES = ("theme", "frame", "list", "talk", "raw")

MOST_ROWS = 200_000
MOST_BYTES = 700_000_000
"""Of packed rows. A browser shows a page of this size; a larger one may end it."""

FULL = (
    "from here on rows are left out: the page is full with {rows:,} rows. Look at a part of the file: "
    "hermes data sample, hermes data filter"
)

PROBLEMS_SHOWN = 1000

POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing is loaded and no script runs but the page's own; not even that one may write markup."""


class ShownFile(Struct, frozen=True):
    """A file to show, under a name. `session`: it is one, even if its header is damaged."""

    path: str | Path
    name: str
    session: bool = False


class PageProblem(Struct, frozen=True):
    """A line that is not shown. `line` is 0 where the reason names it, or no single line is meant."""

    file: int
    line: int
    reason: str


class PageResult(Struct):
    """What the page holds; `problems` counts all, also those beyond the ones it lists."""

    rows: int = 0
    problems: int = 0


def write_page(
    files: Sequence[ShownFile], target: str | Path, advance: Callable[[int], None] | None = None
) -> PageResult:
    """Writes one page with the rows of all `files` to `target`, in one step, mode 0600.

    Raises:
        OSError: a file cannot be read.
        OutputError: the page cannot be written, or would replace one of the files.
    """
    before, after = _frame(_title(files))
    beside = _room_for_parts(target)
    with (
        replaced(target, [file.path for file in files]) as page,
        TemporaryFile(dir=beside) as index,
        TemporaryFile(dir=beside) as blocks,
    ):
        result = _write_rows(files, index, blocks, advance)
        page.write(before.encode())
        _append(index, page)
        page.write(after.encode())
        _append(blocks, page)
        page.write(b"<i hidden></i>\n</body>\n</html>\n")
    return result


def _write_rows(
    files: Sequence[ShownFile],
    index_file: IO[bytes],
    blocks_file: IO[bytes],
    advance: Callable[[int], None] | None,
) -> PageResult:
    result = PageResult()
    problems: list[PageProblem] = []
    blocks = BlockWriter(blocks_file)
    index = Packer(index_file)
    index.add(b'{"files":%b,"rows":[' % msgspec.json.encode([neutralize(file.name) for file in files]))

    def note(problem: PageProblem) -> None:
        result.problems += 1
        if len(problems) < PROBLEMS_SHOWN:
            problems.append(problem)

    for number, file in enumerate(files):
        for item in shown_rows(file.path, session=file.session, advance=advance):
            if isinstance(item, Problem):
                note(PageProblem(number, item.number, item.reason))
                continue
            if result.rows >= MOST_ROWS or blocks_file.tell() >= MOST_BYTES:
                note(PageProblem(number, item.line, FULL.format(rows=result.rows)))
                break
            block, place = blocks.add(item.raw)
            at = RowEntry(block=block, place=place, file=number, line=item.line, size=len(item.raw))
            index.add((b",\n" if result.rows else b"") + msgspec.json.encode(row_entry(item.value, at)))
            result.rows += 1
    blocks.close()
    index.add(b'],"problems":%b,"problem_count":%d}' % (msgspec.json.encode(problems), result.problems))
    index.close()
    return result


def _frame(title: str) -> tuple[str, str]:
    """The page before its index, and what stands between that and the rows."""
    style = "\n".join(_part(f"{name}.css") for name in STYLES)
    script = "(() => {\n'use strict';\n" + "\n".join(_part(f"{name}.js") for name in SCRIPTS) + "})();\n"
    parts = {
        "policy": POLICY.format(script=_digest(script), style=_digest(style)),
        "title": html.escape(title),
        "style": style,
        "script": script,
    }
    before, after = (
        re.sub(r"\{(\w+)\}", lambda match: parts[match[1]], half)
        for half in _part("page.html").split("{index}")
    )
    return before, after


def _room_for_parts(target: str | Path) -> str | None:
    """The folder of the page, where there has to be room for it; None, the usual place, for a pipe."""
    special = target == "-" or (os.path.exists(target) and not os.path.isfile(target))
    return None if special else os.path.dirname(os.path.realpath(target))


def _part(name: str) -> str:
    return (Path(__file__).parent / "page" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """As a content security policy names what is inside an element."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _title(files: Sequence[ShownFile]) -> str:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return neutralize(files[0].name).replace("\n", " ") + more


def _append(source: IO[bytes], target: IO[bytes]) -> None:
    source.seek(0)
    shutil.copyfileobj(source, target, 1 << 20)
