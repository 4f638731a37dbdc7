"""OpenAI's images API, as many servers speak it.

https://platform.openai.com/docs/api-reference/images/create
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from models.failure import bad_body
from tools.images.drawing import Size
from tools.images.image_server import ImageServer

_SIZES: dict[Size, str] = {"square": "1024x1024", "wide": "1536x1024", "tall": "1024x1536"}
_SIZES_OF_DALL_E: dict[Size, str] = {"square": "1024x1024", "wide": "1792x1024", "tall": "1024x1792"}


async def draw_with_openai(server: ImageServer, prompt: str, size: Size) -> bytes:
    """The bytes of one picture, whatever they are. Raises ModelError."""
    older = server.model.startswith("dall-e")
    body: dict[str, Any] = {"prompt": prompt, "n": 1, "size": (_SIZES_OF_DALL_E if older else _SIZES)[size]}
    if server.model:
        body["model"] = server.model
    if not server.model.startswith("gpt-image"):  # which refuse the field, and send base64 always
        body["response_format"] = "b64_json"
    answer = await server.send("POST", "images/generations", body)
    made = answer.get("data")
    first = made[0] if isinstance(made, list) and made else None
    if not isinstance(first, dict):
        raise bad_body(server.where, "sent an answer without a picture")
    if text := first.get("b64_json"):
        return from_base64(server, str(text))
    if url := first.get("url"):
        return from_base64(server, url) if str(url).startswith("data:") else await server.download(str(url))
    raise bad_body(server.where, "sent an answer without a picture")


def from_base64(server: ImageServer, text: str) -> bytes:
    """Also of a data URL. Raises ModelError."""
    try:
        return base64.b64decode(text.rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise bad_body(server.where, "sent a picture that is no base64") from None
