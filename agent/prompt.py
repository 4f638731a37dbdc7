"""The system text: built once when a session starts, then kept as it is."""

from __future__ import annotations

import platform
import time
from pathlib import Path

BUILT_IN = Path(__file__).with_name("system.md")
PERSONALITIES = Path(__file__).with_name("personalities.yaml")
INSTRUCTIONS_LIMIT = 32_000
"""Characters of project instructions that are read; more would crowd out the conversation."""


def build_system_prompt(
    *, cwd: str, own_text: str = "", personality: str = "", instructions: str = ""
) -> str:
    """The parts, joined by blank lines: the person's text, built-in, personality, project, place."""
    system, today = f"{platform.system()} {platform.machine()}", time.strftime("%Y-%m-%d")
    folder = f"Working folder: {cwd}\n" if cwd else ""
    place = f"{folder}System: {system}\nDate: {today}"
    project = f"Project instructions:\n{instructions}" if instructions else ""
    parts = (own_text, BUILT_IN.read_text(encoding="utf-8").strip(), personality, project, place)
    return "\n\n".join(part.strip() for part in parts if part.strip())


def read_instructions(folder: str, name: str) -> str:
    """The project's instructions file, "" if there is none. Only for folders the person trusts."""
    if not name:
        return ""
    try:
        text = Path(folder, name).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        return ""
    if len(text) > INSTRUCTIONS_LIMIT:
        return text[:INSTRUCTIONS_LIMIT] + f"\n[… {len(text) - INSTRUCTIONS_LIMIT} more characters in {name}]"
    return text


def load_personalities(own: dict[str, str]) -> dict[str, str]:
    """Name to text: the built-in ones, the person's own on top."""
    import yaml

    with PERSONALITIES.open(encoding="utf-8") as file:
        built_in: dict[str, str] = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return {**built_in, **own}
