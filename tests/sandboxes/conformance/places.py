"""The places that have to behave alike. One module each, `place_NAME.py`, with a function `open_place`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sandboxes.sandbox import Sandbox

NAMES = ("local", "plain", "bubblewrap", "landlock", "docker", "podman", "apptainer", "ssh", "modal", "nomad")


@dataclass(frozen=True)
class Place:
    """One way to run commands, ready to make sandboxes.

    Args:
        make: a sandbox that nobody has used yet, with the output limit given. Each starts in `folder`.
        folder: an existing, empty, writable folder inside.
        clean: empties `folder` again, where it outlives the sandbox.
        kill: ends the place behind the sandbox's back, as a crash would; None where nothing can.
        keys: a file of this machine, readable by the person alone, that must not be readable inside;
            "" where commands run as the person does.
    """

    name: str
    make: Callable[[int], Sandbox]
    folder: str
    clean: Callable[[], None] | None = None
    kill: Callable[[Sandbox], None] | None = None
    keys: str = ""


OpenPlace: TypeAlias = Callable[[Path], AbstractContextManager[Place]]
"""Gets an empty folder of this machine; calls `pytest.skip` with the reason where a part is missing."""


def emptied(folder: Path) -> Callable[[], None]:
    """For `Place.clean`, where `folder` is of this machine."""

    def clean() -> None:
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    return clean
