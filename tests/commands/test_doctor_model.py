"""What `hermes doctor` finds of keys, proxies, and the server of the model."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from commands.checks.model import check_key, check_keys, check_server, check_way
from commands.checks.own_settings import check_hooks
from commands.checks.places import check_place
from commands.checks.toolsets import check_toolsets
from commands.checks.web import check_browser, check_tool_servers, check_web
from tests.commands.doctors_patient import Person, answering, recording_proxy
from tests.server.scripted_server import scripted_server

KEY = "sk-doctor-0123456789abcdef"


@pytest.fixture
def person(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.chdir(tmp_path)
    return Person(home, tmp_path, monkeypatch)


def test_a_bad_key_is_told_with_the_variable_it_stands_in(person: Person) -> None:
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}})
    person.set("OPENAI_API_KEY", KEY)
    with answering(401, body) as url:
        person.has(f"model: {{name: x, base_url: '{url}'}}\n")
        found = person.finds(check_server)["server"]
    assert found.state == "problem"
    assert "refused the key in OPENAI_API_KEY (401)" in found.text
    assert "Check the key in OPENAI_API_KEY" in found.fix
    assert KEY not in found.text + found.fix


def test_a_model_the_server_does_not_list_is_told_with_those_near_it(person: Person) -> None:
    with scripted_server(models=["llama-3.1-8b", "scripted-large"]) as server:
        person.has(f"model: {{name: scripted, base_url: '{server.url}'}}\n")
        found = person.finds(check_server)["model"]
    assert found.state == "warning"
    assert "near it: scripted-large" in found.text


def test_a_server_that_is_gone_is_a_problem(person: Person) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    person.has(f"model: {{name: x, base_url: 'http://user:{KEY}@127.0.0.1:{port}/v1'}}\n")
    found = person.finds(check_server)["server"]
    assert found.state == "problem"
    assert "cannot reach http://127.0.0.1" in found.text
    assert KEY not in found.text


@pytest.mark.parametrize(
    ("body", "state", "word"),
    [
        ({"data": [{"id": "x", "supported_parameters": ["temperature"]}]}, "problem", "cannot call tools"),
        ({"data": [{"id": "x", "supported_parameters": ["tools"]}]}, "ok", "can call tools"),
        ({"data": [{"id": "x", "capabilities": ["completion"]}]}, "problem", "cannot call tools"),
        ({"data": [{"id": "x", "capabilities": {"function_calling": True}}]}, "ok", "can call tools"),
        ({"data": [{"id": "x"}]}, "ok", "x is there"),
    ],
)
def test_what_the_server_says_of_tools_counts(person: Person, body: Any, state: str, word: str) -> None:
    with answering(200, json.dumps(body)) as url:
        person.has(f"model: {{name: x, base_url: '{url}'}}\n")
        found = person.finds(check_server)["model"]
    assert (found.state, word in found.text) == (state, True)


@pytest.mark.parametrize(
    ("status", "body", "state", "word"),
    [
        (404, "{}", "warning", "does not list its models"),
        (500, "{}", "problem", "has a fault (500)"),
        (429, "{}", "problem", "asks to slow down"),
        (200, "<!doctype html><p>Log in", "problem", "a web page instead of the API"),
        (200, "[1, 2", "problem", "no JSON"),
        (200, "[1, 2]", "problem", "something else than a list of models"),
        (302, "", "problem", "sends the request elsewhere"),
    ],
)
def test_an_answer_that_is_no_list_is_told_for_what_it_is(
    person: Person, status: int, body: str, state: str, word: str
) -> None:
    with answering(status, body) as url:
        person.has(f"model: {{name: x, base_url: '{url}'}}\n")
        found = person.finds(check_server)["server"]
    assert (found.state, word in found.text) == (state, True), found


def test_offline_no_server_is_asked(person: Person) -> None:
    with scripted_server() as server:
        person.has(f"model: {{name: scripted, base_url: '{server.url}'}}\n")
        found = person.finds(check_server, offline=True)
        assert server.requests == []
    assert found["server"].state == "off"


def test_without_a_key_and_without_a_server_nothing_is_broken_and_a_hint_is_given(person: Person) -> None:
    found = person.finds(check_server, offline=True)["server"]
    assert (found.state, "set-key OPENROUTER_API_KEY" in found.fix) == ("off", True)
    person.set("HERMES_MODEL", "gpt-5")
    assert "nobody is known who serves gpt-5" in person.finds(check_server)["server"].text
    person.has("model: {provider: openai}\n")
    assert person.finds(check_server)["server"].fix == "hermes config set-key OPENAI_API_KEY"


@pytest.mark.parametrize(
    "broken", ["model:\n  base_url: {url}\n  nam: x\n", "model:\n  base_url: {url}\n  name: [\n"]
)
def test_while_the_settings_cannot_be_read_no_key_is_taken_to_any_server(person: Person, broken: str) -> None:
    person.set("OPENAI_API_KEY", KEY)
    person.set("OPENROUTER_API_KEY", KEY)
    with recording_proxy() as (url, asked):
        person.set("HTTPS_PROXY", url)  # whatever is asked for passes here
        person.has(broken.format(url=f"{url}/v1"))
        found = person.finds(check_server)
        assert person.finds(check_key) == {}
    assert asked == []
    assert [(each.name, each.state, each.text) for each in found.values()] == [
        ("server", "off", "not asked, because the settings cannot be read")
    ]


def test_while_it_is_not_known_whether_the_folders_settings_count_no_server_is_asked(person: Person) -> None:
    person.set("OPENAI_API_KEY", KEY)
    person.has("")
    (person.home / "trusted_folders.json").write_text("[")
    (person.cwd / ".hermes").mkdir()
    (person.cwd / ".hermes" / "config.yaml").write_text("model: {base_url: 'http://127.0.0.1:9/v1'}\n")
    with recording_proxy() as (url, asked):
        person.set("HTTPS_PROXY", url)
        assert person.states(check_server) == {"off"}
    assert asked == []


def test_while_the_settings_cannot_be_read_no_check_tells_of_the_built_in_ones(person: Person) -> None:
    person.has("terminal: {backend: ssh}\nssh: {hst: x}\n")
    for check in (check_place, check_toolsets, check_web, check_browser, check_tool_servers, check_hooks):
        told = [(each.state, each.text) for each in person.finds(check).values()]
        assert told == [("off", "not looked at, because the settings cannot be read")]


def test_keys_proxies_and_certificates_are_told_without_what_is_secret_in_them(person: Person) -> None:
    person.set("OPENAI_API_KEY", f" {KEY}\n")
    person.set("HTTPS_PROXY", f"http://me:{KEY}@proxy.example.org:3128")
    person.set("SSL_CERT_FILE", "/nowhere/ca.pem")
    found = [*person.finds(check_keys).values(), *person.finds(check_way).values()]
    assert KEY not in str(found)
    assert [each.state for each in found] == ["warning", "ok", "problem"]
    assert found[1].text == "http://proxy.example.org:3128 (HTTPS_PROXY)"


@pytest.mark.parametrize(
    ("status", "body", "state", "word"),
    [
        (200, '{"data": {"limit_remaining": 3.5}}', "ok", "it may still spend $3.50"),
        (200, '{"data": {"limit_remaining": null}}', "ok", "takes it"),
        (200, '{"data": {"limit_remaining": 0}}', "problem", "is used up"),
        (401, '{"error": {"code": 401, "message": "Unauthorized"}}', "problem", "refused the key"),
    ],
)
def test_the_key_of_openrouter_is_asked_about_because_its_list_is_for_everybody(
    person: Person, status: int, body: str, state: str, word: str
) -> None:
    person.set("OPENROUTER_API_KEY", KEY)
    with answering(status, body) as proxy:
        config = "{{name: x, base_url: 'http://openrouter.ai/api/v1', proxy: '{}'}}"
        person.has("model: " + config.format(proxy.removesuffix("/v1")) + "\n")
        found = person.finds(check_key)["key"]
    assert (found.state, word in found.text) == (state, True), found
    assert person.finds(check_key, offline=True) == {}
