"""What a server says of the models it has: GET /models, asked once, with the words of `models.failure`."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from models.chat_model import ModelError
from models.failure import FailureContext, bad_body, from_status, from_transport, is_page, web_page
from models.providers import Endpoint

MOST_BYTES = 20_000_000
"""Of an answer that are read."""


class ListedModel(Struct, frozen=True):
    """`tools`: whether it can call tools; None where the server does not say."""

    id: str
    tools: bool | None = None


class Way(Struct, frozen=True):
    """How a server is reached, as in the section `model`; `timeout` is in seconds."""

    headers: Mapping[str, str] = {}
    proxy: str = ""
    ca_file: str = ""
    timeout: float = 3.0


def ask_for_models(endpoint: Endpoint, way: Way) -> list[ListedModel]:
    """The models that `endpoint` lists. It blocks.

    Raises:
        ModelError: no answer, a refusal, or an answer that is no list of models.
    """
    found = _models(_ask(endpoint, way, "models"))
    if found is None:
        raise bad_body(FailureContext(endpoint, ""), "answered with something else than a list of models")
    return found


def ask_about_key(endpoint: Endpoint, way: Way) -> float | None:
    """The dollars that the key of OpenRouter may still spend; None if that has no limit. It blocks.

    There the list of models is for everybody, and says nothing of the key
    (https://openrouter.ai/docs/api/api-reference/api-keys/get-current-key).

    Raises:
        ModelError: as `ask_for_models`.
    """
    body = _ask(endpoint, way, "key")
    data = body.get("data") if isinstance(body, dict) else None
    left = data.get("limit_remaining") if isinstance(data, dict) else None
    return float(left) if isinstance(left, int | float) else None


def _ask(endpoint: Endpoint, way: Way, path: str) -> Any:
    import httpx2

    where = FailureContext(endpoint, "", (way.proxy, *way.headers.values()))
    sent = {**endpoint.headers, **way.headers}
    if endpoint.api_key:
        sent["Authorization"] = f"Bearer {endpoint.api_key}"
    # A proxy of the environment cannot reach this machine's own loopback.
    trust_env = bool(way.proxy) or not endpoint.is_loopback
    ca_file = way.ca_file or ("" if trust_env else os.environ.get("SSL_CERT_FILE", ""))
    url = f"{endpoint.base_url.rstrip('/')}/{path}"
    try:
        with (
            httpx2.Client(
                headers=sent, verify=_trust(endpoint, ca_file), proxy=way.proxy or None, timeout=way.timeout,
                trust_env=trust_env, follow_redirects=False,
            ) as client,
            client.stream("GET", url) as answer,
        ):  # fmt: skip
            body = _body(answer.iter_bytes())
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, ImportError) as error:
        raise from_transport(where, error, during_stream=False) from error
    if answer.status_code != 200:
        raise from_status(where, answer.status_code, dict(answer.headers), body)
    if is_page(answer.headers.get("content-type", ""), body):
        raise web_page(where)
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise bad_body(where, "answered with something that is no JSON") from None


def _body(pieces: Iterable[bytes]) -> str:
    kept = bytearray()
    for piece in pieces:
        kept += piece
        if len(kept) > MOST_BYTES:
            break
    return kept.decode("utf-8", "replace")


def _trust(endpoint: Endpoint, ca_file: str) -> ssl.SSLContext | bool:
    if endpoint.base_url.startswith("http://") and endpoint.is_loopback:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody: loading a store takes 20 ms
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
