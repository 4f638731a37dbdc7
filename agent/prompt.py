"""The system text: built once when a session starts, then kept as it is."""

from __future__ import annotations

import os
import platform
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from safety.paths import canonical, is_within, open_exact

BUILT_IN = Path(__file__).with_name("system.md")
PERSONALITIES = Path(__file__).with_name("personalities.yaml")
_MOST_BYTES_A_CHARACTER = 4
INSTRUCTIONS_LIMIT = 32_000
"""Characters of project instructions that are read; more would crowd out the conversation."""


def build_system_prompt(
    *,
    cwd: str,
    own_text: str = "",
    personality: str = "",
    instructions: str = "",
    at_hand: Sequence[str] = (),
) -> str:
    """The parts, joined by blank lines: the person's text, built-in, personality, project, what is at hand
    (skills, notes), place."""
    system, today = f"{platform.system()} {platform.machine()}", time.strftime("%Y-%m-%d")
    folder = f"Working folder: {cwd}\n" if cwd else ""
    place = f"{folder}System: {system}\nDate: {today}"
    project = f"Project instructions:\n{instructions}" if instructions else ""
    parts = (own_text, BUILT_IN.read_text(encoding="utf-8").strip(), personality, project, *at_hand, place)
    return "\n\n".join(part.strip() for part in parts if part.strip())


def read_instructions(folder: str, name: str) -> str:
    """The project's instructions file, "" if there is none. Only for folders the person trusts.

    A link counts if it leads to a file in the folder: its text goes to the model, other files' must not.
    """
    path = canonical(os.path.join(folder, name))
    if not name or not is_within(path, canonical(folder)):
        return ""
    try:
        with open(open_exact(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return ""
            data = file.read(INSTRUCTIONS_LIMIT * _MOST_BYTES_A_CHARACTER)
            left = os.fstat(file.fileno()).st_size - len(data)
    except OSError:
        return ""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    if left > 0 or len(text) > INSTRUCTIONS_LIMIT:
        return text[:INSTRUCTIONS_LIMIT] + f"\n[… there is more in {name}]"
    return text


def load_personalities(own: dict[str, str]) -> dict[str, str]:
    """Name to text: the built-in ones, the person's own on top."""
    import yaml

    with PERSONALITIES.open(encoding="utf-8") as file:
        built_in: dict[str, str] = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return {**built_in, **own}
