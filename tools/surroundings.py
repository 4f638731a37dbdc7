"""What is around an agent before it does anything. By it a tool says whether it can be used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from settings import Settings, hermes_home, is_trusted, load_settings, logs_dir, read_secrets


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`secrets` are the keys by variable name, of `.env` and the environment; `cwd` is the working folder.

    `trusted`: the person trusts that folder, so what lies in it may add skills. `impersonal`: what is said
    becomes training data made in bulk; nothing that the person keeps for themselves (memory, earlier
    sessions) may be read or written.
    """

    settings: Settings = field(default_factory=Settings)
    secrets: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    cwd: str = ""
    trusted: bool = False
    impersonal: bool = False

    @property
    def home(self) -> Path:
        """Where hermes keeps what is the person's."""
        return hermes_home(self.environ)

    @property
    def logs(self) -> Path:
        return logs_dir(self.environ)


def surroundings(
    settings: Settings,
    cwd: str,
    environ: Mapping[str, str] = os.environ,
    *,
    trusted: bool = False,
    impersonal: bool = False,
) -> Surroundings:
    """With the secrets read. Raises SettingsError where `.env` cannot be used."""
    return Surroundings(settings, read_secrets(environ), environ, cwd, trusted, impersonal)


def surroundings_here() -> Surroundings:
    """For doors that are told nothing: the settings that hold in this folder. Raises SettingsError."""
    here = Path.cwd()
    trusted = is_trusted(here)
    settings = load_settings(cwd=here, project_trusted=trusted).settings
    return surroundings(settings, str(here), trusted=trusted)
