"""Where a pool's sandboxes come from. A new kind of place is one class with these four methods."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any, Protocol

from sandboxes.pools.contract import SandboxLost, ToolCall, ToolResult
from sandboxes.pools.executor_client import ExecutorClient, ExecutorRefused

ANSWER_GRACE = 30.0
"""Seconds an answer may come after its command's timeout before the sandbox is asked whether it lives."""
HEALTH_SECONDS = 10.0
RESET_SECONDS = 60.0
DEATH_SECONDS = 0.5
_BATCH = 256


class PooledSandbox(Protocol):
    """A sandbox that came up, with `slots` slots numbered from 0."""

    id: str
    slots: int
    died: asyncio.Future[str]
    """Done with the reason as soon as it is known to have ended."""

    def lease(self, number: int) -> str:
        """The present life of a slot."""
        ...

    async def execute(self, calls: Sequence[ToolCall], timeout: float) -> list[ToolResult | SandboxLost]: ...

    async def reset(self, number: int) -> None:
        """End and remove all that the slot's task left. Raises SandboxLost if only the slot is lost by it
        or also the sandbox."""
        ...

    async def check(self) -> None:
        """Raises SandboxLost unless it answers."""
        ...

    async def stop(self) -> None:
        """End it; nothing of it is left afterwards."""
        ...


class SandboxProvider(Protocol):
    name: str
    """What errors call the place."""
    replaces: bool
    """True if the place starts another sandbox by itself for one that died."""

    async def start_sandbox(self) -> PooledSandbox:
        """Raises SandboxError, in the sandbox's own words where there are some."""
        ...

    def may_stop(self, sandbox: PooledSandbox) -> bool:
        """Whether this one, of those that live, can be the next to be stopped for want of work."""
        ...

    async def close(self, purge: bool) -> None:
        """After all sandboxes were stopped."""
        ...


class ExecutorSandbox:
    """Fulfils `PooledSandbox` for whatever runs a SandboxExecutor; its places add how to stop it."""

    def __init__(self, id: str, client: ExecutorClient) -> None:
        self.id = id
        self.slots = 0
        self.own_proc = True
        """Whether a slot sees its own processes alone."""
        self.died: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.client = client
        self._leases: dict[int, str] = {}

    async def greet(self) -> None:
        """Learn what it has. Raises SandboxLost."""
        found = await self.client.ask("/slots", timeout=HEALTH_SECONDS)
        self._leases = {each["slot_id"]: each["lease"] for each in found["slots"]}
        self.slots = len(self._leases)
        self.own_proc = bool(found["own_proc"])

    def lease(self, number: int) -> str:
        return self._leases[number]

    def mark_dead(self, why: str) -> None:
        if not self.died.done():
            self.died.set_result(why)
        self.client.close(why)

    async def execute(self, calls: Sequence[ToolCall], timeout: float) -> list[ToolResult | SandboxLost]:
        if len(calls) == 1:
            return [await self._execute_one(calls[0], timeout)]
        results: list[ToolResult | SandboxLost] = []
        for start in range(0, len(calls), _BATCH):
            results += await self._execute_some(calls[start : start + _BATCH], timeout)
        return results

    async def _execute_one(self, call: ToolCall, timeout: float) -> ToolResult | SandboxLost:
        body = _body(call, timeout)
        try:
            return _result(await self._ask([body], "/execute", body, timeout))
        except ExecutorRefused as refused:
            return _lost_or_wrong(refused.code, str(refused), body["execution_id"])
        except SandboxLost as lost:
            return lost

    async def _execute_some(
        self, calls: Sequence[ToolCall], timeout: float
    ) -> list[ToolResult | SandboxLost]:
        bodies = [_body(call, timeout) for call in calls]
        longest = max(sum(body["slot_id"] == number for body in bodies) for number in range(self.slots))
        try:
            answer = await self._ask(bodies, "/batch", {"calls": bodies}, timeout * longest)
        except SandboxLost as lost:
            return [lost] * len(calls)
        except ExecutorRefused:  # too much for one request; nothing of it has run
            return [await self._execute_one(call, timeout) for call in calls]
        return [
            _lost_or_wrong(each["refused"]["code"], f"{self.client.name}: {each['refused']['error']}",
                           body["execution_id"])
            if "refused" in each else _result(each)
            for body, each in zip(bodies, answer["results"], strict=True)
        ]  # fmt: skip

    async def _ask(
        self, bodies: list[dict[str, Any]], path: str, body: dict[str, Any], timeout: float
    ) -> dict[str, Any]:
        try:
            return await self.client.ask(path, body, timeout=timeout + ANSWER_GRACE)
        except SandboxLost as lost:
            # Why the connection broke is known a moment later, where it is known at all.
            if (await asyncio.wait([self.died], timeout=DEATH_SECONDS))[0]:
                raise SandboxLost(self.died.result()) from lost
            raise
        except asyncio.CancelledError:
            # The commands would go on; whoever cancelled waits until they have ended.
            ids = [{"execution_id": each["execution_id"]} for each in bodies]
            cancels = (self.client.ask("/cancel", id, timeout=HEALTH_SECONDS) for id in ids)
            await asyncio.gather(*cancels, return_exceptions=True)
            raise

    async def reset(self, number: int) -> None:
        try:
            answer = await self.client.ask("/reset", {"slot_id": number}, timeout=RESET_SECONDS)
        except ExecutorRefused as refused:
            raise SandboxLost(str(refused)) from refused
        self._leases[number] = answer["lease"]

    async def check(self) -> None:
        await self.client.ask("/health", timeout=HEALTH_SECONDS)


def _body(call: ToolCall, timeout: float) -> dict[str, Any]:
    slot, tool, args = call
    return {"slot_id": slot.number, "lease": slot.lease, "tool": tool, "args": dict(args), "timeout": timeout,
            "execution_id": secrets.token_hex(16)}  # fmt: skip


def _result(answer: dict[str, Any]) -> ToolResult:
    return ToolResult(
        answer["success"], answer["output"], answer["error"], answer["execution_id"], answer["metadata"]
    )


def _lost_or_wrong(code: str, words: str, execution_id: str) -> ToolResult | SandboxLost:
    """A call that cannot be made (no such tool) is a result; what the place is to blame for is none."""
    if code in ("bad_request", "too_large"):
        return ToolResult(False, "", words, execution_id)
    return SandboxLost(words)
