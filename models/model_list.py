"""What a server says of the models it has: GET /models, asked once, with the words of `models.failure`."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from models.chat_model import ModelError
from models.failure import FailureContext, bad_body, from_status, from_transport, is_page, web_page
from models.providers import Endpoint

MOST_BYTES = 20_000_000


class ListedModel(Struct, frozen=True):
    """`tools`: whether it can call tools; None where the server does not say."""

    id: str
    tools: bool | None = None


def ask_for_models(
    endpoint: Endpoint,
    *,
    headers: Mapping[str, str] = {},
    proxy: str = "",
    ca_file: str = "",
    timeout: float = 3.0,
) -> list[ListedModel]:
    """The models that `endpoint` lists. It blocks, `timeout` seconds at most.

    Raises:
        ModelError: no answer, a refusal, or an answer that is no list of models.
    """
    import httpx2

    where = FailureContext(endpoint, "", (proxy, *headers.values()))
    sent = {**endpoint.headers, **headers}
    if endpoint.api_key:
        sent["Authorization"] = f"Bearer {endpoint.api_key}"
    try:
        with httpx2.Client(
            headers=sent, verify=_trust(ca_file), proxy=proxy or None, timeout=timeout,
            # A proxy of the environment cannot reach this machine's own loopback.
            trust_env=bool(proxy) or not endpoint.is_loopback, follow_redirects=False,
        ) as client:  # fmt: skip
            answer = client.get(f"{endpoint.base_url.rstrip('/')}/models")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, ImportError) as error:
        raise from_transport(where, error, during_stream=False) from error
    if answer.status_code != 200:
        raise from_status(where, answer.status_code, dict(answer.headers), answer.text)
    if is_page(answer.headers.get("content-type", ""), answer.text[:100]):
        raise web_page(where)
    try:
        found = _models(answer.json())
    except (ValueError, RecursionError):
        found = None
    if found is None:
        raise bad_body(where, "answered with something else than a list of models")
    return found


def _trust(ca_file: str) -> ssl.SSLContext | bool:
    if not ca_file:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", "") or "it holds no certificate"
        hint = "model.ca_file must name a PEM file of certificates."
        raise ModelError(
            "bad_request", f"the CA file {ca_file!r} cannot be used: {reason}", hint=hint
        ) from None


def _models(body: Any) -> list[ListedModel] | None:
    """From OpenAI's list layout; None from any other."""
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, list):
        return None
    return [
        ListedModel(each["id"], _tools(each))
        for each in data
        if isinstance(each, dict) and isinstance(each.get("id"), str)
    ]


def _tools(entry: Mapping[str, Any]) -> bool | None:
    """OpenRouter lists `supported_parameters`; others have `capabilities`, as a list or as flags."""
    parameters, capabilities = entry.get("supported_parameters"), entry.get("capabilities")
    if isinstance(parameters, list):
        return "tools" in parameters
    if isinstance(capabilities, list):
        return bool({"tools", "tool_use", "function_calling"} & set(map(str, capabilities)))
    if isinstance(capabilities, dict) and isinstance(capabilities.get("function_calling"), bool):
        return bool(capabilities["function_calling"])
    return None
