"""The person's secrets go through everything that hermes writes or says, and are in none of it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from conversation.message import UserMessage
from tests.faults.hermes_process import CLI, ROOT, Hermes
from tests.repl.terminal import Terminal
from tests.security.secrets.canaries import (
    ALL,
    HEADER,
    KEY,
    LOGIN,
    QUERY,
    STORED,
    keep_secrets,
    sightings,
    sightings_in,
)
from tests.server.scripted_server import Call, Step, refusal, scripted_server
from trajectories.formats.registry import FORMATS

pytestmark = pytest.mark.long


@pytest.fixture
def hermes(home: Path, tmp_path: Path) -> Hermes:
    folder = tmp_path / "work"
    folder.mkdir()
    machine = Hermes(home, folder)
    keep_secrets(machine)
    folder.joinpath("note.txt").write_text(STORED + "\n")
    folder.joinpath("long.txt").write_text("x" * 15_000 + STORED + KEY + "y" * 15_000 + "\n")
    folder.joinpath("many.txt").write_text("".join(f"line {n} {KEY}\n" for n in range(3000)))
    return machine


HALF = len(STORED) // 2
COMMANDS = {
    "as it is": "cat note.txt; cat note.txt >&2",
    "in two writes": f"head -c {HALF} note.txt; sleep 0.3; tail -c +{HALF + 1} note.txt",
    "in base64": "base64 note.txt; echo; printf 'a%s' \"$(cat note.txt)\" | base64; "
    "printf 'ab%s and a good deal more that goes on' \"$(cat note.txt)\" | base64",
    "over lines of base64": "(head -c 40 long.txt; cat note.txt long.txt) | base64",
    "in URL-safe base64": "base64 -w0 note.txt | tr '+/' '-_'",
    "in hexadecimal": "od -An -tx1 -v note.txt | tr -d ' \\n'",
    "in a line of 30 kB": "cat long.txt",
    "in more than is shown": "cat many.txt",
    "in JSON": "echo " + base64.b64encode(json.dumps({"k": STORED}).encode()).decode() + " | base64 -d",
    "as a URL": f"echo 'http://h.example/?q={quote(STORED, safe='')}'",
}


def conversation() -> list[Step]:
    steps = [Step(tool_calls=[Call("terminal", {"command": command})]) for command in COMMANDS.values()]
    return [
        *steps,
        Step(
            text=f"I shall write {STORED} down.",
            tool_calls=[Call("write_file", {"path": "out.txt", "content": f"k = {STORED} {KEY}\n"})],
        ),
        Step(text=f"So: {KEY[:9]}" + KEY[9:], chunk=5, reasoning=f"The header is {HEADER}."),
    ]


def no_sightings(hermes: Hermes, *said: bytes) -> None:
    found = sightings_in(hermes) + [each for text in said for each in sightings(text, "output")]
    assert not found, "\n".join(found[:10])


def test_a_conversation_full_of_secrets_leaves_none_in_events_logs_or_files(hermes: Hermes) -> None:
    with scripted_server(*conversation()) as server:
        hermes.url = server.url
        done = hermes.run("--debug", "-q", f"Use {STORED}", "--json", "--yolo", timeout=55)
    assert done.code == 0, done.told
    no_sightings(hermes, done.out, done.err)
    # the model saw it all, and what it wrote is on the disk to the byte
    sent = json.dumps(server.requests[-1].body, ensure_ascii=False)
    assert json.dumps(STORED)[1:-1] in sent
    assert (hermes.folder / "out.txt").read_text() == f"k = {STORED} {KEY}\n"
    session = hermes.session()
    assert [type(entry) is UserMessage for entry in session.history.entries].count(True) == 1
    assert all(
        json.loads(call.arguments)
        for round_ in session.history.rounds
        for call in round_.assistant.tool_calls
    )
    redacted = [bool(kinds) for kinds in session.redactions]
    assert redacted.count(True) >= len(COMMANDS)
    deltas = "".join(event["text"] for event in done.events if event["type"] == "text_delta")
    assert "So: [redacted:known-secret]" in deltas
    assert [path for path in hermes.logs.glob("debug-*.log") if path.stat().st_size > 1000]


def test_what_goes_on_is_what_was_saved_and_says_so(hermes: Hermes) -> None:
    with scripted_server(*conversation(), Step(text="And on.")) as server:
        hermes.url = server.url
        assert hermes.ask(f"Use {STORED}", timeout=55).code == 0
        done = hermes.ask("Go on.", "--continue")
    assert done.text == "And on.\n"
    assert not sightings(json.dumps(server.requests[-1].body["messages"]).encode(), "the request")
    (row, last) = hermes.rows()
    assert row["redactions"] == last["redactions"]
    assert {flag["flag"] for flag in row["flags"]} == {"redacted"}


@pytest.mark.parametrize("name", FORMATS)
def test_no_export_has_a_secret(hermes: Hermes, name: str) -> None:
    with scripted_server(*conversation()[2:4], *conversation()[-2:]) as server:
        hermes.url = server.url
        hermes.ask(f"Use {STORED}")
    for options in ([], ["--no-redact"]):
        done = hermes.run("export", "--format", name, *options)
        assert done.code == 0, done.told
        assert b"redacted:known-secret" in done.out
        no_sightings(hermes, done.out, done.err)


def test_the_prompt_keeps_none_in_its_history_nor_in_what_save_writes(hermes: Hermes) -> None:
    with scripted_server(*conversation()[:1], *conversation()[-2:]) as server:
        hermes.url = server.url
        terminal = Terminal([*CLI[1:], "--yolo"], cwd=hermes.folder, environ=hermes.environ, columns=100)
        try:
            terminal.wait_for("session")
            terminal.enter(f"remember {STORED} and {KEY}")
            terminal.wait_for("So: ", 30)
            terminal.enter("/save kept.json")
            terminal.wait_for("kept.json", 20)
            terminal.enter("/quit")
            assert terminal.end() == 0
        finally:
            terminal.child.close(force=True)
    history = (hermes.home / ".hermes" / "input_history").read_text()
    assert "remember [redacted:known-secret] and [redacted:known-secret]" in history
    kept = (hermes.folder / "kept.json").read_bytes()
    assert b"redacted:known-secret" in kept
    no_sightings(hermes, kept)


def test_a_batch_has_none_in_its_run_folder(hermes: Hermes) -> None:
    prompts = hermes.folder / "prompts.jsonl"
    prompts.write_text(json.dumps({"prompt": f"Use {STORED}", "note": KEY, "id": HEADER}) + "\n")
    command = f"printf %s {base64.b64encode(STORED.encode()).decode()} | base64 -d"
    steps = [Step(tool_calls=[Call("terminal", {"command": command})]), Step(text=f"{STORED}.")]
    with scripted_server(*steps, by="turn") as server:
        hermes.url = server.url
        arguments = ("batch", "prompts.jsonl", "--run", "r", "--toolsets", "terminal", "--policy", "yolo")
        done = hermes.run(*arguments, timeout=55)
    assert done.code == 0, done.told
    run = hermes.folder / "data" / "r"
    assert run.is_dir(), done.told
    found = [
        each for path in run.rglob("*") if path.is_file() for each in sightings(path.read_bytes(), path.name)
    ]
    assert not found
    no_sightings(hermes, done.out, done.err)


def test_a_batch_that_fails_gives_a_reason_without_the_key(hermes: Hermes) -> None:
    (hermes.folder / "prompts.jsonl").write_text('{"prompt": "go"}\n')
    with scripted_server(refusal(401, f"bad header Bearer {KEY} and {HEADER}")) as server:
        hermes.url = server.url
        done = hermes.run("batch", "prompts.jsonl", "--run", "r", "--toolsets", "terminal", timeout=55)
    failed = (hermes.folder / "data" / "r" / "failed.jsonl").read_bytes()
    assert b"Bearer [redacted:known-secret] and [redacted:known-secret]" in failed
    no_sightings(hermes, done.out, done.err, failed)


@pytest.mark.parametrize("how", [[], ["--json"], ["--debug"]])
def test_a_server_that_echoes_the_authorization_is_quoted_without_it(hermes: Hermes, how: list[str]) -> None:
    body = {"error": {"message": f"refused: Authorization: Bearer {KEY}, x-api-key: {HEADER}"}}
    with scripted_server(Step(status=401, body=body)) as server:
        hermes.url = server.url
        done = hermes.run(*how, "-q", "hi")
    assert done.code == 1
    assert b"redacted" in done.out + done.err
    no_sightings(hermes, done.out, done.err)


@pytest.mark.parametrize("how", ["option", "variable", "config"])
@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_a_base_url_with_a_login_and_a_key_is_shown_without_them(
    hermes: Hermes, how: str, debug: list[str]
) -> None:
    for ending in (f"/v1?api_key={QUERY}", "/v1"):
        with scripted_server(Step(text="Hello."), Step(status=404, body="no")) as server:
            url = server.url.replace("//", f"//me:{LOGIN}@").replace("/v1", ending)
            arguments = ["--base-url", url] if how == "option" else []
            hermes.url = url if how == "variable" else "http://127.0.0.1:9/v1"
            env: dict[str, str | None] = {}
            if how == "config":
                env["OPENAI_BASE_URL"] = None
                config = hermes.home / ".hermes" / "config.yaml"
                config.write_text(f"model:\n  base_url: {url}\n")
            for _ in range(2):
                done = hermes.run(*debug, "-q", "hi", *arguments, env=env)
                no_sightings(hermes, done.out, done.err)


def test_a_url_that_is_none_is_shown_without_its_key(hermes: Hermes) -> None:
    done = hermes.run("-q", "hi", "--base-url", f"ftp://me:{LOGIN}@h/v1?api_key={QUERY}")
    assert done.code == 2
    no_sightings(hermes, done.out, done.err)


@pytest.mark.parametrize("arguments", [["export", STORED], ["-q", "x", "--resume", KEY], ["nothing", HEADER]])
@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_an_error_that_quotes_what_was_given_hides_a_secret(
    hermes: Hermes, arguments: list[str], debug: list[str]
) -> None:
    done = hermes.run(*debug, *arguments)
    assert done.code not in (0, None)
    no_sightings(hermes, done.out, done.err)


CRASHES = {
    "uncaught": f"raise RuntimeError('the key is {KEY}')",
    "in a thread": f"import threading\n"
    f"def f(): raise ValueError({KEY!r})\nt = threading.Thread(target=f); t.start(); t.join()",
    "logged": f"import logging\ntry:\n    raise KeyError({KEY!r})\nexcept KeyError:\n"
    f"    logging.getLogger('hermes.x').exception('failed with %s', {HEADER!r})",
    "in a task": f"import asyncio\nasync def f(): raise ValueError({KEY!r})\n"
    "async def main():\n    task = asyncio.create_task(f())\n    await asyncio.sleep(0.1)\n    del task\n"
    "asyncio.run(main())",
}


@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES)
def test_a_crash_shows_where_it_was_and_no_secret(hermes: Hermes, crash: str) -> None:
    program = f"from commands.crash_report import watch\nwatch()\n{crash}\n"
    script = hermes.folder / "crash.py"
    script.write_text(program)
    environ = {**hermes.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], env=environ, cwd=hermes.folder, capture_output=True, check=False
    )
    assert b"Traceback" in done.stderr
    assert not sightings(done.stderr, "the traceback"), done.stderr.decode()


def test_a_crash_under_debug_is_logged_and_shown_without_secrets(hermes: Hermes) -> None:
    program = f"""
