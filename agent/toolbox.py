"""The tools of one agent, and how the calls of one answer are run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conversation.event import Event, ToolFinished, ToolOutput, ToolStarted
from conversation.message import ToolCall, ToolResult
from models.answer_check import CheckedCall
from tools.runtime import ToolReply, ToolRuntime
from tools.tool import Tool, error_reply

PREVIEW = 80
KEPT_OF_INTERRUPTED = 4_000
"""Characters of output a call keeps when it is interrupted."""

CallTool = Callable[[Tool, dict[str, Any], ToolRuntime], Awaitable[ToolReply]]


@dataclass(slots=True)
class Toolbox:
    """`call_tool` is `model_tools.call_tool`: arguments, gate, handler."""

    tools: dict[str, Tool]
    runtime: ToolRuntime
    call_tool: CallTool
    definitions: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.definitions = [tool.schema() for tool in self.tools.values()]
        self.runtime.definitions = self.definitions
        self.runtime.call_tool = self.caller(self.runtime)

    def binders(self) -> dict[str, Callable[[dict[str, Any]], object]]:
        """For the check of an answer: tool name to what refuses wrong arguments."""
        return {name: tool.bind for name, tool in self.tools.items()}

    def caller(self, runtime: ToolRuntime) -> Callable[[str, dict[str, Any]], Awaitable[ToolReply]]:
        """For tools that call tools: calls those that are on, and no others, as if `runtime` had been theirs.

        Calls that may not overlap wait for each other.
        """
        alone = asyncio.Lock()

        async def call(name: str, arguments: dict[str, Any]) -> ToolReply:
            tool = self.tools.get(name)
            if tool is None:
                return error_reply(f"there is no tool {name!r}; there are: {', '.join(self.tools)}")
            async with contextlib.nullcontext() if tool.may_overlap else alone:
                return await self.call_tool(tool, arguments, runtime)

        return call

    def all_may_overlap(self, calls: Sequence[CheckedCall]) -> bool:
        return all(call.problem or self.tools[call.call.name].may_overlap for call in calls)


@dataclass(slots=True)
class CallRun:
    """Runs the calls of one answer; `results` has one place a call, filled as each ends."""

    toolbox: Toolbox
    calls: Sequence[CheckedCall]
    emit: Callable[[Event], None]
    record: Callable[[ToolResult], None]
    results: list[ToolResult | None] = field(default_factory=list)
    _heard: dict[str, str] = field(default_factory=dict)
    _started: dict[str, float] = field(default_factory=dict)

    async def run(self) -> list[ToolResult]:
        """All results in call order: at once if all of them may overlap, else one after the other.

        If the task is cancelled, what was not finished gets an `interrupted` result (see
        `close_interrupted`) and the cancellation goes on.
        """
        self.results = [None] * len(self.calls)
        if len(self.calls) > 1 and self.toolbox.all_may_overlap(self.calls):
            async with asyncio.TaskGroup() as group:
                for index in range(len(self.calls)):
                    group.create_task(self._run_one(index))
        else:
            for index in range(len(self.calls)):
                await self._run_one(index)
        return [result for result in self.results if result is not None]

    def close_interrupted(self) -> list[ToolResult]:
        """Fill the places of calls that did not finish, and return all results."""
        for index, checked in enumerate(self.calls):
            if self.results[index] is None:
                heard = self._heard.get(checked.call.id)
                text = "interrupted by the person before it finished" if heard is not None else "not started"
                content = {"error": f"interrupted: {text}", **({"output": heard} if heard else {})}
                reply = ToolReply(json.dumps(content, ensure_ascii=False), "interrupted")
                now = time.monotonic()
                self._settle(index, reply, now - self._started.get(checked.call.id, now))
        return [result for result in self.results if result is not None]

    async def _run_one(self, index: int) -> None:
        checked = self.calls[index]
        call = checked.call
        if checked.problem:
            self._settle(
                index, ToolReply(json.dumps({"error": checked.problem}, ensure_ascii=False), "error"), 0.0
            )
            return
        self.emit(ToolStarted(call.id, call.name, call.arguments, preview(call)))
        self._heard[call.id] = ""
        started = self._started[call.id] = time.monotonic()
        runtime = replace(self.toolbox.runtime, call_id=call.id, emit=self._listen)
        runtime.call_tool = self.toolbox.caller(runtime)
        reply = await self.toolbox.call_tool(self.toolbox.tools[call.name], checked.arguments or {}, runtime)
        if checked.note:
            reply = replace(reply, content=add_note(reply.content, checked.note))
        self._settle(index, reply, time.monotonic() - started - reply.waited)

    def _listen(self, event: Event) -> None:
        if isinstance(event, ToolOutput):
            self._heard[event.call_id] = (self._heard.get(event.call_id, "") + event.text)[
                -KEPT_OF_INTERRUPTED:
            ]
        self.emit(event)

    def _settle(self, index: int, reply: ToolReply, seconds: float) -> None:
        call = self.calls[index].call
        result = ToolResult(
            call.id, call.name, reply.content, reply.status, round(seconds, 3), reply.approval
        )
        self.results[index] = result
        self.record(result)
        self.emit(
            ToolFinished(call.id, call.name, reply.status, reply.content, result.seconds, reply.display)
        )


def preview(call: ToolCall) -> str:
    """The most telling argument of a call on one line; of a list its first."""
    try:
        values = list(json.loads(call.arguments).values())
    except (ValueError, AttributeError):
        return ""
    firsts = (value[0] if isinstance(value, list) and value else value for value in values)
    first = next((value for value in firsts if isinstance(value, str) and value), "")
    line = " ".join((first or call.arguments if values else "").split())
    return line if len(line) <= PREVIEW else line[: PREVIEW - 1] + "…"


def add_note(content: str, note: str) -> str:
    """The same reply with a `note` for the model, if it is a JSON object; else a line in front."""
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return json.dumps(
            {**value, "note": f"{value['note']} {note}" if value.get("note") else note}, ensure_ascii=False
        )
    return f"{note}\n{content}"
