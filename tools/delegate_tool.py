"""The tool `delegate_task`: a part of the work given to a helper, an agent of its own."""

from __future__ import annotations

from typing import Annotated, Any

from conversation.event import ToolOutput
from safety.terminal_text import strip_controls
from tools.runtime import SpawnRefused, ToolReply, ToolRuntime
from tools.surroundings import Surroundings
from tools.tool import cut_answer, error_reply, ok_reply, tool
from tools.untrusted import HELPER


def check_delegate_requirements(around: Surroundings | None = None) -> str:
    """ "" if helpers may be had at all."""
    if around is not None and around.settings.delegate.max_depth == 0:
        return "delegate.max_depth is 0: set it to 1 to let the agent have helpers"
    return ""


@tool(effects=("read",), requires=check_delegate_requirements)
async def delegate_task(
    runtime: ToolRuntime,
    task: str,
    context: str = "",
    toolsets: Annotated[list[str] | None, "fewer than yours"] = None,
) -> ToolReply:
    """Have a helper agent do a part of the work here. It knows only what you write; you get its last answer.
    Several in one answer work at the same time."""
    if not task.strip():
        return error_reply("the task is empty")
    if runtime.spawn_agent is None:
        return error_reply("helpers cannot be had here")

    def tell(line: str) -> None:
        runtime.emit(ToolOutput(runtime.call_id, strip_controls(line) + "\n"))

    message = f"{task}\n\nWhat you need to know:\n{context}" if context.strip() else task
    try:
        report = await runtime.spawn_agent(message, toolsets or [], runtime.call_id, tell)
    except SpawnRefused as error:
        return error_reply(str(error))
    limit = runtime.settings.terminal.output_limit
    facts: dict[str, Any] = {"turns": report.requests, "cost": report.usage.cost}
    if report.session_id:
        facts["session"] = report.session_id
    if report.outcome != "done":
        facts = {"outcome": report.outcome, "reason": report.reason, **facts}
    untrusted = HELPER if report.untrusted else ""
    if not report.text.strip():
        why = report.reason or report.outcome
        return error_reply(f"the helper gave no answer: {why}", **facts).by(untrusted)
    return ok_reply(**cut_answer(report.text, limit), **facts).by(untrusted)
