"""The tool vision_analyze: a question about a picture, put to a model that sees."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from models.chat_model import ModelError
from safety.gate import EffectRequest
from tools.auxiliary import ask_model, chosen_name, is_main, sees_images, why_no_vision
from tools.pictures import MOST_BYTES, Picture, PictureError, check_picture, read_picture, size_told
from tools.runtime import ToolReply, ToolRuntime
from tools.surroundings import Surroundings, surroundings_here
from tools.tool import ArgumentError, cut_answer, error_reply, ok_reply, tool
from tools.untrusted import PICTURE

if TYPE_CHECKING:
    from configuration.tool_settings import ModelChoice

_PROMPT = Path(__file__).with_name("vision_prompt.md")
MOST_ANSWER = 20_000
"""Characters of an answer: what a picture says is never as long, but a model that runs wild may be."""


def check_vision_requirements(around: Surroundings | None = None) -> str:
    """The reason and the fix where no model can look at pictures, else ""."""
    return why_no_vision(around or surroundings_here())


def is_url(image: str) -> bool:
    return image.lower().startswith(("http://", "https://"))


def _describe(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    image = arguments["image"]
    if is_url(image):
        try:
            host = urlsplit(image).hostname
        except ValueError as error:
            raise ArgumentError(f"{image[:200]!r} is no address: {error}") from None
        if why := _why_out_of_reach(runtime, image):
            raise ArgumentError(f"{image[:500]} cannot be had: {why}")
        return EffectRequest("vision_analyze", ("read", "net"), f"look at the picture {image}",
                             grant=f"fetch from {host}", urls=(image,))  # fmt: skip
    path = arguments["image"] = runtime.sandbox.canonical(_as_path(image))
    summary = f"show the picture {path} to the model"
    return EffectRequest("vision_analyze", ("read",), summary, (path,), "reading files")


def _why_out_of_reach(runtime: ToolRuntime, url: str) -> str:
    from tools.network.guard import why_out_of_reach

    return why_out_of_reach(url, runtime.around)


def _as_path(image: str) -> str:
    """Models also write file URLs, and data URLs, which they cannot know."""
    if image.lower().startswith("data:"):
        raise ArgumentError("image is a path or an http(s) URL, not the picture itself")
    if not image.lower().startswith("file://"):
        return image
    return unquote(urlsplit(image).path)


@tool(effects=("read", "net"), requires=check_vision_requirements, describe=_describe, side_by_side=True)
async def vision_analyze(runtime: ToolRuntime, image: str, question: str) -> ToolReply:
    """Ask about a picture: path or URL."""
    try:
        picture = await _picture(runtime, image)
    except FileNotFoundError:
        return error_reply(f"{image} does not exist")
    except PictureError as error:
        return error_reply(str(error))
    choice = runtime.settings.auxiliary.vision
    prompt = _PROMPT.read_text(encoding="utf-8")
    try:
        answer = await ask_model(
            runtime, choice, question, system=prompt, images=[(picture.media_type, picture.data)]
        )
    except ModelError as error:
        return error_reply(_failure(runtime, choice, picture, error))
    more = {"note": picture.warning} if picture.warning else {}
    more |= cut_answer(answer, MOST_ANSWER)
    return ok_reply(**more, size=f"{picture.width}x{picture.height}").by(PICTURE)


async def _picture(runtime: ToolRuntime, image: str) -> Picture:
    """Raises PictureError, OSError."""
    if not is_url(image):
        return await read_picture(runtime.sandbox, image)
    from tools.network.failures import FetchError

    try:
        return await fetch_picture(runtime, image)
    except FetchError as error:
        raise PictureError(f"{image} cannot be had: {error}") from None


async def fetch_picture(runtime: ToolRuntime, url: str) -> Picture:
    """Raises PictureError, tools.network.failures.FetchError."""
    from tools.network.fetch import Limits, fetch
    from tools.network.guard import guard_of

    limits = Limits(max_bytes=MOST_BYTES, timeout=runtime.settings.web.timeout)
    fetched = await fetch(
        url, guard=guard_of(runtime.around), limits=limits, whole=True, headers={"Accept": "image/*"}
    )
    if fetched.status >= 400:
        raise PictureError(f"{url} cannot be had: its server answers {fetched.status}")
    name = posixpath.basename(unquote(urlsplit(fetched.url).path)) or url
    return check_picture(name, fetched.body)


def _failure(runtime: ToolRuntime, choice: ModelChoice, picture: Picture, error: ModelError) -> str:
    """What happened and what to do, for the model and for the person who reads along."""
    name = (runtime.model.name if is_main(choice) and runtime.model else "") or chosen_name(
        runtime.around, choice
    )
    told = f"{name or 'the model'} could not look at it: {error}"
    if error.status in (400, 404, 413, 415, 422):
        told += f" (the picture has {size_told(len(picture.data))}, {picture.width}x{picture.height} pixels)"
        if sees_images(runtime.around, choice, runtime.model) is None:
            return told + ". If it cannot see, the person can name a model that does in auxiliary.vision.name"
    return f"{told}. {error.hint}"
