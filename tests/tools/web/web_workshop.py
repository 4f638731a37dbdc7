"""A workshop whose web tools may reach a site on loopback."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec.structs import replace as changed

from configuration.tool_settings import WebSettings
from safety.gate import Mode
from tests.tools.workshop import Called, Workshop
from tools.surroundings import Surroundings


class WebWorkshop(Workshop):
    """After `call` the task is over; for more than one call use `acall`, and close the runtime."""

    def call(self, name: str, **arguments: Any) -> Called:
        async def called() -> Called:
            try:
                return await self.acall(name, **arguments)
            finally:
                await self.runtime.aclose()

        return asyncio.run(called())


def web_settings(**values: Any) -> WebSettings:
    return WebSettings(**{"allowed_hosts": ["127.0.0.1"], "timeout": 10.0, **values})


def web_workshop(
    root: Path,
    mode: Mode = "yolo",
    *,
    secrets: dict[str, str] | None = None,
    impersonal: bool = False,
    **web: Any,
) -> WebWorkshop:
    workshop = WebWorkshop(root, mode)
    runtime = workshop.runtime
    runtime.settings = changed(runtime.settings, web=web_settings(**web))
    runtime.around = replace(
        Surroundings(runtime.settings, secrets or {}, {}, str(root)), impersonal=impersonal
    )
    return workshop
