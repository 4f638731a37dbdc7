"""Where models are served, and which key belongs to whom."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from settings import Settings


class Provider(Struct, frozen=True):
    """A place that serves models. `keys` are the variables that may hold its key, first one first.

    `default_model` is used where the person named none; "" on local servers: they are asked.
    """

    title: str
    base_url: str
    keys: tuple[str, ...] = ()
    default_model: str = ""
    headers: Mapping[str, str] = {}


PROVIDERS: dict[str, Provider] = {
    "openrouter": Provider(
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        ("OPENROUTER_API_KEY",),
        "anthropic/claude-sonnet-4.5",
        {"X-Title": "Hermes Agent"},
    ),
    "openai": Provider("OpenAI", "https://api.openai.com/v1", ("OPENAI_API_KEY",), "gpt-5"),
    "nous": Provider("Nous", "https://inference-api.nousresearch.com/v1", ("NOUS_API_KEY",), "Hermes-4-405B"),
    "ollama": Provider("Ollama", "http://127.0.0.1:11434/v1"),
    "lmstudio": Provider("LM Studio", "http://127.0.0.1:1234/v1"),
    "llamacpp": Provider("llama.cpp", "http://127.0.0.1:8080/v1"),
    "vllm": Provider("vLLM", "http://127.0.0.1:8000/v1"),
    "sglang": Provider("SGLang", "http://127.0.0.1:30000/v1"),
}

LOCAL_PROVIDERS = ("ollama", "lmstudio", "llamacpp", "vllm", "sglang")


class Endpoint(Struct, frozen=True):
    """Where requests go. `name` is the provider's, "custom" for a URL, or "offline".

    `key_env` is the variable the key came from or should stand in. `problem` says in one line why
    the endpoint cannot be used ("" if it can).
    """

    name: str
    base_url: str
    api_key: str | None = None
    key_env: str = ""
    problem: str = ""

    @property
    def title(self) -> str:
        """How the person knows it: "OpenRouter", or the host of a URL."""
        provider = PROVIDERS.get(self.name)
        if provider is not None:
            return provider.title
        return self.name if self.name not in ("", "custom") else host_of(self.base_url) or self.address

    @property
    def host(self) -> str:
        """Host and port, without the login that a URL may hold."""
        try:
            return urlsplit(self.base_url).netloc.rpartition("@")[2]
        except ValueError:
            return ""

    @property
    def address(self) -> str:
        """`base_url` as it may be shown."""
        return shown_url(self.base_url)

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r}, {self.address!r}, key_env={self.key_env!r})"

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.base_url)

    @property
    def is_openrouter(self) -> bool:
        return _same_host(self.base_url, PROVIDERS["openrouter"].base_url)

    @property
    def is_openai(self) -> bool:
        return _same_host(self.base_url, PROVIDERS["openai"].base_url)

    @property
    def headers(self) -> Mapping[str, str]:
        return PROVIDERS["openrouter"].headers if self.is_openrouter else {}


OFFLINE = Endpoint("offline", "")


def resolve_endpoint(settings: Settings, secrets: Mapping[str, str]) -> Endpoint:
    """Where to send requests: base_url > provider > OPENROUTER_API_KEY > OPENAI_API_KEY > offline.

    Offline only where no model is named either, or where it is the one that is named.

    `secrets` are the environment and the .env file, merged. A provider's key goes to its own host
    alone; OPENAI_API_KEY also goes to a base_url the person set, as the openai SDK does it.
    """
    model = settings.model
    if not model.base_url and (model.provider or model.name) == OFFLINE.name:
        return OFFLINE
    if model.base_url:
        return _custom(model.base_url.rstrip("/"), model.key_env, secrets)
    if model.provider:
        return _named(settings, secrets)
    for name in ("openrouter", "openai"):
        key_env = PROVIDERS[name].keys[0]
        if secrets.get(key_env):
            return Endpoint(name, PROVIDERS[name].base_url, secrets[key_env], key_env)
    if model.name:  # whoever names a model must not be answered by a stand-in
        problem = (
            f"nobody is known who serves {model.name}: set a key (hermes config set-key OPENROUTER_API_KEY), "
        )
        return Endpoint("", "", problem=problem + "or name a server with --base-url or --provider")
    return OFFLINE


def shown_url(url: str) -> str:
    """`url` without the login, and without the values of the query, any of which may be a key."""
    return re.sub(r"(?<=[?&])([^=&#]*)=[^&#]*", r"\1=…", re.sub(r"//[^/?#]*@", "//", url, count=1))


def default_model(endpoint: Endpoint) -> str:
    """The model to use where none was named; "" if only the server itself can say."""
    provider = PROVIDERS.get(endpoint.name)
    return provider.default_model if provider is not None else ""


@functools.lru_cache(16)
def host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


@functools.lru_cache(16)
def is_loopback(url: str) -> bool:
    host = host_of(url)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _same_host(url: str, other: str) -> bool:
    """The same host, or one below it (eu.api.example.com under api.example.com)."""
    host, parent = host_of(url), host_of(other)
    return host == parent or host.endswith("." + parent)


def _custom(base_url: str, key_env: str, secrets: Mapping[str, str]) -> Endpoint:
    try:
        parts = urlsplit(base_url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid:
        problem = f"model.base_url {shown_url(base_url)!r} is not a URL; it should look like http://127.0.0.1:8000/v1"
        return Endpoint("custom", base_url, None, key_env, problem)
    for name, provider in PROVIDERS.items():
        if provider.keys and _same_host(base_url, provider.base_url):
            return _with_key(name, base_url, (key_env,) if key_env else provider.keys, secrets)
    return _with_key("custom", base_url, (key_env or "OPENAI_API_KEY",), secrets, needed=bool(key_env))


def _named(settings: Settings, secrets: Mapping[str, str]) -> Endpoint:
    name = settings.model.provider
    own, built_in = settings.providers.get(name), PROVIDERS.get(name)
    if own is None and built_in is None:
        known = ", ".join(sorted({*PROVIDERS, *settings.providers, "offline"}))
        return Endpoint(name, "", None, "", f"there is no provider {name!r}; there are: {known}")
    base_url = (own.base_url if own else "") or (built_in.base_url if built_in else "")
    if not base_url:
        return Endpoint(name, "", None, "", f"providers.{name}.base_url is not set")
    own_key = settings.model.key_env or (own.key_env if own else "")
    keys = (own_key,) if own_key else built_in.keys if built_in else ()
    if own_key or not own or not own.base_url:
        return _with_key(name, base_url.rstrip("/"), keys, secrets)
    # A built-in name with a URL of the person's own and no key variable: that URL decides.
    return _custom(base_url.rstrip("/"), "", secrets)


def _with_key(
    name: str, base_url: str, keys: tuple[str, ...], secrets: Mapping[str, str], *, needed: bool = True
) -> Endpoint:
    for key_env in keys:
        if secrets.get(key_env):
            return Endpoint(name, base_url, secrets[key_env].strip(), key_env)
    key_env = keys[0] if keys else ""
    if key_env and needed and not is_loopback(base_url):
        title = Endpoint(name, base_url).title
        return Endpoint(name, base_url, None, key_env, f"{title} needs a key, and {key_env} is not set")
    return Endpoint(name, base_url, None, key_env)
