"""What a compression has done so far, on disk, so that a killed run goes on and pays for nothing twice.

The journal has a header, the totals before each row is written, and every summary as it comes. A row is
written to OUT or to OUT.failed.jsonl, in order, and never to both: their lines together are the number of
rows dealt with.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from conversation.message import Usage
from corpus.compress_files import AppendFile, Outputs
from corpus.compress_row import CutFacts
from corpus.compress_summary import Summary
from corpus.writing import OutputError, replaced
from trajectories.row_facts import usage_dict

FailureKind = Literal["summary", "too_large", "unreadable"]


class Terms(Struct, frozen=True):
    """What a run must have in common with the one it goes on with. `files`: path and bytes of each input."""

    files: list[tuple[str, int]]
    budget: int
    tokenizer: str
    model: str
    summary_tokens: int
    keep_last: int
    turn_tokens: int


class Totals(Struct):
    """Tokens are of the rows in OUT. `usage` is what the model was paid for, also for rows that failed."""

    rows: int = 0
    untouched: int = 0
    compressed: int = 0
    too_large: int = 0
    failed: int = 0
    unreadable: int = 0
    tokens_before: int = 0
    tokens_after: int = 0
    turns_summarised: int = 0
    usage: Usage = Usage(cost=0.0)
    seconds: float = 0.0


NO_ROW = msgspec.Raw(b"null")


class FailedRow(Struct, frozen=True):
    """`place` counts the rows of all files from 0; `line` is that of `file`. `row` is as it was, null where
    the line could not be read."""

    place: int
    file: str
    line: int
    kind: FailureKind
    reason: str
    row: msgspec.Raw = NO_ROW


class CompressedRow(Struct, frozen=True):
    """What was done to a row; `place`, `file` and `line` as in FailedRow, `id` the row's own."""

    place: int
    file: str
    line: int
    id: str
    cuts: tuple[CutFacts, ...]


class _Header(Struct, frozen=True, tag="header", tag_field="type"):
    terms: Terms
    schema: int = 1


class _Progress(Struct, frozen=True, tag="progress", tag_field="type"):
    """`compressed` is how many bytes OUT.compressed.jsonl has."""

    totals: Totals
    compressed: int


class _Remembered(Struct, frozen=True, tag="summary", tag_field="type"):
    key: str
    summary: Summary


_Record = _Header | _Progress | _Remembered


