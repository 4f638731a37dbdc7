"""What a rollout speaks to: it takes a slot, has commands executed there, and gives it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from sandboxes.sandbox import SandboxError


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one task inside a sandbox that it shares with others, which it cannot see.

    Args:
        lease: names this life of the slot; after a reset, or a restart of the sandbox, there is another.
    """

    task_id: str
    sandbox_id: str
    number: int
    lease: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool did. `success` is the tool's own: a command that exits with 1 is a result like any other.

    Args:
        output: what it printed or read, bounded.
        error: why there is no success, in words; may be empty where `output` says it.
        metadata: for bash exit_code, timed_out, seconds (of the command itself), cwd, total_bytes, truncated.
    """

    success: bool
    output: str
    error: str
    execution_id: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


class SandboxLost(SandboxError):
    """The sandbox or the slot ended, so what was asked has no result. It is nothing the task did, and must
    not be scored: release the slot, acquire another, begin the task anew."""


ToolCall: TypeAlias = tuple[Slot, str, Mapping[str, Any]]
"""(slot, tool, args). Tools: bash {command, stdin, output_limit}, read_file {path, offset, size, encoding},
write_file {path, content, encoding, append}; encoding is utf-8 or base64."""


class ToolBackend(Protocol):
    """Slots for tasks, from wherever sandboxes come."""

    async def start(self) -> None:
        """Raises SandboxError, in the sandbox's own words, if not a single sandbox comes up."""
        ...

    async def stop(self, purge: bool = False) -> None:
        """End every sandbox. `purge` also removes what a cluster keeps on record of them."""
        ...

    async def acquire(self, task_id: str) -> Slot:
        """A slot nobody has, as soon as there is one; first come, first served. Cancelling is safe.

        A task that has one gets the same again, until it is released or lost.

        Raises SandboxError where none can be expected: sandboxes fail to start, or the backend was stopped.
        """
        ...

    async def release(self, slot: Slot, reset: bool = True) -> None:
        """Give it back; returns at once. With `reset` the next task finds nothing of this one: no process,
        file or variable. Without, it finds everything. A slot that was lost or released before is ignored."""
        ...

    async def execute_batch(
        self, calls: Sequence[ToolCall], timeout: float
    ) -> list[ToolResult | SandboxLost]:
        """Results in the order of `calls`. Calls of one slot run one after the other, others side by side.

        What was lost is told in its place and does not touch the other calls. After a broken connection a
        call is asked for again under its own id, so nothing runs twice.

        Args:
            timeout: seconds for each call.
        """
        ...
