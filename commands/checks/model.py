"""The model: where it is, by which key, through which proxy, and whether its server answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from difflib import get_close_matches

from commands.checks.finding import Finding, Scene, by_settings, off, ok, problem, warning
from commands.checks.reach import set_proxy
from models.model_list import Way
from models.providers import PROVIDERS, Endpoint, default_model, resolve_endpoint, shown_url

SECONDS = 2.5
_OTHER_KEYS = (
    "FIRECRAWL_API_KEY", "BROWSERBASE_API_KEY", "BROWSERBASE_PROJECT_ID", "FAL_KEY", "NOMAD_TOKEN",
    "SUDO_PASSWORD",
)  # fmt: skip
_NO_MODEL = "hermes config set-key OPENROUTER_API_KEY, or name a server: hermes config set model.base_url URL"


def check_keys(scene: Scene) -> Iterator[Finding]:
    """Names alone."""
    own = [each.key_env for each in scene.settings.providers.values()]
    known = [*(key for each in PROVIDERS.values() for key in each.keys), scene.settings.model.key_env, *own]
    names = [name for name in dict.fromkeys([*known, *_OTHER_KEYS]) if name and name in scene.secrets]
    if names:
        yield ok("keys", f"set: {', '.join(names)}")
    else:
        yield off("keys", "none that hermes knows is set")
    for name in names:
        value = scene.secrets[name]
        if (
            value != value.strip()
            or not value.isascii()
            or not value.strip().isprintable()
            or " " in value.strip()
        ):
            text = f"{name} holds blanks or characters that no key has"
            yield warning("keys", text, f"hermes config set-key {name}")


@by_settings("")
def check_way(scene: Scene) -> Iterator[Finding]:
    """Proxy and certificates."""
    model = scene.settings.model
    used = set_proxy(scene)
    if model.proxy:
        yield ok("proxy", f"{shown_url(model.proxy)} (model.proxy)")
    elif used:
        yield ok("proxy", f"{shown_url(scene.environ[used])} ({used})")
    for name, path in (
        ("model.ca_file", model.ca_file),
        ("SSL_CERT_FILE", scene.environ.get("SSL_CERT_FILE", "")),
    ):
        if path and not os.access(os.path.expanduser(path), os.R_OK):
            yield problem(
                "certificates", f"{name} names {path}, which cannot be read", f"mend or unset {name}"
            )
        elif path:
            yield ok("certificates", f"{path} ({name})")


@by_settings("server", "asked")
def check_server(scene: Scene) -> Iterator[Finding]:
    endpoint = resolve_endpoint(scene.settings, scene.secrets)
    if endpoint.problem:
        fix = f"hermes config set-key {endpoint.key_env}" if endpoint.key_env else _NO_MODEL
        yield problem("server", endpoint.problem, fix)
        return
    if endpoint.name == "offline":
        yield _offline(scene)
        return
    name = scene.settings.model.name or default_model(endpoint)
    where = f"{endpoint.title}, {endpoint.address}"
    if scene.offline:
        yield off("server", f"{where}: not asked (--offline)")
        yield ok("model", name or "the first that the server lists")
        return
    yield from _ask(scene, endpoint, where, name)


@by_settings("")
def check_key(scene: Scene) -> Iterator[Finding]:
    """OpenRouter lists its models to everybody, so the key is asked about as well."""
    endpoint = resolve_endpoint(scene.settings, scene.secrets)
    if scene.offline or not endpoint.is_openrouter or not endpoint.api_key:
        return
    from models.chat_model import ModelError
    from models.model_list import ask_about_key

    try:
        left = ask_about_key(endpoint, _way(scene))
    except ModelError as error:
        if error.kind in ("auth", "forbidden", "payment"):
            yield problem("key", str(error), error.hint)
        return
    if left is None:
        yield ok("key", f"{endpoint.title} takes it")
    elif left > 0:
        yield ok("key", f"{endpoint.title} takes it; it may still spend ${left:.2f}")
    else:
        yield problem(
            "key", f"what the key at {endpoint.title} may spend is used up", "raise its limit there"
        )


def _way(scene: Scene) -> Way:
    model = scene.settings.model
    return Way(model.extra_headers, model.proxy, model.ca_file, SECONDS)


def _offline(scene: Scene) -> Finding:
    found = "" if scene.offline else _local_server()
    if found:
        fix = f"hermes config set model.provider {found}"
        return warning("server", f"none is chosen, so the offline model answers; {found} runs here", fix)
    if (scene.settings.model.provider or scene.settings.model.name) == "offline":
        return ok("server", "the offline model is chosen")
    return off("server", "no key and no server is set: the offline model answers", _NO_MODEL)


def _local_server() -> str:
    from models.local_servers import find_local_servers

    return next((each.name for each in asyncio.run(find_local_servers())), "")


def _ask(scene: Scene, endpoint: Endpoint, where: str, name: str) -> Iterator[Finding]:
    from models.chat_model import ModelError
    from models.model_list import ask_for_models

    try:
        listed = ask_for_models(endpoint, _way(scene))
    except ModelError as error:
        if error.status in (404, 405, 501):
            yield warning("server", f"{where} answers, and does not list its models", error.hint)
        else:
            yield problem("server", str(error), error.hint)
        return
    yield ok("server", f"{where} answers and lists {len(listed)} models")
    ids = [each.id for each in listed]
    if not name:
        if ids and endpoint.is_loopback:
            yield ok("model", f"{ids[0]}, the first that it lists")
        else:
            yield problem("model", "none is named", "hermes config set model.name NAME")
        return
    found = next(
        (each for each in listed if each.id == name or each.id.removesuffix(":latest") == name), None
    )
    if found is None and ids:
        near = get_close_matches(name, ids, n=3, cutoff=0.5) or ids[:3]
        text = f"{name} is not among those it lists; near it: {', '.join(near)}"
        yield warning("model", text, f"hermes config set model.name {near[0]}")
    elif found is not None and found.tools is False:
        text = f"{name} cannot call tools, says the server"
        yield problem("model", text, "choose another one: hermes config set model.name NAME")
    else:
        says = " and can call tools, says the server" if found is not None and found.tools else ""
        yield ok("model", f"{name} is there{says}" if found is not None else name)
