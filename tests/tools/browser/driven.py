"""A task with a browser, its tools called the way the loop calls them."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from configuration.tool_settings import BrowserSettings, WebSettings
from model_tools import call_tool
from safety.gate import EffectRequest, Gate, Mode, PermissionAnswer
from sandboxes.local import LocalSandbox
from sandboxes.process_tree import find_tree
from settings import Settings
from tests.tools.workshop import Called
from tools.browser.programs import find_chromium, find_driver
from tools.browser.session import BrowserSession
from tools.browser.task_browser import TaskBrowser
from tools.catalog import load_tool
from tools.runtime import ToolRuntime
from tools.surroundings import Surroundings

needs_browser = pytest.mark.skipif(
    not (find_driver(os.environ) and find_chromium("", os.environ)),
    reason="agent-browser or chromium is missing",
)
needs_driver = pytest.mark.skipif(not shutil.which("agent-browser"), reason="agent-browser is missing")


def environ(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **more}


class Driven:
    """`answers` are the person's, to be asked for in this order; `asked` is what they were asked."""

    def __init__(
        self, root: Path, hosts: Sequence[str] = (), *, task: str = "test", mode: Mode = "yolo",
        answers: Sequence[PermissionAnswer] = (), settings: BrowserSettings | None = None,
        env: dict[str, str] | None = None, secrets: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.asked: list[EffectRequest] = []
        self._answers = list(answers)
        known = Settings(web=WebSettings(allowed_hosts=list(hosts)), browser=settings or BrowserSettings())
        around = Surroundings(known, secrets or {}, env or environ(), str(root))
        gate = Gate(mode, workspace=str(root), explicit=True, ask=self._ask)
        self.runtime = ToolRuntime(task, LocalSandbox(task, str(root)), gate, settings=known, around=around)

    async def _ask(self, request: EffectRequest, reason: str) -> PermissionAnswer:
        self.asked.append(request)
        return self._answers.pop(0) if self._answers else "deny"

    @contextmanager
    def under(self, mode: Mode, *answers: PermissionAnswer) -> Iterator[None]:
        """Another gate for a while, which has read nothing and granted nothing."""
        before = self.runtime.gate
        self.asked, self._answers = [], list(answers)
        self.runtime.gate = Gate(mode, workspace=before.workspace, explicit=True, ask=self._ask)
        try:
            yield
        finally:
            self.runtime.gate = before

    def call(self, name: str, **arguments: Any) -> Called:
        return asyncio.run(self.acall(name, **arguments))

    async def acall(self, name: str, **arguments: Any) -> Called:
        import json

        reply = await call_tool(load_tool(f"browser_{name}"), arguments, self.runtime)
        return Called(json.loads(reply.content), reply.status, reply.display, len(reply.content.encode()))

    @property
    def browser(self) -> TaskBrowser:
        return self.runtime.store(TaskBrowser)

    @property
    def session(self) -> BrowserSession:
        assert self.browser.session is not None, "no browser runs"
        return self.browser.session

    def ref(self, role: str, name: str) -> str:
        """The ref of an element of the last snapshot."""
        return "@" + next(ref for ref, each in self.session.refs.items() if each == (role, name))

    def processes(self) -> set[int]:
        """Of the browser and what drives it, by the marker they carry and by descent."""
        return find_tree(self.session.marker)

    def close(self) -> None:
        asyncio.run(self.runtime.aclose())
