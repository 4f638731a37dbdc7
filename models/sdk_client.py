"""The openai SDK's client, built for one endpoint. Importing the SDK takes about 0.3 s: see `warm`."""

from __future__ import annotations

import gc
import importlib
import os
import ssl
import sys
import threading
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from models.chat_model import ModelError
from models.providers import Endpoint

if TYPE_CHECKING:
    from openai import AsyncOpenAI

KEEP_ALIVE = 55.0
"""Seconds an unused connection is kept: tools run in between, and most servers keep one for a minute."""

NO_KEY = "none"
"""Sent to servers that need no key: the SDK will not send a request without one."""


_IMPORTING = threading.Lock()


def warm() -> None:
    """Begin to import the SDK in a thread, so that the first request need not wait for it."""
    if "openai" not in sys.modules:
        threading.Thread(target=import_sdk, daemon=True).start()


def import_sdk() -> ModuleType:
    """The SDK, imported without what only slows it down.

    It tries to import aiohttp for a transport that is not used here, which costs a fifth of its time where
    aiohttp is installed; and the collector walks the classes it makes again and again, for another tenth.
    """
    with _IMPORTING:
        if "openai" in sys.modules:
            return sys.modules["openai"]
        hidden = "aiohttp" not in sys.modules
        if hidden:
            sys.modules["aiohttp"] = None  # type: ignore[assignment]  # the way to say: not importable
        collecting = gc.isenabled()
        gc.disable()
        try:
            return importlib.import_module("openai")
        finally:
            if collecting:
                gc.enable()
            if hidden:
                sys.modules.pop("aiohttp", None)


def build_client(
    endpoint: Endpoint, *, headers: Mapping[str, str], proxy: str, ca_file: str, connect_timeout: float
) -> AsyncOpenAI:
    """A client that never retries, follows no redirect, and sends no other account's identity.

    Raises:
        ModelError: the CA file or the proxy URL cannot be used.
    """
    openai: Any = import_sdk()
    _check_headers(endpoint, headers)
    http = http_client(endpoint, proxy=proxy, ca_file=ca_file, connect_timeout=connect_timeout)
    client = openai.AsyncOpenAI(
        api_key=endpoint.api_key or NO_KEY,
        base_url=endpoint.base_url,
        max_retries=0,
        default_headers=dict(headers),
        http_client=http,
    )
    if not endpoint.is_openai:
        # The SDK reads OpenAI's account variables by itself; they are no other provider's business.
        client.organization = client.project = client.admin_api_key = None
    return cast("AsyncOpenAI", client)


def http_client(endpoint: Endpoint, *, proxy: str, ca_file: str, connect_timeout: float) -> Any:
    """The client of the HTTP library below the SDK, for what is no chat. It sends no key by itself.

    Raises:
        ModelError: the CA file or the proxy URL cannot be used.
    """
    openai: Any = import_sdk()
    loopback = endpoint.is_loopback and not proxy
    try:
        return openai.DefaultAsyncHttpxClient(
            verify=_trust(endpoint, ca_file),
            proxy=proxy or None,
            # A proxy of the environment cannot reach this machine's own loopback.
            trust_env=not loopback,
            # A redirected POST turns into a GET or carries the key to another host.
            follow_redirects=False,
            timeout=openai.Timeout(None, connect=connect_timeout),
            limits=_http_library().Limits(max_connections=1000, keepalive_expiry=KEEP_ALIVE),
        )
    except (ValueError, ImportError) as error:
        hint = "Check model.proxy and the proxy variables of the environment; http:// and https:// work."
        raise ModelError("bad_request", f"the proxy cannot be used: {error}", hint=hint) from None


def transport_errors() -> tuple[type[Exception], ...]:
    """What the SDK and the HTTP library below it raise."""
    import openai

    library = _http_library()
    return (openai.OpenAIError, library.HTTPError, library.InvalidURL, library.StreamError, OSError)


def _http_library() -> Any:
    """The HTTP library that the SDK uses: httpx, or its successor httpx2."""
    import openai

    bases = (base.__module__.partition(".")[0] for base in openai.DefaultAsyncHttpxClient.__mro__)
    return sys.modules[next(name for name in bases if name != "openai")]


def _check_headers(endpoint: Endpoint, headers: Mapping[str, str]) -> None:
    """Refuse what HTTP cannot carry, without showing it: the library's own error would."""
    if not _is_sendable(endpoint.api_key or ""):
        message = f"the key in {endpoint.key_env or 'the settings'} has characters that no key has"
        raise ModelError("auth", message, hint="Copy it again, without quotes, line breaks or other text.")
    for name, value in headers.items():
        if not _is_sendable(name) or not _is_sendable(value):
            hint = "Header names and values are printable ASCII."
            raise ModelError("bad_request", f"model.extra_headers: {name!r} cannot be sent", hint=hint)


def _is_sendable(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _trust(endpoint: Endpoint, ca_file: str) -> ssl.SSLContext | bool:
    # Off loopback the library honours the variable itself; see `trust_env` above.
    ca_file = ca_file or (os.environ.get("SSL_CERT_FILE", "") if endpoint.is_loopback else "")
    if ca_file:
        try:
            return ssl.create_default_context(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror or "it holds no certificate"
            hint = "model.ca_file (or SSL_CERT_FILE) must name a PEM file of certificates."
            message = f"the CA file {ca_file!r} cannot be used: {reason}"
            raise ModelError("bad_request", message, hint=hint) from None
    if endpoint.base_url.startswith("http://") and endpoint.is_loopback:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # Trusts nobody: loading a store takes 20 ms.
    return True
