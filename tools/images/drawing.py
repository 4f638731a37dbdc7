"""Who draws, by the settings and the keys, and the picture that comes of it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from models.providers import Endpoint, is_loopback, resolve_endpoint, shown_url
from settings import ModelSettings
from tools.pictures import Picture, PictureError, check_picture
from tools.runtime import ToolRuntime
from tools.surroundings import Surroundings

Size: TypeAlias = Literal["square", "wide", "tall"]

FAL_QUEUE = "https://queue.fal.run"
"""https://docs.fal.ai/model-endpoints/queue"""
FAL_MODEL = "fal-ai/flux/dev"
OPENAI_MODEL = "gpt-image-1"
NO_KEY = (
    "nobody is set up who draws: hermes config set-key FAL_KEY, or OPENAI_API_KEY, or set images.base_url"
)


class Drawer(Struct, frozen=True):
    """`kind` is the API it speaks; `endpoint.problem` says why it cannot be used."""

    kind: Literal["openai", "fal"]
    endpoint: Endpoint
    model: str


class DrawingError(Exception):
    """There is no picture; one or two sentences say why and what helps."""


def drawer(around: Surroundings) -> Drawer | None:
    """Who is to draw; None where nobody is set up."""
    images = around.settings.images
    if images.provider == "off":
        return None
    if images.provider == "fal" or (
        images.provider == "auto" and not images.base_url and around.secrets.get("FAL_KEY")
    ):
        return Drawer("fal", _fal(around), images.model or FAL_MODEL)
    if images.base_url or images.provider == "openai":
        endpoint = _compatible(around)
        return Drawer("openai", endpoint, images.model or (OPENAI_MODEL if endpoint.is_openai else ""))
    if around.secrets.get("OPENAI_API_KEY") and not _is_key_of_another(around):
        return Drawer("openai", _compatible(around), images.model or OPENAI_MODEL)
    return None


def why_no_drawing(around: Surroundings) -> str:
    """The reason and the fix where nobody draws, else "": for a tool's `requires`."""
    if around.settings.images.provider == "off":
        return "images.provider is off"
    chosen = drawer(around)
    if chosen is None:
        return NO_KEY
    return chosen.endpoint.problem.replace("model.base_url", "images.base_url")


async def draw(runtime: ToolRuntime, chosen: Drawer, prompt: str, size: Size) -> Picture:
    """Ask for one picture and wait for it, `images.timeout` seconds at the most.

    Raises:
        DrawingError: there is none.
    """
    import asyncio

    from models.chat_model import ModelError
    from tools.images.image_server import ImageServer

    limit = runtime.settings.images.timeout
    server = ImageServer(chosen.endpoint, chosen.model, runtime)
    try:
        async with asyncio.timeout(limit):
            if chosen.kind == "fal":
                from tools.images.fal_queue import draw_with_fal

                data = await draw_with_fal(server, prompt, size)
            else:
                from tools.images.openai_images import draw_with_openai

                data = await draw_with_openai(server, prompt, size)
        return check_picture("the answer", data)
    except TimeoutError:
        who = chosen.endpoint.title
        raise DrawingError(f"{who} has not drawn it within {limit:g} s (images.timeout)") from None
    except ModelError as error:
        raise DrawingError(f"{error}. {_hint(error, chosen)}") from None
    except PictureError as error:
        raise DrawingError(f"{chosen.endpoint.title} sent no picture: {error}") from None
    finally:
        await server.aclose()


def _fal(around: Surroundings) -> Endpoint:
    base_url = around.settings.images.base_url.rstrip("/") or FAL_QUEUE
    key = around.secrets.get("FAL_KEY", "").strip()
    problem = "" if key else "FAL needs a key: hermes config set-key FAL_KEY"
    if not base_url.startswith("https://") and not is_loopback(base_url):
        problem = f"images.base_url {shown_url(base_url)!r}: a key goes over https:// alone"
    return Endpoint("FAL", base_url, key or None, "FAL_KEY", problem)


def _compatible(around: Surroundings) -> Endpoint:
    """As a chat model's endpoint is found: a provider's key goes to its own host alone."""
    images = around.settings.images
    provider = "" if images.base_url else "openai"
    model = ModelSettings(images.model, provider, images.base_url, images.key_env)
    return resolve_endpoint(replace(around.settings, model=model), around.secrets)


def _is_key_of_another(around: Surroundings) -> bool:
    """OPENAI_API_KEY also holds the keys of servers that are no OpenAI."""
    endpoint = resolve_endpoint(around.settings, around.secrets)
    return endpoint.key_env == "OPENAI_API_KEY" and not endpoint.is_openai


def _hint(error: Exception, chosen: Drawer) -> str:
    from models.chat_model import ModelError

    assert isinstance(error, ModelError)
    match error.kind:
        case "not_found":
            return f"Check images.model ({chosen.model or 'none'}) and images.base_url."
        case "bad_request" | "context":
            return "Change the prompt or the size, or check the settings under `images`."
        case "connection":
            return "Is the server running? Check images.base_url and the network."
        case "auth" | "payment" | "forbidden":
            return error.hint
        case _:
            return "Try again later."
