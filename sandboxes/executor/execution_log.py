"""What was executed. An id that was seen is not executed again: who lost the connection may ask anew."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Any

REMEMBERED = 100_000
"""Ids."""
KEPT_BYTES = 32 * 1024 * 1024
"""Of answers; the oldest go first, their ids stay."""


class Refused(Exception):
    """It cannot be answered. `status` is HTTP's, `code` for programs, `str` for people."""

    def __init__(self, status: int, code: str, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.code = code


class _Entry:
    def __init__(self, digest: bytes) -> None:
        self.digest = digest
        self.task: asyncio.Task[dict[str, Any]] | None = None
        self.size = 0


class ExecutionLog:
    def __init__(self) -> None:
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._answered: deque[_Entry] = deque()
        self._kept = 0

    async def once(
        self, id: str, request: object, execute: Callable[[], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any]:
        """The answer to `request`: of `execute()` the first time, the same again each other time.

        It goes on when the caller is cancelled; `cancel` ends it.
        """
        digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).digest()
        entry = self._entries.get(id)
        if entry is None:
            entry = self._entries[id] = _Entry(digest)
            entry.task = asyncio.ensure_future(self._run(entry, execute))
            # Its error is for those who wait; there may be none.
            entry.task.add_done_callback(lambda task: task.cancelled() or task.exception())
            while len(self._entries) > REMEMBERED:
                self._forget(self._entries.popitem(last=False)[1])
        if entry.digest != digest:
            raise Refused(409, "id_taken", f"execution {id} was another one; each needs an id of its own")
        if entry.task is None:
            raise Refused(410, "answer_gone", f"execution {id} has ended; its answer is no longer kept")
        try:
            return await asyncio.shield(entry.task)
        except asyncio.CancelledError:
            if entry.task.cancelled():
                raise Refused(409, "cancelled", f"execution {id} was cancelled") from None
            raise

    async def cancel(self, id: str) -> bool:
        """End it; False if there is nothing to end. When this returns it has ended."""
        entry = self._entries.get(id)
        if entry is None or entry.task is None or entry.task.done():
            return False
        entry.task.cancel()
        await asyncio.wait([entry.task])
        return True

    async def _run(self, entry: _Entry, execute: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        answer = await execute()
        entry.size = len(answer.get("output", ""))
        self._kept += entry.size
        while self._answered and self._kept > KEPT_BYTES:
            self._forget(self._answered.popleft())
        self._answered.append(entry)
        return answer

    def _forget(self, entry: _Entry) -> None:
        self._kept -= entry.size
        entry.size = 0
        entry.task = None