class Journal:
    """One run's files. `totals.rows` rows were dealt with; the next one to read is the one after them."""

    def __init__(self, out: Path, terms: Terms, *, resume: bool) -> None:
        """Begins a run, or with `resume` goes on with the one that left its files (if one did).

        Raises:
            OutputError: they are those of other terms or of a running process, or cannot be written.
        """
        self.outputs = outputs = Outputs(out)
        self.terms = terms
        self.totals = Totals()
        self._summaries: dict[str, tuple[int, int]] = {}
        there = [path for path in outputs.kept if path.exists()]
        if there and not resume:
            raise OutputError(f"{there[0]} is there already; go on with --resume, or name another file")
        if there and not outputs.journal.exists():
            raise OutputError(f"{outputs.journal} is missing, so it is not known what {out} lacks")
        try:
            AppendFile(outputs.journal, alone=True).close()
            outputs.finish_swap()
            self._open()
        except OSError as error:
            raise OutputError(f"cannot write {error.filename}: {error.strerror}") from None
        if self._journal.size:
            self._go_on()
        else:
            self._journal.write(msgspec.json.encode(_Header(terms)))

    def keep(self, line: bytes, facts: CompressedRow | None = None) -> None:
        """The next row, for OUT. `totals` count it already. Raises OutputError, as all that write do."""
        if facts is not None:
            self._compressed.write(msgspec.json.encode(facts))
        self._note_progress()
        self._out.write(line)

    def put_aside(self, failed: FailedRow) -> None:
        self._note_progress()
        self._failed.write(msgspec.json.encode(failed))

    def remember(self, key: str, summary: Summary) -> None:
        line = msgspec.json.encode(_Remembered(key, summary))
        self._summaries[key] = (self._journal.size, len(line))
        self._journal.write(line)

    def recall(self, key: str) -> Summary | None:
        place = self._summaries.get(key)
        if place is None:
            return None
        return msgspec.json.decode(self._journal.read(*place), type=_Remembered).summary

    def failed_rows(self) -> Iterator[FailedRow]:
        with open(self.outputs.failed, "rb") as lines:
            for line in lines:
                yield msgspec.json.decode(line, type=FailedRow)

    def save_metrics(self, *, finished: bool) -> None:
        """OUT.metrics.json anew, in one step."""
        terms = {name: getattr(self.terms, name) for name in Terms.__struct_fields__}
        totals = {name: getattr(self.totals, name) for name in Totals.__struct_fields__}
        totals |= {"seconds": round(self.totals.seconds, 3), "usage": usage_dict(self.totals.usage)}
        metrics = msgspec.json.encode({"finished": finished, **totals, **terms})
        path = self.outputs.metrics
        with replaced(path) as file:
            file.write(msgspec.json.format(metrics, indent=2) + b"\n")

    def finish(self) -> None:
        """What the run no longer needs is thrown away: the summaries are in their rows."""
        self._next_journal(self._compressed.size)
        os.replace(self.outputs.next(self.outputs.journal), self.outputs.journal)

    def retry(self) -> Retry:
        return Retry(self)

    def taken_over(self) -> None:
        """After a retry: its files are in place, ours were replaced."""
        self.close()
        self._open()
        self._summaries.clear()

    def close(self) -> None:
        for file in (self._out, self._failed, self._compressed, self._journal):
            file.close()

    def _open(self) -> None:
        self._journal = AppendFile(self.outputs.journal, alone=True)
        self._out = AppendFile(self.outputs.out)
        self._failed = AppendFile(self.outputs.failed)
        self._compressed = AppendFile(self.outputs.compressed)

    def _note_progress(self) -> None:
        self._journal.write(msgspec.json.encode(_Progress(self.totals, self._compressed.size)))

    def _next_journal(self, compressed: int) -> None:
        path = self.outputs.next(self.outputs.journal)
        path.unlink(missing_ok=True)
        file = AppendFile(path)
        file.write(msgspec.json.encode(_Header(self.terms)))
        file.write(msgspec.json.encode(_Progress(self.totals, compressed)))
        file.close()

    def _go_on(self) -> None:
        done = self._out.end_at_a_line() + self._failed.end_at_a_line()
        self._journal.end_at_a_line()
        offset = compressed = 0
        with open(self.outputs.journal, "rb") as lines:
            for line in lines:
                record = msgspec.json.decode(line, type=_Record)
                if isinstance(record, _Header):
                    self._compare(record.terms)
                elif isinstance(record, _Remembered):
                    self._summaries[record.key] = (offset, len(line))
                elif record.totals.rows <= done:
                    self.totals, compressed = record.totals, record.compressed
                offset += len(line)
        if self.totals.rows != done:
            raise OutputError(f"{self.outputs.journal} and {self.outputs.out} do not belong together")
        self._compressed.cut(compressed)

    def _compare(self, terms: Terms) -> None:
        for name in Terms.__struct_fields__:
            was, now = getattr(terms, name), getattr(self.terms, name)
            if was != now:
                what = name.replace("_", " ")
                raise OutputError(
                    f"{self.outputs.out} was begun with other terms: {what} {was}, now {now}; "
                    "go on with the same, or name another file"
                )


class Retry:
    """Failed rows tried again: OUT and its companions are written anew beside the old ones."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        outputs = journal.outputs
        for path in outputs.kept:
            outputs.next(path).unlink(missing_ok=True)
        self._out = AppendFile(outputs.next(outputs.out))
        self._failed = AppendFile(outputs.next(outputs.failed))
        if outputs.compressed.exists():
            shutil.copy(outputs.compressed, outputs.next(outputs.compressed))
        self._compressed = AppendFile(outputs.next(outputs.compressed))
        self._old = open(outputs.out, "rb")  # noqa: SIM115 -- read on from row to row, closed in `close`
        self._place = 0

    def keep(self, place: int, line: bytes, facts: CompressedRow | None) -> None:
        self._copy(place)
        if facts is not None:
            self._compressed.write(msgspec.json.encode(facts))
        self._out.write(line)

    def put_aside(self, failed: FailedRow) -> None:
        self._copy(failed.place)
        self._failed.write(msgspec.json.encode(failed))

    def finish(self) -> None:
        """All was tried: the new files take the place of the old ones."""
        for line in self._old:
            self._out.write(line[:-1])
        size = self._compressed.size
        self.close()
        self._journal._next_journal(size)
        self._journal.outputs.swap()
        self._journal.taken_over()

    def close(self) -> None:
        for file in (self._out, self._failed, self._compressed, self._old):
            file.close()

    def _copy(self, place: int) -> None:
        """The rows that stood before the one at `place`."""
        while self._place < place:
            self._out.write(self._old.readline()[:-1])
            self._place += 1
        self._place += 1
