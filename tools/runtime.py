"""What a tool is given to work with. Tools reach everything above and around them only through this."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar, cast

from msgspec import Struct

from conversation.event import Display, Event, Outcome
from conversation.message import Approval, Usage
from models.chat_model import ChatModel
from safety.gate import Gate
from sandboxes.sandbox import Sandbox
from settings import Settings
from tools.surroundings import Surroundings

if TYPE_CHECKING:
    from sandboxes.sudo import SudoDoor
    from tools.hooks.hooks import Hooks

log = logging.getLogger("hermes.tools")

Store = TypeVar("Store")


@dataclass(frozen=True, slots=True)
class ToolReply:
    """What a tool gives back: JSON text for the model, a status, perhaps a picture for the person.

    `model_tools.call_tool` fills in `approval`, what a person answered where their word was needed, and
    `waited`, the seconds until they did. It puts a tool's `untrusted`, the source of text nobody vouches for
    ("web page"), into the content, and tells the gate.
    """

    content: str
    status: Literal["ok", "error", "denied", "interrupted"] = "ok"
    display: Display | None = None
    approval: Approval = ""
    waited: float = 0.0
    untrusted: str = ""

    def by(self, source: str) -> ToolReply:
        """The same, its text that of `source`; "" for what is our own."""
        return replace(self, untrusted=source)


class SpawnRefused(ValueError):
    """No helper was made; the text says why, for the model."""


class HelperReport(Struct, frozen=True):
    """What a helper came to; see `conversation.event.TurnFinished`.

    `session_id` is "" where nothing is saved; `untrusted`: it has read text that nobody vouches for.
    """

    text: str
    outcome: Outcome
    reason: str
    requests: int
    usage: Usage
    session_id: str
    untrusted: bool


class SpawnAgent(Protocol):
    """Has a child agent do a task. Cancelling ends it in good order.

    Args:
        message: all that it is told.
        toolsets: those it gets, no more than the parent has; the parent's if none is named.
        call_id: the call that asks for it.
        tell: hears what it does, in lines.

    Raises SpawnRefused.
    """

    async def __call__(
        self, message: str, toolsets: Sequence[str], call_id: str, tell: Callable[[str], None]
    ) -> HelperReport: ...


AskPerson: TypeAlias = Callable[[str, list[str]], Awaitable[str]]
"""Asks the person a question, with possible answers to choose from (may be empty)."""


class PlaceProblem(Struct):
    """Why the place where tools work could not be had at all; "" as long as it could."""

    text: str = ""


@dataclass(slots=True)
class ToolRuntime:
    """One per task (`task_id`): everything stateful hangs on it, so two agents share nothing.

    `ask` is None where nobody is there to answer, `sudo` where no password is to be handed over.
    `stores` holds state of tools; use `store(Kind)`. What has an `aclose` (a browser, a tool server) belongs
    to the task and is closed with it; all else belongs to the conversation. `emit` sends an event to whoever
    watches; `call_id` is set for each call. `call_tool` calls another tool by name, one of the `definitions`.
    `spend` is told what a tool's own requests to a model used; what has no price known is told with `cost`
    None. `around` tells where the agent is; its `settings` are these, and so are `hooks`, if there are any.
    `session_id`: the running session, "" if unknown. `helper`: what a person is told who asks, where it is a
    helper's.
    """

    task_id: str
    sandbox: Sandbox
    gate: Gate
    emit: Callable[[Event], None] = lambda event: None
    ask: AskPerson | None = None
    sudo: SudoDoor | None = None
    model: ChatModel | None = None
    call_tool: Callable[[str, dict[str, Any]], Awaitable[ToolReply]] | None = None
    definitions: Sequence[dict[str, Any]] = ()
    spawn_agent: SpawnAgent | None = None
    settings: Settings = field(default_factory=Settings)
    user_task: str = ""
    call_id: str = ""
    stores: dict[type, Any] = field(default_factory=dict)
    spend: Callable[[Usage], None] = lambda usage: None
    around: Surroundings = field(default_factory=Surroundings)
    hooks: Hooks | None = None
    session_id: str = ""
    helper: str = ""

    def __post_init__(self) -> None:
        if self.around.settings is not self.settings:
            self.around = replace(self.around, settings=self.settings)
        if self.settings.hooks and self.hooks is None:
            from tools.hooks.hooks import Hooks

            self.hooks = Hooks(self.around)

    async def aclose(self) -> None:
        """End everything that runs for the task."""
        if self.sudo is not None:
            self.sudo.close()
        try:
            await self.close_stores()
        finally:
            await self.sandbox.close()

    async def close_stores(self) -> None:
        """End what tools keep open: browsers, servers, …"""
        open_ones = [self.stores.pop(kind) for kind in list(self.stores) if hasattr(kind, "aclose")]
        for problem in await asyncio.gather(*(each.aclose() for each in open_ones), return_exceptions=True):
            if isinstance(problem, Exception):
                log.warning("what a tool kept open did not close well: %r", problem)

    def forget_conversation(self) -> None:
        """Another conversation begins; what belongs to the task stays."""
        for kind in list(self.stores):
            if not hasattr(kind, "aclose"):
                del self.stores[kind]

    def has_tool(self, name: str) -> bool:
        """Whether the model can call the tool, so that it may be pointed to it."""
        return any(each["function"]["name"] == name for each in self.definitions)

    def store(self, kind: type[Store]) -> Store:
        """The task's one `kind()`, made at first use."""
        found = self.stores.get(kind)
        if found is None:
            found = self.stores[kind] = kind()
        return cast(Store, found)


def new_task_id() -> str:
    return f"task_{secrets.token_hex(6)}"