import sys, cli, commands.chat
def broken(*a, **k): raise RuntimeError({f"it was {KEY} and {STORED}"!r})
commands.chat.load = broken
import commands.open_agent
commands.open_agent.load = broken
sys.exit(cli.main(["--debug", "-q", "hi"]))
"""
    environ = {**hermes.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, cwd=hermes.folder, capture_output=True, check=False
    )
    assert b"Traceback" in done.stderr
    assert b"RuntimeError: it was [redacted" in done.stderr
    no_sightings(hermes, done.stdout, done.stderr)
    (log,) = hermes.logs.glob("debug-*.log")
    assert "RuntimeError: it was [redacted" in log.read_text()


def test_the_rescue_of_a_session_that_cannot_be_saved_has_none(hermes: Hermes) -> None:
    hermes.logs.mkdir(parents=True)
    (hermes.logs / "sessions").write_text("in the way")
    with scripted_server(*conversation()[:1], *conversation()[-2:]) as server:
        hermes.url = server.url
        done = hermes.ask(f"Use {STORED}")
    (rescued,) = (hermes.home / "tmp").glob("hermes-*.jsonl")
    assert b"redacted:known-secret" in rescued.read_bytes()
    assert not sightings(rescued.read_bytes(), "the rescue") + sightings(done.err, "stderr")


def test_no_process_has_a_secret_among_its_arguments_or_those_of_commands_in_their_environment(
    hermes: Hermes,
) -> None:
    seen_by_commands = "/proc/self/environ /proc/$$/environ /proc/$PPID/cmdline /proc/$$/cmdline"
    look = f"cat {seen_by_commands} > seen.bin"
    with scripted_server(
        Step(tool_calls=[Call("terminal", {"command": look})]), Step(text="Done.")
    ) as server:
        hermes.url = server.url
        assert hermes.ask("hi").code == 0
    seen = (hermes.folder / "seen.bin").read_bytes()
    assert len(seen) > 100
    assert not [secret for secret in ALL if secret.encode() in seen]
