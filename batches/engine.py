"""Who does the work of a run: worker processes on this machine, or many machines."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Protocol

from batches.plan import RunPlan
from batches.task import PromptTask, TaskResult


class EngineError(Exception):
    """The work cannot go on: no worker can be started, say. The text says what happened and what to do."""


class Engine(Protocol):
    def run(
        self, plan: RunPlan, tasks: AsyncIterator[PromptTask], tell: Callable[[str], None]
    ) -> AsyncGenerator[TaskResult, None]:
        """Work on `tasks`, `plan.concurrency` of them at once, and yield one result for each as it ends.

        A task is taken only when there is a free place for it, so `tasks` can be ended at any time and what
        runs then comes to its end. A task whose worker was lost is given to another one; `tell` is told in a
        sentence. Closing the generator ends everything at once and leaves nothing behind.

        Raises:
            EngineError: as named.
        """
        ...
