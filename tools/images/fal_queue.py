"""FAL's queue (https://docs.fal.ai/model-endpoints/queue): hand in, ask how it stands, take the result."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from models.chat_model import ModelError
from models.failure import bad_body
from tools.images.drawing import Size
from tools.images.image_server import ImageServer
from tools.images.openai_images import from_base64

FIRST_WAIT = 0.3
MOST_WAIT = 5.0
GROWTH = 1.5
PATIENCE = 3
"""So many times in a row the status may fail to come."""
CANCEL_WITHIN = 0.3
"""Seconds: an interrupt waits no longer."""

_SIZES: dict[Size, str] = {"square": "square_hd", "wide": "landscape_4_3", "tall": "portrait_4_3"}


async def draw_with_fal(server: ImageServer, prompt: str, size: Size) -> bytes:
    """The bytes of one picture, whatever they are. Raises ModelError.

    Whatever ends the wait, FAL is told that nobody waits any more.
    """
    body = {"prompt": prompt, "image_size": _SIZES[size], "num_images": 1}
    ticket = await server.send("POST", server.model, body)
    status, result, cancel = (_own_url(server, ticket, name) for name in ("status", "response", "cancel"))
    done = False
    try:
        await _completed(server, status)
        done = True
    finally:
        if not done:
            with contextlib.suppress(ModelError, TimeoutError):
                async with asyncio.timeout(CANCEL_WITHIN):
                    await server.send("PUT", cancel)
    return await _picture(server, await server.send("GET", result))


def _own_url(server: ImageServer, ticket: dict[str, Any], name: str) -> str:
    """An address the answer names: the key goes along, so it must be on the queue's own host."""
    url = str(ticket.get(f"{name}_url") or "")
    if not url or not server.is_ours(url):
        raise bad_body(server.where, f"sent no {name}_url of its own")
    return url


async def _completed(server: ImageServer, status_url: str) -> None:
    wait, failures = FIRST_WAIT, 0
    while True:
        await asyncio.sleep(wait)
        wait = min(wait * GROWTH, MOST_WAIT)
        try:
            answer = await server.send("GET", status_url)
        except ModelError as error:
            failures += 1
            if not error.retryable or failures >= PATIENCE:
                raise
            continue
        failures = 0
        state = answer.get("status")
        if state == "COMPLETED":
            return
        if state not in ("IN_QUEUE", "IN_PROGRESS"):
            raise bad_body(server.where, f"says that the picture is {state!r}")


async def _picture(server: ImageServer, result: dict[str, Any]) -> bytes:
    images = result.get("images") or [result.get("image")]
    first = images[0] if isinstance(images, list) and images else None
    if not isinstance(first, dict) or not first.get("url"):
        raise bad_body(server.where, "sent an answer without a picture")
    refused = result.get("has_nsfw_concepts")
    if isinstance(refused, list) and refused and refused[0]:
        raise ModelError("bad_request", "FAL does not show what it drew: its filter took it for nudity")
    url = str(first["url"])
    return from_base64(server, url) if url.startswith("data:") else await server.download(url)
