"""What `hermes doctor` finds of toolsets, browser, tool servers, programs, and the place of commands."""

from __future__ import annotations

import os
import shutil
import socket
from importlib.util import find_spec
from pathlib import Path

import pytest

from commands.checks.machine import check_programs, check_screen
from commands.checks.places import check_place
from commands.checks.toolsets import check_toolsets
from commands.checks.web import check_browser, check_tool_servers, check_web
from tests.commands.doctors_patient import Person, fake


@pytest.fixture
def person(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.chdir(tmp_path)
    return Person(home, tmp_path, monkeypatch)


def test_each_toolset_says_whether_it_is_on_and_why_not(person: Person) -> None:
    person.has("tools: {enabled: [terminal, nosuch]}\n")
    found = person.finds(check_toolsets)
    assert found["terminal"].state == "ok"
    assert found["file"].fix.startswith("turn it on with --toolsets")
    assert found["toolsets"].state == "problem"
    assert "nosuch" in found["toolsets"].text
    assert found["vision"].state == "off"
    assert found["vision"].text


def test_a_toolset_with_a_tool_missing_is_told_as_partly_on(person: Person) -> None:
    programs = person.cwd / "bin"
    programs.mkdir()
    fake(programs, "agent-browser", "true")
    fake(programs, "chromium", "true")
    person.set("PATH", f"{programs}:/nowhere")
    found = person.finds(check_toolsets)["browser"]
    assert found.state == "ok"
    assert found.text.startswith("partly on, without browser_vision: no model is connected")


def test_programs_of_the_browser_are_asked_for_their_version(person: Person) -> None:
    programs = person.cwd / "bin"
    programs.mkdir()
    person.set("PATH", f"{programs}:/nowhere")
    assert person.finds(check_browser)["browser"].state == "off"
    assert "npm install -g agent-browser" in person.finds(check_browser)["browser"].fix
    fake(programs, "agent-browser", "echo agent-browser 0.27.0")
    chromium = fake(programs, "chromium", "echo Chromium 141.0.1 Debian")
    found = person.finds(check_browser)
    assert found["agent-browser"].text.startswith("0.27.0, ")
    assert found["Chromium"].text.startswith("141.0.1, ")
    fake(programs, "chromium", "echo libnss3.so is missing >&2; exit 127")
    found = person.finds(check_browser)
    assert (found["Chromium"].state, "libnss3.so is missing" in found["Chromium"].text) == ("problem", True)
    chromium.unlink()
    person.has("browser: {executable: /nowhere/chrome}\n")
    assert person.finds(check_browser)["browser"].state == "problem"


@pytest.mark.long
def test_a_browser_that_hangs_is_a_warning(person: Person) -> None:
    programs = person.cwd / "bin"
    programs.mkdir()
    fake(programs, "agent-browser", "exec /bin/sleep 30")
    person.set("PATH", f"{programs}:/nowhere")
    assert person.finds(check_browser)["agent-browser"].state == "warning"


def test_pages_can_be_read_or_the_missing_package_is_named(person: Person) -> None:
    assert person.finds(check_web)["pages"].state in ("ok", "warning")
    person.has("web: {backend: firecrawl, allowed_hosts: [intranet:8080]}\n")
    found = person.finds(check_web)
    assert found["pages"].state == "problem"
    assert "FIRECRAWL_API_KEY" in found["pages"].text + found["pages"].fix
    assert "intranet:8080" in found["private hosts"].text


def test_an_entry_of_the_allowed_hosts_that_is_no_host_is_a_problem(person: Person) -> None:
    person.has("web: {allowed_hosts: [http://intranet/]}\n")
    found = person.finds(check_web)["private hosts"]
    assert found.state == "problem"
    assert "Write NAME or NAME:PORT" in found.text


@pytest.mark.skipif(not find_spec("mcp"), reason="mcp is not installed")
def test_tool_servers_are_not_started(person: Person) -> None:
    assert person.states(check_tool_servers) == {"off"}
    person.has(
        "mcp:\n  new: {command: touch, args: [started]}\n  gone: {command: nowhere-to-be-found}\n"
        "  idle: {command: touch, enabled: false}\n"
    )
    found = person.finds(check_tool_servers)
    assert [found[f"mcp {name}"].state for name in ("new", "gone", "idle")] == ["problem", "problem", "off"]
    assert "hermes mcp test new" in found["mcp new"].text + found["mcp new"].fix
    assert "is not found" in found["mcp gone"].text
    assert not (person.cwd / "started").exists()


def test_programs_and_the_screen_are_told(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    person.set("PATH", "/nowhere")
    found = person.finds(check_programs)
    assert found["bash"].state == "problem"
    assert {found[name].state for name in ("git", "rg", "tmux")} == {"off"}
    assert person.finds(check_screen)["terminal"].state == "ok"


def test_what_confines_local_commands_is_told(person: Person) -> None:
    from sandboxes.confinement.confined import confinement_problem

    works = not confinement_problem()
    assert person.finds(check_place)["local"].state == ("ok" if works else "warning")
    person.has("terminal: {sandbox: required}\n")
    assert person.finds(check_place)["local"].state == ("ok" if works else "problem")
    person.has("terminal: {sandbox: 'off', cwd: /nowhere}\n")
    found = person.finds(check_place)
    assert (found["local"].state, found["folder"].state) == ("off", "problem")


@pytest.mark.parametrize(
    ("config", "name", "word"),
    [
        ("terminal: {backend: docker}\n", "docker", "is not installed"),
        ("terminal: {backend: apptainer}\n", "apptainer", "neither apptainer nor singularity is installed"),
        ("terminal: {backend: ssh}\n", "ssh", "no host is set"),
        ("terminal: {backend: nomad}\n", "nomad", "no image is set"),
        (
            "terminal: {backend: nomad}\nnomad: {image: x, address: 'http://127.0.0.1:9'}\n",
            "nomad",
            "127.0.0.1:9",
        ),
    ],
)
def test_a_place_that_cannot_be_had_is_a_problem(person: Person, config: str, name: str, word: str) -> None:
    person.set("PATH", "/nowhere")
    person.has(config)
    found = person.finds(check_place)[name]
    assert (found.state, word in found.text) == ("problem", True), found
    assert found.fix


def test_a_docker_that_answers_is_asked_for_its_image(person: Person) -> None:
    programs = person.cwd / "bin"
    programs.mkdir()
    fake(programs, "docker", "case $1 in version) echo 29.1.0;; *) exit 1;; esac")
    person.set("PATH", f"{programs}:{os.environ['PATH']}")
    person.has("terminal: {backend: docker}\ndocker: {image: 'debian:12-slim'}\n")
    found = person.finds(check_place)
    assert found["docker"].text == "version 29.1.0 answers"
    assert found["image"].fix == "docker pull debian:12-slim"
    fake(programs, "docker", "echo Cannot connect to the Docker daemon >&2; exit 1")
    assert person.finds(check_place)["docker"].state == "problem"


@pytest.mark.skipif(not shutil.which("ssh"), reason="ssh is not installed")
def test_an_ssh_host_that_does_not_answer_is_told_in_plain_words(person: Person) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    person.has(f"terminal: {{backend: ssh}}\nssh: {{host: 127.0.0.1, port: {port}}}\n")
    found = person.finds(check_place)["ssh"]
    assert (found.state, "nothing listens there" in found.text) == ("problem", True)
    assert person.finds(check_place, offline=True)["ssh"].state == "off"
