"""Sandboxes in instances of a real Apptainer. All of these tests belong to the long tier."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from configuration.sandbox_settings import ApptainerSettings
from sandboxes.containers.apptainer_host import ApptainerHost, make_apptainer_host
from sandboxes.hosted import HostedSandbox
from sandboxes.sandbox import ExecResult
from settings import Settings, TerminalSettings
from tests.sandboxes.apptainer_images import root_folder


class Instance:
    """A sandbox used from plain tests: each call runs to its end in the one event loop of the test."""

    def __init__(self, host: ApptainerHost, loop: asyncio.AbstractEventLoop, **more: Any) -> None:
        self.host = host
        self.sandbox = HostedSandbox("task", host, **more)
        self.wait = loop.run_until_complete

    def run(self, command: str, timeout: float = 30, **more: Any) -> ExecResult:
        return self.wait(self.sandbox.exec(command, timeout=timeout, **more))

    def text(self, command: str, timeout: float = 30, **more: Any) -> str:
        return self.run(command, timeout, **more).output.text


Begin: TypeAlias = Callable[..., Instance]


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image that is a plain folder."""
    return root_folder(tmp_path_factory.mktemp("apptainer"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder, with signs in its name that options give a meaning."""
    made = tmp_path / 'my wörk, a:b "c"'
    made.mkdir()
    return made


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the instances' folders of this machine are made."""
    made = tmp_path / "temp"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    monkeypatch.setenv("TMPDIR", str(made))
    return made


@pytest.fixture
def begin(root: Path, folder: Path, temp: Path) -> Iterator[Begin]:
    """Begin a sandbox; arguments are values of the settings. Nothing may be left."""
    begun: list[Instance] = []
    with asyncio.Runner() as runner:

        def make(
            *,
            cwd: Path = folder,
            terminal: dict[str, Any] | None = None,
            hidden: Sequence[str] = (),
            lifetime: float | None = None,
            **values: Any,
        ) -> Instance:
            settings = Settings(
                terminal=TerminalSettings(**{"backend": "apptainer", **(terminal or {})}),
                apptainer=ApptainerSettings(**{"image": str(root), **values}),
            )
            host = make_apptainer_host(settings, "task", str(cwd), os.environ, hidden)
            begun.append(Instance(host, runner.get_loop(), lifetime=lifetime))
            return begun[-1]

        yield make
        for each in begun:
            each.wait(each.sandbox.close())
    assert list(temp.glob("hermes-apptainer-*")) == []
