"""What a check finds, and what it may know before it begins."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from settings import LoadedSettings, Settings, hermes_home, logs_dir
from tools.surroundings import Surroundings

State = Literal["ok", "off", "warning", "problem"]


class Finding(msgspec.Struct, frozen=True):
    """`off`: not set up, or not wanted, and nothing is wrong. `fix` says what to do, "" if nothing is."""

    name: str
    state: State
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """What holds here. `secrets_problem` is that of `.env`, `trust_problem` that of the list of folders.

    Where the settings cannot be used, `loaded` is None, `settings` are the built-in ones, and
    `settings_problems` say why.
    """

    cwd: Path
    trusted: bool = False
    loaded: LoadedSettings | None = None
    settings_problems: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    secrets_problem: str = ""
    trust_problem: str = ""
    offline: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def settings(self) -> Settings:
        return self.loaded.settings if self.loaded is not None else Settings()

    @property
    def home(self) -> Path:
        return hermes_home(self.environ)

    @property
    def logs(self) -> Path:
        return logs_dir(self.environ)

    @property
    def around(self) -> Surroundings:
        return Surroundings(self.settings, self.secrets, self.environ, str(self.cwd), self.trusted)


Check: TypeAlias = Callable[[Scene], Iterator[Finding]]


def by_settings(name: str, told: str = "looked at") -> Callable[[Check], Check]:
    """For a check that goes by the settings: where they cannot be read, the built-in ones would have it look
    at what the person does not use, and take a key to a server it is not for."""

    def bound(check: Check) -> Check:
        @functools.wraps(check)
        def looked(scene: Scene) -> Iterator[Finding]:
            if scene.loaded is not None:
                yield from check(scene)
            elif name:
                yield off(name, f"not {told}, because the settings cannot be read")

        return looked

    return bound


def ok(name: str, text: str) -> Finding:
    return Finding(name, "ok", text)


def off(name: str, text: str, fix: str = "") -> Finding:
    return Finding(name, "off", text, fix)


def warning(name: str, text: str, fix: str) -> Finding:
    return Finding(name, "warning", text, fix)


def problem(name: str, text: str, fix: str) -> Finding:
    return Finding(name, "problem", text, fix)
