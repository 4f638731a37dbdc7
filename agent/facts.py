"""What an agent says of itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from agent.prompt import load_personalities
from sandboxes.backend import place_told

if TYPE_CHECKING:
    from agent.asking import Asking
    from agent.children import Inheritance
    from agent.ledger import Ledger
    from agent.toolbox import Toolbox
    from conversation.history import History
    from conversation.message import Usage
    from models.chat_model import ChatModel
    from models.providers import Endpoint
    from safety.redact import Redactor
    from sandboxes.sandbox import BackgroundProcess
    from settings import Settings
    from tools.runtime import ToolRuntime
    from tools.tool import Tool
    from trajectories.session_file import SessionWriter
    from trajectories.session_record import Spawner


class AgentFacts:
    """The part of `run_agent.AIAgent` that only tells; the agent sets what it tells of."""

    settings: Settings
    cwd: str
    logs: Path
    toolsets: list[str]
    toolbox: Toolbox
    runtime: ToolRuntime
    ledger: Ledger
    redactor: Callable[[], Redactor]
    inherited: Inheritance | None
    """What it has from the agent that made it; None if a person began it."""
    _asking: Asking
    _endpoint: Endpoint | None
    _model: ChatModel
    _writer: SessionWriter | None

    @property
    def session_id(self) -> str:
        return self._asking.session_id

    @property
    def asking(self) -> Asking:
        return self._asking

    @property
    def endpoint(self) -> Endpoint | None:
        return self._endpoint

    @property
    def spawned_by(self) -> Spawner | None:
        return self.inherited.spawned_by if self.inherited is not None else None

    @property
    def model(self) -> ChatModel:
        return self._model

    @property
    def model_name(self) -> str:
        return self._model.name

    @property
    def provider(self) -> str:
        return self._endpoint.name if self._endpoint is not None else ""

    @property
    def base_url_host(self) -> str:
        return self._endpoint.host if self._endpoint is not None else ""

    @property
    def place(self) -> str:
        """Where its commands run and what holds them, as the person is told."""
        return place_told(self.settings, self.runtime.sandbox.confinement)

    @property
    def sees_images(self) -> bool | None:
        """Whether the model can look at pictures; None if it is not known."""
        from models.known_models import sees_images

        if self.provider == "offline":
            return False
        given = self.settings.model.sees_images
        return sees_images(self.model_name) if given is None else given

    @property
    def context_window(self) -> int | None:
        return self._model.context_window

    @property
    def context_tokens(self) -> int:
        return self.ledger.tokens(self.toolbox.definitions)

    @property
    def usage(self) -> Usage:
        return self._asking.usage

    @property
    def requests(self) -> int:
        return self._asking.requests

    @property
    def history(self) -> History:
        return self.ledger.history

    @property
    def tools(self) -> list[Tool]:
        return list(self.toolbox.tools.values())

    @property
    def session_path(self) -> Path | None:
        return self._writer.path if self._writer is not None else None

    def background(self) -> list[BackgroundProcess]:
        return [each for each in self.runtime.sandbox.processes() if each.exit_code is None]

    def personalities(self) -> dict[str, str]:
        return load_personalities(self.settings.personalities)
