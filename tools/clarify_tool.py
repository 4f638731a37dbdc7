"""Ask the person something."""

from __future__ import annotations

import asyncio
from typing import Annotated

from tools.runtime import ToolReply, ToolRuntime
from tools.surroundings import Surroundings
from tools.tool import error_reply, ok_reply, tool

_MOST_CHOICES = 10
_NOBODY = (
    "Nobody is here to answer. Decide yourself, take the safest sensible assumption, go on, and say in your "
    "answer what you assumed."
)


class _OneQuestion:
    """Questions of one task are put one after the other."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()


def check_clarify_requirements(around: Surroundings | None = None) -> str:
    """Always "": nothing is needed beyond this program."""
    return ""


@tool(effects=("read",), requires=check_clarify_requirements)
async def clarify(
    runtime: ToolRuntime, question: str, choices: Annotated[list[str] | None, "suggested answers"] = None
) -> ToolReply:
    """Ask the user when you cannot decide or find out yourself."""
    if not question.strip():
        return error_reply("the question is empty")
    if choices is not None and len(choices) > _MOST_CHOICES:
        return error_reply(f"{len(choices)} choices are too many; give at most {_MOST_CHOICES}")
    if runtime.ask is None:
        return ok_reply(answer=None, note=_NOBODY)
    async with runtime.store(_OneQuestion).lock:
        answer = await runtime.ask(question, choices or [])
    if not answer.strip():
        return ok_reply(
            answer=None, note="The person gave no answer. Decide yourself and say what you assumed."
        )
    return ok_reply(answer=answer)
