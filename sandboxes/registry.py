"""Which task works in which sandbox."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from weakref import WeakValueDictionary

from sandboxes.sandbox import Sandbox


class SandboxRegistry:
    """One sandbox a task, made at first use, from any thread or event loop."""

    def __init__(self) -> None:
        self._sandboxes: dict[str, Sandbox] = {}
        self._others: WeakValueDictionary[tuple[str, int], Sandbox] = WeakValueDictionary()
        self._lock = threading.Lock()

    def get(self, task_id: str, make: Callable[[str], Sandbox]) -> Sandbox:
        """The sandbox of `task_id`; `make(task_id)` if it has none yet."""
        with self._lock:
            if task_id not in self._sandboxes:
                self._sandboxes[task_id] = make(task_id)
            return self._sandboxes[task_id]

    def find(self, task_id: str) -> Sandbox | None:
        with self._lock:
            return self._sandboxes.get(task_id)

    def note(self, sandbox: Sandbox) -> None:
        """`close` of its task ends this one too, which belongs to somebody else: to an agent."""
        with self._lock:
            self._others[sandbox.task_id, id(sandbox)] = sandbox

    async def close(self, task_id: str) -> bool:
        """End the task's sandboxes; the next `get` makes a new one. False if it had none."""
        with self._lock:
            found = [each for (task, _), each in self._others.items() if task == task_id]
            if (own := self._sandboxes.pop(task_id, None)) is not None:
                found.append(own)
        await asyncio.gather(*(sandbox.close() for sandbox in found))
        return bool(found)


SHARED = SandboxRegistry()
"""For the doors that know a task only by its id: `handle_function_call(…, task_id=)` and `cleanup_vm`."""
