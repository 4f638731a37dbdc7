"""What of a message is pictures: those it names, and those that were pasted into the line."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from repl.named_pictures import named_pictures

if TYPE_CHECKING:
    from conversation.event import TurnFinished
    from conversation.message import ContentPart
    from repl.agent_port import AgentPort
    from tools.pictures import Picture

MOST_PASTED = 8
"""So many pasted pictures are kept, for lines that are brought back."""
IF_IT_IS_BLIND = (
    "If {model} cannot look at pictures: /undo takes yours back. So that it is never sent any: "
    "/config model.sees_images false"
)
_REFUSALS = re.compile(r"\b(400|404|415|422|500|501)\b|image|vision|multi-?modal", re.IGNORECASE)


@dataclass(slots=True)
class Composed:
    """What goes to the agent, and what the person is told: (text, style) lines."""

    content: str | list[ContentPart]
    told: list[tuple[str, str]] = field(default_factory=list)
    pictures: int = 0


class PastedPictures:
    """By the mark that stands for each in the line; deleted there, a picture is not sent."""

    def __init__(self) -> None:
        self._kept: dict[str, Picture] = {}
        self._files: list[str] = []
        self._count = 0

    def keep(self, data: bytes) -> str:
        """The mark for the picture. Raises tools.pictures.PictureError."""
        from tools.pictures import SUFFIXES, check_picture

        picture = check_picture("what is in the clipboard", data)
        self._count += 1
        name = f"pasted-{self._count}{SUFFIXES[picture.media_type]}"
        picture = type(picture)(name, picture.media_type, data, picture.width, picture.height)
        self._kept[picture.told] = picture
        while len(self._kept) > MOST_PASTED:
            del self._kept[next(iter(self._kept))]
        return picture.told

    def in_text(self, text: str) -> list[Picture]:
        return [picture for mark, picture in self._kept.items() if mark in text]

    def saved(self, text: str, marked: list[Picture]) -> str:
        """Pasted pictures go into files, for a tool that looks at them; `text` with their paths."""
        import os
        import tempfile

        for picture in marked:
            suffix = os.path.splitext(picture.name)[1]
            descriptor, path = tempfile.mkstemp(suffix, "hermes-pasted-")
            self._files.append(path)
            with open(descriptor, "wb") as file:
                file.write(picture.data)
            text = text.replace(picture.told, path)
        return text

    def remove_files(self) -> None:
        """Nobody looks at them once hermes has ended."""
        import contextlib
        import os

        while self._files:
            with contextlib.suppress(OSError):  # it is gone already, or lies where others clean up
                os.unlink(self._files.pop())


async def compose(text: str, pasted: PastedPictures, agent: AgentPort) -> Composed:
    """The message with its pictures; for a model that is known to be blind, the text with their paths."""
    marked = pasted.in_text(text)
    names = named_pictures(text)
    if not marked and not names:
        return Composed(text)
    return await asyncio.to_thread(_compose, text, marked, names, pasted, agent)


def may_be_blindness(finished: TurnFinished) -> bool:
    """Whether a server may have failed because of a picture: each says so in words of its own."""
    return finished.outcome in ("failed", "unavailable") and bool(_REFUSALS.search(finished.reason))


def _compose(
    text: str, marked: list[Picture], names: list[str], pasted: PastedPictures, agent: AgentPort
) -> Composed:
    from tools.pictures import PictureError, open_picture, text_and_pictures

    composed = Composed(text)
    named: list[Picture] = []
    for name in names:
        try:
            named.append(open_picture(name))
        except PictureError as error:
            composed.told.append((f"not shown to the model: {error}", "yellow"))
        except OSError as error:
            composed.told.append((f"not shown to the model: {name}: {error.strerror or error}", "yellow"))
    if agent.sees_images is False:
        composed.content = pasted.saved(text, marked)
        if marked or named:
            composed.told.append((_blind(agent), "yellow"))
        return composed
    composed.told += [(picture.told, "dim") for picture in named]
    composed.told += [(picture.warning, "yellow") for picture in (*marked, *named) if picture.warning]
    composed.pictures = len(marked) + len(named)
    if composed.pictures:
        composed.content = text_and_pictures(text, [*marked, *named])
    return composed


def _blind(agent: AgentPort) -> str:
    if any(tool.name == "vision_analyze" for tool in agent.tools):
        return f"{agent.model_name} cannot look at pictures; it can have one described, by its path"
    return (
        f"{agent.model_name} cannot look at pictures; auxiliary.vision.name in the settings can name a model "
        "that describes them"
    )
