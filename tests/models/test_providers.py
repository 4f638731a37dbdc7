"""Where requests go, and which key goes with them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from models.known_models import known_model
from models.providers import Endpoint, default_model, is_loopback, resolve_endpoint
from settings import ModelSettings, ProviderSettings, Settings

KEYS = {"OPENROUTER_API_KEY": "or-key", "OPENAI_API_KEY": "oa-key", "NOUS_API_KEY": "no-key"}


def resolve(
    secrets: dict[str, str], providers: dict[str, ProviderSettings] | None = None, **model: Any
) -> Endpoint:
    return resolve_endpoint(Settings(model=ModelSettings(**model), providers=providers or {}), secrets)


def test_without_anything_the_offline_model_is_meant() -> None:
    assert resolve({}).name == "offline"
    assert resolve({"OPENAI_API_KEY": ""}).name == "offline"
    assert resolve(KEYS, provider="offline").name == "offline"


def test_the_offline_model_by_its_name_is_asked_of_nobody_else() -> None:
    assert resolve(KEYS, name="offline").name == "offline"
    assert resolve(KEYS, name="offline", base_url="http://127.0.0.1:9/v1").name != "offline"
    assert resolve(KEYS, name="offline", provider="openai").name != "offline"


def test_openrouter_comes_before_openai() -> None:
    assert resolve(KEYS) == Endpoint(
        "openrouter", "https://openrouter.ai/api/v1", "or-key", "OPENROUTER_API_KEY"
    )
    openai = Endpoint("openai", "https://api.openai.com/v1", "oa-key", "OPENAI_API_KEY")
    assert resolve({"OPENAI_API_KEY": "oa-key"}) == openai


def test_a_named_provider_beats_the_keys_there_are() -> None:
    endpoint = resolve(KEYS, provider="nous")
    assert (endpoint.name, endpoint.api_key) == ("nous", "no-key")


def test_a_base_url_beats_a_provider() -> None:
    endpoint = resolve(KEYS, provider="nous", base_url="https://models.example.org/v1/")
    assert endpoint.base_url == "https://models.example.org/v1"


@pytest.mark.parametrize(
    ("base_url", "key"),
    [
        ("https://openrouter.ai/api/v1", "or-key"),
        ("https://api.openai.com/v1", "oa-key"),
        ("https://eu.api.openai.com/v1", "oa-key"),
        ("https://inference-api.nousresearch.com/v1", "no-key"),
        ("https://models.example.org/v1", "oa-key"),
        ("http://127.0.0.1:8000/v1", "oa-key"),
        ("https://openrouter.ai.example.org/v1", "oa-key"),
    ],
)
def test_a_key_goes_to_the_host_it_belongs_to(base_url: str, key: str) -> None:
    assert resolve(KEYS, base_url=base_url).api_key == key


def test_a_key_of_openrouter_goes_nowhere_else() -> None:
    secrets = {"OPENROUTER_API_KEY": "or-key"}
    for base_url in ("https://models.example.org/v1", "https://api.openai.com/v1", "http://localhost:1/v1"):
        assert resolve(secrets, base_url=base_url).api_key is None


def test_the_variable_that_holds_the_key_can_be_named() -> None:
    endpoint = resolve(
        {**KEYS, "MY_KEY": " mine\n"}, base_url="https://models.example.org/v1", key_env="MY_KEY"
    )
    assert (endpoint.api_key, endpoint.key_env) == ("mine", "MY_KEY")


def test_a_provider_of_ones_own() -> None:
    own = {"house": ProviderSettings(base_url="https://house.example/v1", key_env="HOUSE_KEY")}
    endpoint = resolve({"HOUSE_KEY": "h"}, own, provider="house")
    assert (endpoint.name, endpoint.base_url, endpoint.api_key) == ("house", "https://house.example/v1", "h")


def test_a_built_in_provider_with_a_url_of_ones_own_does_not_get_its_old_key() -> None:
    own = {"openrouter": ProviderSettings(base_url="https://elsewhere.example/v1")}
    assert resolve({"OPENROUTER_API_KEY": "or-key"}, own, provider="openrouter").api_key is None


def test_a_missing_key_is_named() -> None:
    problem = resolve({}, provider="openrouter").problem
    assert "OPENROUTER_API_KEY" in problem


def test_an_unknown_provider_is_told_which_there_are() -> None:
    assert "openrouter" in resolve({}, provider="opnrouter").problem


@pytest.mark.parametrize("name", ["ollama", "lmstudio", "llamacpp", "vllm", "sglang"])
def test_local_servers_need_no_key(name: str) -> None:
    endpoint = resolve({}, provider=name)
    assert endpoint.is_loopback
    assert endpoint.problem == ""
    assert default_model(endpoint) == ""


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://x/v1", "http://", "http://x:99999999/v1", "http://[::1/v1"]
)
def test_what_is_not_a_url_is_said_so(url: str) -> None:
    assert "not a URL" in resolve({}, base_url=url).problem


def test_loopback_is_told_by_the_address() -> None:
    assert all(map(is_loopback, ["http://localhost:1/v1", "http://127.9.9.9/v1", "http://[::1]:5/v1"]))
    assert not any(map(is_loopback, ["http://10.0.0.1/v1", "http://127.0.0.1.example.org/v1", "", "x"]))


def test_known_windows_and_prices_are_honest_about_the_rest() -> None:
    openai = Endpoint("openai", "https://api.openai.com/v1")
    assert known_model("gpt-4o-mini-2024-07-18", openai).context_window == 128_000
    assert known_model("gpt-4o-mini", openai).prices == (0.15, 0.6)
    elsewhere = known_model("openai/gpt-4o-mini", Endpoint("custom", "https://models.example.org/v1"))
    assert (elsewhere.context_window, elsewhere.prices) == (128_000, None)
    unknown = known_model("some-new-model", openai)
    assert (unknown.context_window, unknown.prices) == (None, None)


def test_a_server_on_this_machine_sets_its_own_window() -> None:
    ollama = known_model("llama-3.1-8b", Endpoint("ollama", "http://127.0.0.1:11434/v1"))
    assert (ollama.context_window, ollama.prices) == (None, (0.0, 0.0))
    assert known_model("gpt-4o", Endpoint("custom", "http://127.0.0.1:4000/v1")).prices is None


def test_who_names_a_model_is_not_answered_by_the_stand_in() -> None:
    named = msgspec.structs.replace(Settings(), model=ModelSettings(name="some-model"))
    assert "some-model" in resolve_endpoint(named, {}).problem
    assert resolve_endpoint(Settings(), {}).name == "offline"
    assert resolve_endpoint(named, {"OPENROUTER_API_KEY": "k"}).name == "openrouter"
