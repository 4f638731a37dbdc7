"""What has to be true before the first turn of a session: its hooks have nothing against it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from conversation.event import Event, Outcome, TurnFinished, TurnStarted
from conversation.message import Usage
from tools.runtime import ToolRuntime

if TYPE_CHECKING:
    from tools.hooks.hooks import Hooks

HINT = "mend the hook, or take it out of `hooks` in the settings, and say it again"


async def refused_turn(
    hooks: Hooks, runtime: ToolRuntime, text: str, emit: Callable[[Event], None]
) -> TurnFinished | None:
    """Begin the session where that is still to be done; the end of a turn that must not begin, else None.

    Nothing of a turn so refused is in the history or on record.
    """
    began = time.monotonic()
    outcome: Outcome = "failed"
    try:
        problem = await hooks.session_start(runtime)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        outcome, problem = "interrupted", "interrupted by the person"
    if not problem:
        return None
    hint = HINT if outcome == "failed" else ""
    finished = TurnFinished(
        outcome, "", hooks.session_id, 0, Usage(), round(time.monotonic() - began, 3), problem, hint
    )
    emit(TurnStarted(hooks.session_id, text))
    emit(finished)
    return finished
