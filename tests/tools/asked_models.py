"""A workshop whose tools ask models behind a server on loopback, and that keeps what they spent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from conversation.message import Usage
from models.connect import connect_model
from safety.gate import Gate, Mode
from sandboxes.local import LocalSandbox
from settings import ModelSettings, RetrySettings, Settings
from tests.server.scripted_server import ScriptedServer
from tests.tools.workshop import Called, Workshop
from tools.runtime import ToolRuntime
from tools.surroundings import Surroundings


class ModelWorkshop(Workshop):
    """`model` are fields of the section `model`; the main model is `main-model` on the server."""

    def __init__(
        self,
        root: Path,
        server: ScriptedServer | None = None,
        *,
        settings: Settings | None = None,
        secrets: dict[str, str] | None = None,
        mode: Mode = "yolo",
        **model: Any,
    ) -> None:
        given = {"name": "main-model", "base_url": server.url if server else "", **model}
        settings = msgspec.structs.replace(
            settings or Settings(), model=ModelSettings(**given), retry=RetrySettings(attempts=0)
        )
        around = Surroundings(settings, secrets or {}, {}, str(root))
        self.root = root
        self.sandbox = LocalSandbox("test", str(root))
        self.spent: list[Usage] = []
        self.main = connect_model(settings, around.secrets)
        self.runtime = ToolRuntime(
            "test", self.sandbox, Gate(mode, workspace=str(root), explicit=True), model=self.main,
            settings=settings, around=around, spend=self.spent.append,
        )  # fmt: skip

    def call(self, name: str, **arguments: Any) -> Called:
        async def called() -> Called:
            try:
                return await self.acall(name, **arguments)
            finally:
                await self.runtime.close_stores()
                await self.main.aclose()

        return asyncio.run(called())
