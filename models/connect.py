"""From settings to a model that can be asked."""

from __future__ import annotations

from collections.abc import Mapping

from models.chat_model import ChatModel
from models.known_models import known_model, sees_images
from models.openai_model import OpenAIChatModel
from models.providers import Endpoint, default_model, resolve_endpoint
from models.retry import RetryingModel
from settings import Settings


def connect_model(settings: Settings, secrets: Mapping[str, str]) -> ChatModel:
    """The model the settings ask for, with retries; the offline model if they name none and no key is set.

    `secrets` are the environment and the .env file, merged. Nothing goes over the network, unless no
    model is named for a server on this machine: then the server is asked which one it has. What is
    wrong with the settings shows at the first request, as a ModelError.
    """
    endpoint = resolve_endpoint(settings, secrets)
    if endpoint.name == "offline":
        from models.offline import OfflineModel

        return OfflineModel()
    return connect_endpoint(settings, endpoint)


def connect_endpoint(settings: Settings, endpoint: Endpoint) -> RetryingModel:
    """As `connect_model`, for an endpoint that is already known (a local server that was found)."""
    model = settings.model
    name = model.name or default_model(endpoint) or _first_of(endpoint)
    known = known_model(name, endpoint)
    prices = known.prices
    if model.price_prompt is not None and model.price_completion is not None:
        prices = (model.price_prompt, model.price_completion)
    inner = OpenAIChatModel(
        model,
        endpoint,
        name=name,
        retry=settings.retry,
        context_window=model.context_window or known.context_window,
        prices=prices,
        blind=(sees_images(name) if model.sees_images is None else model.sees_images) is False,
    )
    return RetryingModel(inner, settings.retry)


def _first_of(endpoint: Endpoint) -> str:
    if not endpoint.is_loopback:
        return ""
    from models.local_servers import list_models

    return next(iter(list_models(endpoint.base_url, api_key=endpoint.api_key or "")), "")
