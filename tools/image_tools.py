"""The tool image_generate: a picture drawn by a server, into a file."""

from __future__ import annotations

import itertools
import os
import posixpath
import re
from collections.abc import Iterator
from typing import Any

from safety.gate import EffectRequest
from tools.images.drawing import DrawingError, Size, draw, drawer, why_no_drawing
from tools.pictures import SUFFIXES, size_told
from tools.runtime import ToolReply, ToolRuntime
from tools.surroundings import Surroundings, surroundings_here
from tools.tool import error_reply, ok_reply, tool

_MOST_NAME = 40


class DrawnFiles:
    """Paths that pictures of a task were given, also of those that are still being written."""

    def __init__(self) -> None:
        self.paths: set[str] = set()


def check_image_requirements(around: Surroundings | None = None) -> str:
    """The reason and the fix where nobody is set up who draws, else ""."""
    return why_no_drawing(around or surroundings_here())


def _describe(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    here = runtime.sandbox.confinement.here
    paths = _paths(runtime, file_name(arguments["prompt"], ".png"))
    path = next(each for each in paths if not (here and os.path.exists(each)))
    who = drawer(runtime.around)
    drawn_by = who.endpoint.title if who else "nobody"
    where = path if here else f"{path} (if that is taken, with another number)"
    summary = f"have {drawn_by} draw into {where}:\n{arguments['prompt']}"
    return EffectRequest(
        "image_generate", ("write", "net"), summary, (path,), "drawing pictures",
        deed=f"it sends the description to {drawn_by} and keeps the picture that comes back",
    )  # fmt: skip


@tool(effects=("write", "net"), requires=check_image_requirements, describe=_describe, side_by_side=True)
async def image_generate(runtime: ToolRuntime, prompt: str, size: Size = "square") -> ToolReply:
    """Draw a picture."""
    if not prompt.strip():
        return error_reply("the prompt is empty; say what the picture shows")
    problem = why_no_drawing(runtime.around)
    chosen = drawer(runtime.around)
    if problem or chosen is None:
        return error_reply(problem)
    try:
        picture = await draw(runtime, chosen, prompt, size)
    except DrawingError as error:
        return error_reply(str(error))
    path = await _free_path(runtime, file_name(prompt, SUFFIXES[picture.media_type]))
    await runtime.sandbox.write_file(path, picture.data)
    shown = posixpath.relpath(path, runtime.sandbox.cwd)
    return ok_reply(path=shown, size=f"{picture.width}x{picture.height}", bytes=size_told(len(picture.data)))


def file_name(prompt: str, suffix: str) -> str:
    """`a-red-fox.png` for "A red fox!"; letters that not every file system takes are left out."""
    import unicodedata

    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    name = ""
    for word in words:
        if len(name) + len(word) >= _MOST_NAME:
            break
        name = f"{name}-{word}" if name else word
    return (name or (words[0][:_MOST_NAME] if words else "picture")) + suffix


def _paths(runtime: ToolRuntime, name: str) -> Iterator[str]:
    """`name`, then with numbers at its end, without those that pictures of the task were given."""
    stem, suffix = posixpath.splitext(name)
    taken = runtime.store(DrawnFiles).paths
    for number in itertools.count(1):
        path = runtime.sandbox.canonical(name if number == 1 else f"{stem}-{number}{suffix}")
        if path not in taken:
            yield path


async def _free_path(runtime: ToolRuntime, name: str) -> str:
    """Where nothing stands yet."""
    taken = runtime.store(DrawnFiles).paths
    for path in _paths(runtime, name):
        taken.add(path)
        try:
            await runtime.sandbox.stat(path)
        except FileNotFoundError:
            return path
    raise AssertionError("numbers do not end")
