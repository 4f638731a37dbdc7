"""Agents that an agent makes for parts of its work: their own history, its gate, its limits, its place."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from agent.asking import Asking
from agent.assembly import override
from agent.facts import AgentFacts
from configuration.tool_settings import ModelChoice
from conversation.event import Event, Notice, RetryScheduled, TurnFinished
from conversation.history import History
from models.chat_model import ChatModel, ModelEvent, ModelRequest
from safety.gate import Gate
from sandboxes.sandbox import Sandbox
from settings import Settings, SettingsError
from tools.auxiliary import chosen_settings
from tools.runtime import HelperReport, SpawnRefused
from tools.tool import Tool
from tools.untrusted import source_in
from trajectories.session_record import Spawner

if TYPE_CHECKING:
    from safety.redact import Redactor

PROMPT = Path(__file__).with_name("helper.md")
NOT_FOR_HELPERS = ("clarify", "memory")
"""Toolsets: a helper neither asks the person nor writes down what it thinks they like."""


class Inheritance(msgspec.Struct, frozen=True):
    """What an agent has from the one that made it. `depth` counts from 1; `name` is for people."""

    gate: Gate
    asking: Asking
    redactor: Callable[[], Redactor]
    depth: int
    spawned_by: Spawner
    name: str


class ChildPlan(msgspec.Struct, frozen=True):
    """An agent to be made.

    `model` None: it connects as its settings say. `tell` hears of each call: its tool, and a preview.
    """

    settings: Settings
    task_id: str
    model: ChatModel | None
    sandbox: Sandbox
    inherited: Inheritance
    tell: Callable[[str, str], None]


class ChildAgent(Protocol):
    """What `Children` needs of an agent."""

    @property
    def history(self) -> History: ...

    @property
    def session_path(self) -> Path | None: ...

    def events(self, message: str) -> AsyncGenerator[Event, None]: ...

    async def aclose(self) -> list[str]: ...


class Children:
    """The children of `parent`. Fulfils `tools.runtime.SpawnAgent`.

    Args:
        make: makes an agent.
        select: the tools that settings mean: those that can be used, and (name, reason) of the others.
        depth: of the parent; 0 for one that nobody made.
    """

    def __init__(
        self,
        parent: AgentFacts,
        make: Callable[[ChildPlan], ChildAgent],
        select: Callable[[Settings], tuple[list[Tool], list[tuple[str, str]]]],
        depth: int,
    ) -> None:
        self._parent = parent
        self._make = make
        self._select = select
        self._depth = depth
        self._made = 0
        self._room: tuple[asyncio.AbstractEventLoop, asyncio.Semaphore] | None = None

    async def __call__(
        self, message: str, toolsets: Sequence[str], call_id: str, tell: Callable[[str], None]
    ) -> HelperReport:
        """See `tools.runtime.SpawnAgent`."""
        self._made += 1
        task_id = f"{self._parent.runtime.task_id}.{self._made}"
        if toolsets:
            self._refuse_more(toolsets)
        async with self._places():
            plan = self._plan(task_id, self._settings(toolsets), call_id, tell)
            try:
                agent = self._make(plan)
            except (SettingsError, ValueError) as error:
                raise SpawnRefused(f"a helper cannot be made: {error}") from error
            return await self._work(agent, message, tell)

    async def _work(self, agent: ChildAgent, message: str, tell: Callable[[str], None]) -> HelperReport:
        finished: TurnFinished | None = None
        try:
            async with contextlib.aclosing(agent.events(message)) as events:
                async for event in events:
                    if isinstance(event, TurnFinished):
                        finished = event
                    elif isinstance(event, Notice):
                        tell(event.text)
                    elif isinstance(event, RetryScheduled):
                        tell(f"{event.reason}; trying again in {event.wait:.0f} s")
        finally:
            path = agent.session_path
            for problem in await agent.aclose():
                tell(problem)
        assert finished is not None
        read = any(source_in(each.content) for round_ in agent.history.rounds for each in round_.results)
        return HelperReport(
            finished.text, finished.outcome, finished.reason, finished.requests, finished.usage,
            path.stem if path is not None else "", read,
        )  # fmt: skip

    def _plan(self, task_id: str, settings: Settings, call_id: str, tell: Callable[[str], None]) -> ChildPlan:
        parent = self._parent
        own_model = settings.delegate.model not in ("", parent.model_name)
        asking = parent.asking
        inherited = Inheritance(
            parent.runtime.gate, asking, parent.redactor, self._depth + 1,
            Spawner(parent.session_id, call_id), f"helper {task_id.rpartition('.')[2]}",
        )  # fmt: skip
        return ChildPlan(
            settings,
            task_id,
            None if own_model else Borrowed(parent.model, parent),
            parent.runtime.sandbox.beside(task_id),
            inherited,
            lambda name, preview: tell(f"{name}: {preview}" if preview else name),
        )

    def _settings(self, toolsets: Sequence[str]) -> Settings:
        """The parent's, with fewer tools and turns."""
        settings = self._parent.settings
        delegate, tools = settings.delegate, settings.tools
        without = [*NOT_FOR_HELPERS, *(["delegation"] if self._depth + 1 >= delegate.max_depth else [])]
        seconds = settings.agent.max_seconds
        turn = self._parent.asking.turn
        if seconds is not None and turn is not None:
            seconds = max(0.0, seconds - (time.monotonic() - turn.started))
        agent = msgspec.structs.replace(
            settings.agent, max_turns=delegate.max_turns, max_seconds=seconds, personality="",
            system_prompt=PROMPT.read_text(encoding="utf-8"),
        )  # fmt: skip
        settings = msgspec.structs.replace(settings, agent=agent)
        settings = chosen_settings(settings, ModelChoice(name=delegate.model))
        return override(
            settings, "tools", enabled=list(toolsets) or None, disabled=[*tools.disabled, *without]
        )

    def _refuse_more(self, toolsets: Sequence[str]) -> None:
        """Raises SpawnRefused where one of them is unknown, or has tools that the parent has not."""
        from toolsets import ToolsetError

        settings = self._parent.settings
        own = self._names(settings)
        given = [name for name in settings.tools.enabled if name not in NOT_FOR_HELPERS]
        for name in toolsets:
            try:
                more = self._names(override(settings, "tools", enabled=[name])) - own
            except ToolsetError as error:
                raise SpawnRefused(
                    f"{error}. Leave toolsets out, or choose from: {', '.join(given)}"
                ) from None
            if more:
                what = ", ".join(sorted(more))
                raise SpawnRefused(f"you do not have all of the toolset {name!r} yourself ({what})")

    def _names(self, settings: Settings) -> set[str]:
        usable, others = self._select(settings)
        return {tool.name for tool in usable} | {name for name, _ in others}

    @contextlib.asynccontextmanager
    async def _places(self) -> AsyncIterator[None]:
        """One of the `delegate.at_once` places, when it is free."""
        loop = asyncio.get_running_loop()
        if self._room is None or self._room[0] is not loop:
            self._room = (loop, asyncio.Semaphore(self._parent.settings.delegate.at_once))
        async with self._room[1]:
            yield


class Borrowed:
    """The parent's model as a child has it: closing it closes nothing."""

    def __init__(self, inner: ChatModel, parent: AgentFacts) -> None:
        self.inner = inner
        self.endpoint = parent.endpoint
        self.name = inner.name
        self.context_window = inner.context_window
        self.prices = inner.prices

    def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        return self.inner.stream(request)

    async def aclose(self) -> None:
        """The parent still talks to it."""
