"""Small tools for tests of the loop, and an agent loop around them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated, Any

from agent.asking import Asking
from agent.ledger import Ledger
from agent.loop import AgentLoop
from agent.recorder import NoRecorder, Recorder
from agent.toolbox import Toolbox
from conversation.event import Event, ToolOutput
from conversation.history import History
from conversation.message import AssistantMessage, ToolCall
from model_tools import call_tool
from models.scripted import ScriptedModel, ScriptedStep
from safety.gate import Gate
from sandboxes.local import LocalSandbox
from tools.runtime import ToolReply, ToolRuntime
from tools.tool import ok_reply, tool

LOG: list[str]


@tool(effects=("read",))
async def look(
    runtime: ToolRuntime, name: Annotated[str, "What to look at."], wait: float = 0.0
) -> ToolReply:
    """Look at something."""
    runtime.stores.setdefault(list, []).append(f"begin {name}")
    await asyncio.sleep(wait)
    runtime.stores[list].append(f"end {name}")
    return ok_reply(seen=name)


@tool(effects=("write",))
async def change(runtime: ToolRuntime, name: str, wait: float = 0.0) -> ToolReply:
    """Change something."""
    runtime.stores.setdefault(list, []).append(f"begin {name}")
    runtime.emit(ToolOutput(runtime.call_id, f"changing {name}\n"))
    await asyncio.sleep(wait)
    runtime.stores[list].append(f"end {name}")
    return ok_reply(changed=name)


@tool(effects=("read",))
async def explode(runtime: ToolRuntime) -> ToolReply:
    """Fail in an unforeseen way."""
    raise RuntimeError("boom")


def calls(*wanted: tuple[str, Any], content: str = "", finish_reason: str = "tool_calls") -> AssistantMessage:
    """An answer with calls; arguments that are text are sent as they stand."""
    made = tuple(
        ToolCall(f"c{index}", name, arguments if isinstance(arguments, str) else json.dumps(arguments))
        for index, (name, arguments) in enumerate(wanted)
    )
    return AssistantMessage(content, made, finish_reason=finish_reason)


def text(content: str, **more: Any) -> AssistantMessage:
    return AssistantMessage(content, finish_reason=more.pop("finish_reason", "stop"), **more)


class Bench:
    """A loop over a scripted model and the tools above; `events` collects all it says."""

    def __init__(
        self,
        steps: Sequence[ScriptedStep],
        *,
        recorder: Recorder | None = None,
        mode: Any = "yolo",
        **loop: Any,
    ) -> None:
        self.events: list[Event] = []
        window = loop.pop("context_window", None)
        self.model = ScriptedModel(steps, context_window=window, prices=loop.pop("prices", None))
        self.history = History("You are a test.")
        sandbox = LocalSandbox("task", ".")
        runtime = ToolRuntime("task", sandbox, Gate(mode, workspace="."), emit=self.events.append)
        self.runtime = runtime
        toolbox = Toolbox({each.name: each for each in (look, change, explode)}, runtime, call_tool)
        ledger = Ledger(self.history, recorder or NoRecorder(), self.events.append)
        compact_at = loop.pop("compact_at", 0.85)
        asking = Asking(self.model, ledger, toolbox, self.events.append, compact_at=compact_at)
        self.loop = AgentLoop(asking, **loop)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]
