"""`hermes -q … --image PATH`, and what becomes of a picture in a session afterwards."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from commands.shown_pictures import unsent_pictures
from tests.faults.hermes_process import ROOT, Hermes
from tests.server.scripted_server import ScriptedServer, Step, scripted_server
from tests.tools import drawn

PNG_URL = "data:image/png;base64," + base64.b64encode(drawn.png()).decode()


@pytest.fixture
def hermes(home: Path, tmp_path: Path) -> Callable[[ScriptedServer], Hermes]:
    (tmp_path / "red.png").write_bytes(drawn.png())
    (tmp_path / "dot.gif").write_bytes(drawn.GIF)
    return lambda server: Hermes(home, tmp_path, server.url)


@pytest.mark.long
def test_pictures_go_along_with_the_question_and_stay_in_the_session(
    hermes: Callable[[ScriptedServer], Hermes],
) -> None:
    with scripted_server(Step(text="A red square."), Step(text="Still red.")) as server:
        machine = hermes(server)
        done = machine.ask("What is it?", "--image", "red.png", "--image", "dot.gif")
        assert (done.code, done.text) == (0, "A red square.\n")
        sent = server.last["messages"][-1]["content"]
        assert sent[0] == {"type": "text", "text": "What is it?"}
        assert sent[1]["image_url"]["url"] == PNG_URL
        assert sent[2]["image_url"]["url"].startswith("data:image/gif;base64,")
        assert machine.ask("And now?", "-c").text == "Still red.\n"
        assert server.last["messages"][1]["content"] == sent
    (path,) = machine.session_paths()
    shown = machine.run("sessions", "show", path.stem).text
    assert "What is it?\n[picture: image/png, 1 KB]\n[picture: image/gif, 1 KB]" in shown
    assert "What is it?" in machine.run("sessions", "list").text
    exported = json.loads(machine.run("export", path.stem).text.splitlines()[0])
    human = next(turn["value"] for turn in exported["conversations"] if turn["from"] == "human")
    assert human == "What is it?\n[image_url]\n[image_url]"
    assert all("base64" not in json.dumps(row) for row in machine.rows())


@pytest.mark.long
def test_a_large_picture_costs_neither_seconds_nor_tokens_for_its_letters(
    hermes: Callable[[ScriptedServer], Hermes],
) -> None:
    with scripted_server(Step(text="Noise.", usage={})) as server:
        machine = hermes(server)
        (machine.folder / "noise.png").write_bytes(drawn.noise(5_000_000))
        machine.ask("Warm?")
        done = machine.ask("What is it?", "--image", "noise.png", "--json")
    requests = [event for event in done.events if event["type"] == "request_started"]
    assert requests[0]["context_tokens"] < 6_000
    assert done.events[-1]["outcome"] == "done"
    assert b"base64" not in done.out
    assert machine.session_paths()[-1].stat().st_size > 6_000_000


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("none.png", "No such file"),
        ("words.png", "is text, not a picture"),
        (".", "a folder"),
        ("", "No such"),
    ],
)
def test_what_is_no_picture_is_wrong_usage_and_nothing_is_begun(
    hermes: Callable[[ScriptedServer], Hermes], name: str, word: str
) -> None:
    with scripted_server() as server:
        machine = hermes(server)
        (machine.folder / "words.png").write_text("just words\n")
        done = machine.ask("What is it?", "--image", name)
    assert done.code == 2
    assert word in done.told
    assert not server.requests
    assert machine.session_paths() == []


def test_a_blind_model_is_told_where_the_picture_lies(hermes: Callable[[ScriptedServer], Hermes]) -> None:
    with scripted_server(Step(text="I cannot see it.")) as server:
        machine = hermes(server)
        done = machine.ask("What is it?", "--image", "red.png", "--model", "Hermes-4-70B")
    assert "Hermes-4-70B cannot look at pictures" in done.told
    assert server.last["messages"][-1]["content"] == "What is it?\n\n[picture: red.png]"


@pytest.mark.long
def test_a_blind_model_that_takes_over_reads_what_pictures_there_were(
    hermes: Callable[[ScriptedServer], Hermes],
) -> None:
    with scripted_server(Step(text="A red square."), Step(text="You showed one.")) as server:
        machine = hermes(server)
        machine.ask("What is it?", "--image", "red.png")
        assert machine.ask("Which?", "-c", "--model", "Hermes-4-70B").text == "You showed one.\n"
        assert server.last["messages"][1]["content"] == "What is it?\n[picture: image/png, 1 KB]"


def test_at_the_prompt_the_option_says_what_to_do_instead(
    hermes: Callable[[ScriptedServer], Hermes],
) -> None:
    with scripted_server() as server:
        machine = hermes(server)
        child = pexpect.spawn(
            sys.executable, [str(ROOT / "cli.py"), "--image", "red.png"],
            cwd=str(machine.folder), env=machine.environ, timeout=10,
        )  # fmt: skip
        child.expect("@PATH")
        child.expect(pexpect.EOF)
        child.close()
    assert child.exitstatus == 2


@pytest.mark.parametrize(
    ("words", "options", "told"),
    [
        ("look at @red.png", [], "--image red.png"),
        ("look at @red.png", ["--image", "red.png"], ""),
        ("look at @none.png and me@red.png", [], ""),
    ],
)
def test_a_picture_named_with_an_at_sign_is_not_left_out_without_a_word(
    words: str, options: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "red.png").write_bytes(drawn.png())
    line = unsent_pictures(words, options[1:])
    assert bool(line) == bool(told) and told in line


@pytest.mark.long
def test_a_question_says_that_at_signs_are_for_the_prompt(
    hermes: Callable[[ScriptedServer], Hermes],
) -> None:
    with scripted_server(Step(text="Which?")) as server:
        done = hermes(server).ask("look at @red.png")
    assert (done.code, done.text) == (0, "Which?\n")
    assert "@ shows one at the prompt only. With -q: --image red.png" in done.told
