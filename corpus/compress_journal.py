"""What a compression has done so far, on disk, so that a killed run goes on and pays for nothing twice.

The journal has a header, the totals before each row is written, and every summary as it comes. A row is
written to OUT or to OUT.failed.jsonl, in order, and never to both: their lines together are the number of
rows dealt with.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from corpus.compress_files import AppendFile, Outputs
from corpus.compress_record import (
    CompressedRow,
    FailedRow,
    Header,
    Progress,
    Record,
    Remembered,
    Terms,
    Totals,
)
from corpus.compress_summary import Summary
from corpus.writing import OutputError, replaced
from trajectories.row_facts import usage_dict


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
            self._journal.write(msgspec.json.encode(Header(terms)))

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
        line = msgspec.json.encode(Remembered(key, summary))
        self._summaries[key] = (self._journal.size, len(line))
        self._journal.write(line)

    def recall(self, key: str) -> Summary | None:
        place = self._summaries.get(key)
        if place is None:
            return None
        return msgspec.json.decode(self._journal.read(*place), type=Remembered).summary

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
        self.write_next(self._compressed.size)
        os.replace(self.outputs.next(self.outputs.journal), self.outputs.journal)

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
        self._journal.write(msgspec.json.encode(Progress(self.totals, self._compressed.size)))

    def write_next(self, compressed: int) -> None:
        """The journal to come: the totals alone, with OUT.compressed.jsonl of that many bytes."""
        path = self.outputs.next(self.outputs.journal)
        path.unlink(missing_ok=True)
        file = AppendFile(path)
        file.write(msgspec.json.encode(Header(self.terms)))
        file.write(msgspec.json.encode(Progress(self.totals, compressed)))
        file.close()

    def _go_on(self) -> None:
        done = self._out.end_at_a_line() + self._failed.end_at_a_line()
        self._journal.end_at_a_line()
        offset = compressed = 0
        with open(self.outputs.journal, "rb") as lines:
            for line in lines:
                record = msgspec.json.decode(line, type=Record)
                if isinstance(record, Header):
                    self._compare(record.terms)
                elif isinstance(record, Remembered):
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
