"""What the command line said about a chat. Light to import: the prompt is drawn before anything else is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class ChatOptions(NamedTuple):
    """`flags` are settings by dotted name, `images` paths. "" and None mean that nothing was said."""

    flags: Mapping[str, Any]
    system: str = ""
    resume: str = ""
    continue_last: bool = False
    fork: bool = False
    images: tuple[str, ...] = ()
