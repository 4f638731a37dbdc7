"""Text from models, tools and servers never steers the terminal, and is whole where a program reads it."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from collections.abc import Callable

import pytest

from tests.faults.hermes_process import Hermes, finish, some
from tests.server.script import Call
from tests.server.scripted_server import ScriptedServer, Step, refusal

Serve = Callable[..., ScriptedServer]
EVIL = "\x1b[2J\x1b]0;owned\x07\x1b]52;c;aGk=\x07\x9b31m\x08\x00\r\u202eabc"
SPEAK = "printf '\\033[2J\\033]0;owned\\007\\033]52;c;aGk=\\007 visible \\r over'"
DANGER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def evil_server(serve: Serve) -> ScriptedServer:
    return serve(
        refusal(500, f"server {EVIL}"),
        Step(
            text=f"first {EVIL}", tool_calls=[Call("terminal", {"command": SPEAK}), Call("evil" + EVIL, {})]
        ),
        Step(text=f"seen {EVIL} end", chunk=1),
    )


def on_a_terminal(hermes: Hermes, *arguments: str, env: dict[str, str | None] | None = None) -> str:
    """Everything that one run writes to a terminal."""
    ours, theirs = pty.openpty()
    process = hermes.start("-q", "Go.", "--yolo", *arguments, env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # how Linux says that nobody has the terminal open any more
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert finish(process).code == 0
    return shown.decode()


@pytest.mark.parametrize("option", some(["--verbose", "--no-stream"], ["--verbose"]))
def test_nothing_hostile_reaches_a_terminal(option: str, hermes: Hermes, serve: Serve) -> None:
    hermes.url = evil_server(serve).url
    shown = on_a_terminal(hermes, option)
    assert not DANGER.search(shown.replace("\r\n", "\n")), repr(shown)
    assert shown.count("seen ") == 1 and "␛[2J" in shown and "end" in shown


def test_who_watches_a_run_sees_each_call_as_it_begins(hermes: Hermes, serve: Serve) -> None:
    steps = Step(tool_calls=[Call("terminal", {"command": "echo hi\x1b[2J"})]), Step(text="Done.")
    hermes.url = serve(*steps).url
    shown = on_a_terminal(hermes)
    assert re.search(r"^  terminal  echo hi", shown, re.MULTILINE), repr(shown)
    assert not DANGER.search(shown.replace("\r\n", "\n")), repr(shown)
    hermes.url = serve(*steps).url
    assert "terminal" not in hermes.ask("Go.", "--yolo").told


def test_stderr_is_harmless_and_a_pipe_gets_the_text_as_it_is(hermes: Hermes, serve: Serve) -> None:
    server = evil_server(serve)
    hermes.url = server.url
    told = hermes.ask("Go.", "--verbose")
    assert told.code == 0
    assert not DANGER.search(told.told), told.told
    assert told.text == f"seen {EVIL} end\n"
    read = [json.loads(each["content"]) for each in server.last["messages"] if each["role"] == "tool"]
    assert "visible" in read[0]["output"] or "over" in read[0]["output"]
    assert not DANGER.search(read[0]["output"]), "the model is not confused either"
    assert "there is no tool" in read[1]["error"]


def test_json_lines_hold_everything_escaped(hermes: Hermes, serve: Serve) -> None:
    hermes.url = evil_server(serve).url
    told = hermes.ask("Go.", "--json")
    assert told.code == 0
    assert not DANGER.search(told.text)
    assert told.events[-1]["text"] == f"seen {EVIL} end"


@pytest.mark.parametrize("variable", some(["NO_COLOR=1", "TERM=dumb", "CI=true", "TERM="], ["TERM=dumb"]))
def test_a_plain_terminal_gets_plain_text(variable: str, hermes: Hermes, serve: Serve) -> None:
    hermes.url = serve(
        refusal(500),
        Step(tool_calls=[Call("terminal", {"command": "echo x"})]),
        Step(text="**Fat** and `code`."),
    ).url
    name, _, value = variable.partition("=")
    shown = on_a_terminal(hermes, env={name: value})
    assert "\x1b" not in shown and shown.endswith("**Fat** and `code`.\r\n")


@pytest.mark.parametrize("language", some(["C", "POSIX", "de_DE.ISO-8859-1"], ["C"]))
def test_any_locale_will_do(language: str, hermes: Hermes, serve: Serve) -> None:
    server = serve(Step(text="Grüße 漢字 🙂", chunk=1))
    hermes.url = server.url
    told = hermes.ask("Übergröße 漢字?", env={"LC_ALL": language, "LANG": language, "PYTHONUTF8": None})
    assert told.code == 0 and told.text == "Grüße 漢字 🙂\n"
    assert server.last["messages"][-1]["content"] == "Übergröße 漢字?"


def test_characters_split_between_packets_are_whole(hermes: Hermes, serve: Serve) -> None:
    text = "é漢字🙂👩‍👩‍👧 ß" * 30
    event = json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}, ensure_ascii=False)
    hermes.url = serve(Step(raw=[event, "[DONE]"])).url
    told = hermes.ask("Go.")
    assert (told.code, told.text) == (0, text + "\n")


def test_lone_surrogates_from_a_model_end_no_run(hermes: Hermes, serve: Serve) -> None:
    raw = ['{"choices":[{"index":0,"delta":{"content":"half \\ud83d and"}}]}', "[DONE]"]
    hermes.url = serve(Step(raw=raw)).url
    told = hermes.ask("Go.", "--json")
    assert told.code == 0 and "half ? and" in told.text


def test_a_debug_log_holds_no_key_and_stdout_stays_clean(hermes: Hermes, serve: Serve) -> None:
    hermes.url = serve(refusal(401, "bad key sk-test-0123456789abcdef")).url
    told = hermes.run("-q", "Go.", "--debug", "--json")
    assert told.code == 1 and told.events[-1]["outcome"] == "failed"
    (log,) = hermes.home.joinpath(".hermes", "logs").glob("*.log")
    assert "sk-test-0123456789abcdef" not in log.read_text()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_an_answer_that_cannot_be_printed_is_saved(hermes: Hermes, serve: Serve) -> None:
    hermes.url = serve(Step(text="The answer is 42.")).url
    with open("/dev/full", "wb") as full:
        told = hermes.ask("Go.", stdout=full, stderr=subprocess.PIPE)
    assert told.code == 1 and "No space left on device" in told.told
    assert "The answer is 42." in hermes.rows()[-1]["conversations"][-1]["value"]
    assert hermes.session().outcome == "done"


def test_on_a_terminal_text_that_broke_off_is_closed_before_the_next_try(
    hermes: Hermes, serve: Serve
) -> None:
    hermes.url = serve(Step(text="half an answer " * 9, chunk=9, truncate_after=5), Step(text="Whole.")).url
    lines = on_a_terminal(hermes).split("\r\n")
    assert lines[0].startswith("half an answer") and not lines[0].rstrip().endswith("hermes:")
    assert "does not count" in lines[1] and "trying again" in lines[2]
    assert lines[3:] == ["Whole.", ""]
