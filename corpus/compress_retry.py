"""Failed rows tried again: each takes its place in the order of the rows."""

from __future__ import annotations

import shutil

import msgspec

from corpus.compress_files import AppendFile
from corpus.compress_journal import Journal
from corpus.compress_record import CompressedRow, FailedRow


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
        self._journal.write_next(size)
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
