"""A compression from beginning to end: rows are read, worked on many at once, written in their order."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from corpus.compress_journal import Journal
from corpus.compress_plan import Limits
from corpus.compress_record import CompressedRow, FailedRow, Totals
from corpus.compress_retry import Retry
from corpus.compress_row import RowCompressor, RowResult
from corpus.compress_summary import Said, Summariser, SummariserUnusable, Summary, SummaryFailed
from corpus.reading import Problem, Row, read_rows
from corpus.row_facts import RowFacts
from corpus.tokenizer import Tokenizer

HELD_BYTES = 256 * 1024 * 1024
"""Of rows that are worked on or wait for an earlier one; no further row is read meanwhile."""

T = TypeVar("T")
R = TypeVar("R")


class Stopped(Exception):
    """The run is to end; this row is for the next one."""


class _Item(Struct, frozen=True):
    """A row, or a line that is none, with its place among the rows of all files, from 0."""

    place: int
    file: str
    found: Row | Problem


class CompressRun:
    """`advance` is called with the bytes that were read, `tell` with the totals after each row. `stop` may be
    called from a signal handler."""

    def __init__(
        self,
        files: Sequence[str],
        journal: Journal,
        tokenizer: Tokenizer,
        summariser: Summariser,
        limits: Limits,
        *,
        concurrency: int,
        advance: Callable[[int], None] | None = None,
        tell: Callable[[Totals], None] = lambda totals: None,
    ) -> None:
        self.stopped = False
        self._tell = tell
        self._files = files
        self._journal = journal
        self._summariser = summariser
        self._places = asyncio.Semaphore(concurrency)
        self._window = 4 * concurrency
        self._advance = advance
        self._compressor = RowCompressor(tokenizer, self, limits)
        self.name = summariser.name
        self._unusable: SummariserUnusable | None = None
        self._clock = time.monotonic() - journal.totals.seconds

    @property
    def totals(self) -> Totals:
        return self._journal.totals

    def stop(self) -> None:
        """No further request is made; what is under way comes to its end and is kept."""
        self.stopped = True

    async def run(self) -> None:
        """First the rows that failed before, then those that were not read yet.

        Raises:
            SummariserUnusable: and all that was done so far is kept; a resume goes on from there.
            OSError, OutputError: a file cannot be read or written; the same holds.
        """
        finished = False
        try:
            if self.totals.failed:
                await self._try_again()
            if not self.stopped:
                await self._go_through()
            if self._unusable is not None:
                raise self._unusable
            finished = not self.stopped
            if finished and not self.totals.failed:
                self._journal.finish()
        finally:
            self.totals.seconds = time.monotonic() - self._clock
            self._journal.save_metrics(finished=finished)
            self._journal.close()

    async def summarise(self, said: Sequence[Said], tokens: int) -> Summary:
        """A `Summariser` over that of the run: what was paid for once is remembered on disk."""
        key = hashlib.sha256(msgspec.json.encode([self.name, tokens, said])).hexdigest()
        known = self._journal.recall(key)
        if known is not None:
            return known
        async with self._places:
            if self.stopped:
                raise Stopped
            try:
                summary = await self._summariser.summarise(said, tokens)
            except SummariserUnusable as error:
                self._unusable = self._unusable or error
                self.stopped = True
                raise Stopped from None
        self._journal.remember(key, summary)
        return summary

    async def _go_through(self) -> None:
        results = self._in_order(self._items(), self._work, _size)
        async with aclosing(results):
            async for item, result in results:
                self._write(item, result)
                self._tell(self.totals)

    def _items(self) -> Iterator[_Item]:
        place, done = 0, self.totals.rows
        for file in self._files:
            for found in read_rows(file, advance=self._advance):
                if isinstance(found, Problem) and found.kind == "blank":
                    continue
                if place >= done:
                    yield _Item(place, file, found)
                place += 1

    async def _work(self, item: _Item) -> RowResult | str:
        """The row compressed, or why no summary was made."""
        if isinstance(item.found, Problem):
            return item.found.reason
        try:
            return await self._compressor.compress(item.found)
        except SummaryFailed as error:
            return str(error)

    def _write(self, item: _Item, result: RowResult | str) -> None:
        totals = self.totals
        totals.rows += 1
        totals.seconds = time.monotonic() - self._clock
        if isinstance(item.found, Problem):
            totals.unreadable += 1
            aside = FailedRow(item.place, item.file, item.found.number, "unreadable", item.found.reason)
        elif isinstance(result, str):
            totals.failed += 1
            raw = msgspec.Raw(item.found.raw)
            aside = FailedRow(item.place, item.file, item.found.number, "summary", result, raw)
        else:
            _count(totals, result)
            if result.fate != "too_large":
                facts = _facts(result, item.place, item.file, item.found.number, item.found.value)
                self._journal.keep(result.line, facts)
                return
            raw = msgspec.Raw(item.found.raw)
            aside = FailedRow(item.place, item.file, item.found.number, "too_large", result.reason, raw)
        self._journal.put_aside(aside)

    async def _try_again(self) -> None:
        retry = Retry(self._journal)
        totals = msgspec.structs.replace(self.totals)
        results = self._in_order(
            self._journal.failed_rows(), self._work_again, lambda failed: len(bytes(failed.row))
        )
        try:
            async with aclosing(results):
                async for failed, result in results:
                    if isinstance(result, RowResult):
                        totals.failed -= 1
                        _count(totals, result)
                    if isinstance(result, RowResult) and result.fate != "too_large":
                        value = msgspec.json.decode(failed.row)
                        facts = _facts(result, failed.place, failed.file, failed.line, value)
                        retry.keep(failed.place, result.line, facts)
                    else:
                        retry.put_aside(_still(failed, result))
                    self._tell(totals)
        except BaseException:
            retry.close()
            raise
        if self.stopped:
            retry.close()
            return
        self._journal.totals = totals
        retry.finish()

    async def _work_again(self, failed: FailedRow) -> RowResult | str | None:
        """As `_work`; None for rows that are aside for good."""
        if failed.kind != "summary":
            return None
        raw = bytes(failed.row)
        row = Row(failed.line, 0, msgspec.json.decode(raw), raw)
        return await self._work(_Item(failed.place, failed.file, row))

    async def _in_order(
        self,
        items: Iterable[T],
        work: Callable[[T], Awaitable[R]],
        size: Callable[[T], int],
    ) -> AsyncGenerator[tuple[T, R], None]:
        """Each item with its result, in the order of the items; some are worked on ahead. Ends early where
        the run was stopped, when what is under way has ended."""
        waiting: deque[tuple[T, asyncio.Task[R]]] = deque()
        held = 0
        try:
            for item in items:
                waiting.append((item, asyncio.ensure_future(work(item))))
                held += size(item)
                while waiting and (len(waiting) >= self._window or held > HELD_BYTES or waiting[0][1].done()):
                    first, task = waiting.popleft()
                    held -= size(first)
                    yield first, await task
                if self.stopped:
                    break
                await asyncio.sleep(0)
            while waiting:
                first, task = waiting.popleft()
                yield first, await task
        except Stopped:
            await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)
        finally:
            for _, task in waiting:
                task.cancel()
            await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)


def _count(totals: Totals, result: RowResult) -> None:
    totals.usage += result.usage
    if result.fate == "too_large":
        totals.too_large += 1
        return
    totals.compressed += result.fate == "compressed"
    totals.untouched += result.fate == "untouched"
    totals.turns_summarised += result.cuts[0].turns if result.cuts else 0
    totals.tokens_before += result.before
    totals.tokens_after += result.after


def _facts(
    result: RowResult, place: int, file: str, line: int, row: Mapping[str, Any]
) -> CompressedRow | None:
    return CompressedRow(place, file, line, RowFacts(row).id, result.cuts) if result.cuts else None


def _still(failed: FailedRow, result: RowResult | str | None) -> FailedRow:
    if isinstance(result, RowResult):
        return msgspec.structs.replace(failed, kind="too_large", reason=result.reason)
    return failed if result is None else msgspec.structs.replace(failed, reason=result)


def _size(item: _Item) -> int:
    return len(item.found.raw) if isinstance(item.found, Row) else 0
