"""What goes to whoever works on a prompt, and what comes back. Both cross process and machine borders."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from conversation.message import Usage

TaskStatus = Literal["recorded", "failed", "discarded"]
"""`recorded`: a row came of it. `failed`: the infrastructure did, so there is no result. `discarded`: the
conversation ended, and its row is of no use; `reason` says why."""


class PromptTask(Struct, frozen=True):
    """One prompt of a run.

    `index` is its place among the prompts of the file, from 0: identical prompts are separate work. `fields`
    are the other fields of its input row, carried to the output. `toolsets` were drawn for it from `seed`.
    """

    index: int
    prompt: str
    fields: dict[str, Any] = {}
    toolsets: list[str] = []
    seed: int = 0


class TaskResult(Struct, frozen=True):
    """What came of a prompt. `row` is the output row; `session` the text of its session file, "" where
    the worker wrote that file in its place already; `helpers` the same of its helpers' sessions, by id.

    `kind` says what failed: a kind of `models.chat_model.ModelError`, `worker` (its process ended), `disk`
    (the session could not be saved), `sandbox` (there was no place to work in) or `internal`; "" for what
    did not fail. `hint` is what to do about it, where that is known.
    """

    index: int
    status: TaskStatus
    reason: str = ""
    row: dict[str, Any] | None = None
    session: str = ""
    usage: Usage = Usage()
    seconds: float = 0.0
    kind: str = ""
    hint: str = ""
    helpers: dict[str, str] = {}
