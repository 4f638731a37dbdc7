"""What `hermes doctor` finds of settings that name a server, a model or a folder that is not there."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commands.checks.finding import Finding, Scene
from commands.checks.own_settings import check_settings
from commands.checks.second_models import check_auxiliary, check_drawing, check_mixed_models
from commands.checks.web import check_browser, check_web
from tests.commands.doctors_patient import Person, answering, fake


@pytest.fixture
def person(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.chdir(tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    fake(programs, "agent-browser", "echo 0.27.0")
    monkeypatch.setenv("PATH", f"{programs}:/nowhere")
    return Person(home, tmp_path, monkeypatch)


@pytest.fixture
def closed() -> str:
    """The URL of a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("config", "check", "name", "word"),
    [
        ("web: {api_url: garbage}", check_web, "pages", "web.api_url 'garbage' is not a URL"),
        ("web: {search_engine: nosuchengine}", check_web, "search", "there is no engine 'nosuchengine'"),
        ("images: {base_url: garbage}", check_drawing, "images", "images.base_url 'garbage' is not a URL"),
        ("images: {provider: fal}", check_drawing, "images", "FAL needs a key"),
        ("images: {provider: openai}", check_drawing, "images", "OPENAI_API_KEY is not set"),
        ("auxiliary: {vision: {provider: nosuch}}", check_auxiliary, "vision model", "no provider 'nosuch'"),
        (
            "auxiliary: {summary: {base_url: x}}",
            check_auxiliary,
            "summary model",
            "base_url 'x' is not a URL",
        ),
        ("moa: {models: [a, b], provider: nosuch}", check_mixed_models, "moa", "no provider 'nosuch'"),
        ("skills: {folders: [/nonexist]}", check_settings, "skills", "there is no folder /nonexist"),
        ("browser: {cdp_url: garbage}", check_browser, "browser", "'garbage' is no address of a browser"),
    ],
)
def test_a_setting_that_names_nothing_there_is_is_a_problem(
    person: Person, config: str, check: Callable[[Scene], Iterator[Finding]], name: str, word: str
) -> None:
    person.has(config + "\n")
    found = person.finds(check, offline=True)[name]
    assert (found.state, word in found.text) == ("problem", True), found
    assert found.fix


SERVERS = [
    ("web: {{api_url: '{}'}}", check_web, "pages"),
    ("images: {{base_url: '{}'}}", check_drawing, "images"),
    ("auxiliary: {{vision: {{name: x, base_url: '{}'}}}}", check_auxiliary, "vision model"),
    ("browser: {{cdp_url: '{}'}}", check_browser, "browser"),
]


@pytest.mark.parametrize(("config", "check", "name"), SERVERS)
def test_a_server_that_is_set_and_down_is_a_problem_and_offline_it_is_not_asked(
    person: Person, closed: str, config: str, check: Callable[[Scene], Iterator[Finding]], name: str
) -> None:
    person.has(config.format(closed) + "\n")
    found = person.finds(check)[name]
    assert (found.state, "cannot be reached: Connection refused" in found.text) == ("problem", True), found
    assert person.finds(check, offline=True)[name].state == "off"


@pytest.mark.parametrize(("config", "check", "name"), SERVERS)
def test_a_server_that_is_set_and_takes_connections_is_in_order(
    person: Person, config: str, check: Callable[[Scene], Iterator[Finding]], name: str
) -> None:
    with answering(404, "") as url:
        person.has(config.format(url) + "\n")
        assert person.finds(check)[name].state == "ok"


def test_models_and_folders_that_nothing_is_set_for_have_no_line(person: Person) -> None:
    person.has("")
    for check in (check_drawing, check_auxiliary, check_mixed_models):
        assert person.finds(check) == {}
    assert "skills" not in person.finds(check_settings)
