"""The REPL before an agent that plays what the message names. Run through a PTY by the tests here."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parents[2]))

from repl.agent_port import AgentPort, Loaded, ReplFace, SessionLine
from repl.repl import run_repl
from tools.catalog import load_tool

MARKDOWN = """# Heading one

A paragraph with **bold words** and `code` in it.

- item alpha
- item beta

  still beta

1. first
2. second

| name | size |
|------|------|
| ant  | 1    |
| bee  | 22   |

```python
def unique_function():
    return 42
```

The last paragraph."""


@dataclass
class Process:
    id: str = "bg_1"
    command: str = "sleep 1000"
    exit_code: int | None = None


@dataclass
class ScriptedAgent:
    face: ReplFace
    session_id: str = "20260101-120000-abcd"
    model_name: str = "scripted"
    provider: str = "tests"
    sees_images: bool | None = False if os.environ.get("SCRIPTED_BLIND") else None
    shown: str = ""
    place: str = "confined to this folder by bubblewrap, without network\nto widen it: terminal.writable"
    context_window: int | None = 100_000
    context_tokens: int = 12_000
    requests: int = 0
    toolsets: list[str] = field(default_factory=lambda: ["terminal", "file"])
    tools: list[Any] = field(default_factory=lambda: [load_tool(name) for name in ("terminal", "process")])
    unavailable: list[tuple[str, str]] = field(default_factory=lambda: [("web_search", "no key is set")])
    processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        from conversation.history import History
        from conversation.message import Usage

        self.history = History("The system text.")
        self.usage = Usage(1000, 234)
        self.turn: asyncio.Task[None] | None = None

    async def events(self, message: Any) -> AsyncIterator[Any]:
        from conversation.event import Outcome, TurnFinished
        from conversation.message import AssistantMessage, UserMessage
        from conversation.round import Round

        queue: asyncio.Queue[Any] = asyncio.Queue()
        self.history.add(UserMessage(message))
        self.shown = UserMessage(message).shown
        message = UserMessage(message).text
        word, _, rest = message.partition(" ")
        self.turn = asyncio.create_task(
            getattr(self, "play_" + word, self.play_say)(queue.put_nowait, rest or word)
        )
        self.turn.add_done_callback(lambda _: queue.put_nowait(None))
        while (event := await queue.get()) is not None:
            yield event
        outcome: Outcome = "interrupted" if self.turn.cancelled() else "done"
        if self.turn.done() and not self.turn.cancelled():
            self.turn.result()
        self.history.add(Round(AssistantMessage("the answer to " + message)))
        yield TurnFinished(outcome, "the answer to " + message, self.session_id, 1, self.usage, 0.1)

    async def play_say(self, emit: Any, rest: str) -> None:
        from conversation.event import TextDelta

        emit(TextDelta(f"You said: {rest}"))

    async def play_look(self, emit: Any, rest: str) -> None:
        """`look …`: says what it was shown, in the words of `UserMessage.shown`."""
        from conversation.event import TextDelta

        emit(TextDelta("I see:\n\n```\n" + self.shown + "\n```"))

    async def play_markdown(self, emit: Any, rest: str) -> None:
        from conversation.event import TextDelta

        for start in range(0, len(MARKDOWN), 7):
            emit(TextDelta(MARKDOWN[start : start + 7]))
            await asyncio.sleep(0.01)

    async def play_words(self, emit: Any, rest: str) -> None:
        """`words N`: paragraphs of numbered words, for N seconds."""
        from conversation.event import TextDelta

        for number in range(int(float(rest) * 50)):
            emit(TextDelta(f"w{number:04d} "))
            if number % 25 == 24:
                emit(TextDelta("\n\n"))
            await asyncio.sleep(0.02)

    async def play_tool(self, emit: Any, rest: str) -> None:
        from conversation.event import Display, ToolFinished, ToolOutput, ToolStarted

        emit(ToolStarted("c1", "terminal", '{"command": "make"}', "make all"))
        for number in range(3):
            emit(ToolOutput("c1", f"line of output {number}\n"))
            await asyncio.sleep(0.5)
        emit(ToolFinished("c1", "terminal", "ok", '{"output": "", "exit_code": 3}', 1.5))
        diff = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old line\n+new line\n"
        emit(ToolStarted("c2", "patch", "{}", "x"))
        emit(ToolFinished("c2", "patch", "ok", "{}", 0.1, Display("diff", diff)))

    async def play_anew(self, emit: Any, rest: str) -> None:
        from conversation.event import ToolFinished, ToolStarted

        for note in ("docker: started anew (it was removed)\x1b[2J; files are gone", "remember the milk"):
            emit(ToolStarted("c1", "terminal", '{"command": "ls"}', "ls"))
            content = json.dumps({"output": "", "exit_code": 0, "note": note})
            emit(ToolFinished("c1", "terminal", "ok", content, 1.5))

    async def play_think(self, emit: Any, rest: str) -> None:
        from conversation.event import ReasoningDelta, TextDelta

        emit(ReasoningDelta("a secret thought"))
        await asyncio.sleep(1.1)
        emit(TextDelta("Out loud."))

    async def play_retry(self, emit: Any, rest: str) -> None:
        from conversation.event import RetryScheduled, Superseded, TextDelta

        emit(TextDelta("half an answ"))
        emit(Superseded("half an answ", "the connection was reset"))
        emit(RetryScheduled(1, 6, 3.0, "rate limited (429)"))
        await asyncio.sleep(3.0)
        emit(TextDelta("The whole answer."))

    async def play_hostile(self, emit: Any, rest: str) -> None:
        from conversation.event import TextDelta, ToolFinished, ToolOutput, ToolStarted

        emit(ToolStarted("c1", "terminal\x1b[2J", "{}", "ls \x1b]0;owned\x07"))
        emit(ToolOutput("c1", "\x1b[2J\x1b]52;c;aGk=\x07\x1b[?1049h evil\n"))
        await asyncio.sleep(0.3)
        emit(ToolFinished("c1", "terminal", "error", '{"error": "\\u001b[31mred\\u001b[0m"}', 0.3))
        emit(TextDelta("text \x1b[2J\x1b]0;title\x07 \u202e end"))

    async def play_permission(self, emit: Any, rest: str) -> None:
        from conversation.event import TextDelta
        from safety.gate import EffectRequest

        request = EffectRequest("terminal", ("exec",), "rm -rf build\x1b[1A", grant="rm")
        answer = await self.face.ask_permission(request, "it wants to run a command")
        emit(TextDelta(f"permission was {answer}"))

    async def play_question(self, emit: Any, rest: str) -> None:
        from conversation.event import TextDelta

        answer = await self.face.ask_person("Which colour?", ["red", "green"])
        emit(TextDelta(f"answered {answer}."))

    async def play_secret(self, emit: Any, rest: str) -> None:
        from conversation.event import TextDelta

        answer = await self.face.ask_secret("What is the password?")
        emit(TextDelta(f"it has {len(answer)} letters."))

    async def play_spawn(self, emit: Any, rest: str) -> None:
        self.processes.append(Process())
        await self.play_say(emit, "spawned")

    def interrupt(self) -> None:
        if self.turn is not None:
            self.turn.cancel()

    def undo(self) -> str | None:
        from conversation.round import Round

        index = self.history.last_user_index()
        if index is None:
            return None
        taken = self.history.roll_back(index)[0]
        assert not isinstance(taken, Round)
        return taken.text

    async def compact(self) -> Any:
        from conversation.event import Compacted

        await asyncio.sleep(0.2)
        return Compacted(9000, 1200, 12)

    async def switch_model(self, name: str) -> str:
        if name == "nonsense":
            raise ValueError("no model is called nonsense")
        self.model_name = name
        return f"Now talking to {name}."

    def set_personality(self, name: str) -> None:
        if name not in self.personalities() and name:
            raise ValueError(f"no personality {name!r}")
        self.history.system = f"personality {name}"

    def personalities(self) -> dict[str, str]:
        return {"pirate": "Talk like a pirate.", "noir": "Talk like a detective."}

    def set_system_prompt(self, text: str) -> None:
        self.history.system = f"own words: {text}"

    def set_toolsets(self, enabled: Any) -> None:
        if "bogus" in enabled:
            raise ValueError("no toolset is called bogus")
        self.toolsets = list(enabled)

    async def new_session(self) -> None:
        self.session_id = "20260101-120001-beef"
        self.history.roll_back(0)

    def background(self) -> list[Process]:
        return self.processes

    async def aclose(self) -> list[str]:
        Path("closed").write_text("yes")
        return []


class Config:
    def show(self) -> str:
        return "display:\n  color: true"

    def explain(self, key: str) -> str:
        if key != "display.color":
            raise ValueError(f"unknown key {key}")
        return "display.color = true (built-in)"

    def set(self, key: str, value: str) -> str:
        return f"{key} is {value} from the next start"


def load() -> Loaded:
    from settings import DisplaySettings

    time.sleep(float(os.environ.get("SCRIPTED_LOAD_SECONDS", "0")))
    if os.environ.get("SCRIPTED_LOAD_FAILS"):
        raise ValueError("config.yaml line 3 is broken")

    async def open_agent(face: ReplFace) -> AgentPort:
        return cast(AgentPort, ScriptedAgent(face))

    async def resume(agent: Any, prefix: str) -> str:
        if not prefix.startswith("2026"):
            raise ValueError(f"no session begins with {prefix}")
        agent.session_id = prefix
        return f"Going on with {prefix}."

    def save(agent: Any, path: str) -> str:
        Path(path or "conversation.json").write_text("{}")
        return path or "conversation.json"

    return Loaded(
        display=DisplaySettings(kawaii=not os.environ.get("SCRIPTED_PLAIN")), version="9.9",
        open_agent=open_agent, config=Config(),
        list_sessions=lambda: [SessionLine("20260101-120000-abcd", "today", "hello there")],
        resume=resume, save=save, notices=["a notice at the start"],
    )  # fmt: skip


if __name__ == "__main__":
    try:
        code = asyncio.run(run_repl(load, os.environ["HERMES_HOME"]))
    except ValueError as error:
        sys.exit(f"failed: {error}")
    sys.exit(code)
