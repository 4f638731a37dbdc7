"""What the REPL needs of the agent and of the program that starts it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from conversation.event import Compacted, Event
    from conversation.history import History
    from conversation.message import ContentPart, Usage
    from safety.gate import EffectRequest, PermissionAnswer
    from sandboxes.sandbox import BackgroundProcess
    from settings import DisplaySettings
    from tools.tool import Tool


class ReplFace(Protocol):
    """How the agent reaches the person. All wait until the person has answered."""

    async def ask_permission(self, request: EffectRequest, reason: str) -> PermissionAnswer: ...

    async def ask_person(self, question: str, choices: list[str]) -> str: ...

    async def ask_secret(self, question: str) -> str:
        """What is typed is not shown; "" if the person would rather not."""
        ...


class AgentPort(Protocol):
    """The agent as the REPL sees it; `run_agent.AIAgent` fulfils it.

    `context_window` and `context_tokens` are in tokens; `usage.cost` is None where unknown.
    `unavailable` pairs a tool's name with the reason it is missing.
    """

    @property
    def session_id(self) -> str: ...
    @property
    def model_name(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def sees_images(self) -> bool | None:
        """Whether the model can look at pictures; None if it is not known."""
        ...

    @property
    def place(self) -> str:
        """Where its commands run and what holds them; a second line says how to widen it, if it can be."""
        ...

    @property
    def context_window(self) -> int | None: ...
    @property
    def context_tokens(self) -> int: ...
    @property
    def usage(self) -> Usage: ...
    @property
    def requests(self) -> int: ...
    @property
    def history(self) -> History: ...
    @property
    def toolsets(self) -> list[str]: ...
    @property
    def tools(self) -> Sequence[Tool]: ...
    @property
    def unavailable(self) -> Sequence[tuple[str, str]]: ...

    def events(self, message: str | list[ContentPart]) -> AsyncIterator[Event]:
        """One turn; ends with TurnFinished."""
        ...

    def interrupt(self) -> None:
        """End the running turn within half a second."""
        ...

    def undo(self) -> str | None:
        """Drop the last thing the person said and all after it; returns its text, None if there is none."""
        ...

    async def compact(self) -> Compacted | None: ...

    async def switch_model(self, name: str) -> str:
        """Returns a sentence for the person. Raises ValueError with a clear text."""
        ...

    def set_personality(self, name: str) -> object:
        """Raises ValueError for a name that is none; "" takes the personality away."""
        ...

    def personalities(self) -> dict[str, str]: ...

    def set_system_prompt(self, text: str) -> None: ...

    def set_toolsets(self, enabled: Sequence[str]) -> None:
        """Raises ValueError for a name that is no toolset; then nothing changes."""
        ...

    async def new_session(self) -> None: ...

    def background(self) -> Sequence[BackgroundProcess]: ...

    async def aclose(self) -> list[str]:
        """Close everything; returns what the person should know about saving."""
        ...


class ConfigPort(Protocol):
    """The settings as `hermes config` shows and changes them. All raise ValueError with a clear text."""

    def show(self) -> str: ...

    def explain(self, key: str) -> str: ...

    def set(self, key: str, value: str) -> str: ...


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One saved session as `/sessions` lists it. `started` is text, `title` its first words."""

    id: str
    started: str
    title: str


@dataclass(slots=True)
class Loaded:
    """What is loaded after the prompt stands.

    `open_agent` runs in the event loop and may ask the person. `resume(agent, id or its beginning)` goes
    on with a saved session and returns a sentence; `save(agent, path)` writes the conversation ("" for a
    default name) and returns where it lies; both raise ValueError with a clear text. `notices` are
    printed under the banner. `warm_up(agent)` runs in a thread once the agent is ready, for imports that
    the first request needs.
    """

    display: DisplaySettings
    version: str
    open_agent: Callable[[ReplFace], Awaitable[AgentPort]]
    config: ConfigPort
    list_sessions: Callable[[], list[SessionLine]]
    resume: Callable[[AgentPort, str], Awaitable[str]]
    save: Callable[[AgentPort, str], str]
    notices: list[str] = field(default_factory=list)
    warm_up: Callable[[AgentPort], None] = lambda agent: None
