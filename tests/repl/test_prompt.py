"""The prompt stands before anything heavy is loaded, and keeps what is typed meanwhile."""

from __future__ import annotations

import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

from tests.repl.terminal import SCRIPTED, Terminal

Start = Callable[..., Terminal]
ROOT = Path(__file__).parents[2]


def test_keys_are_echoed_while_the_agent_is_still_loading(start: Start) -> None:
    terminal = start(environ={"SCRIPTED_LOAD_SECONDS": "2"})
    terminal.wait_for("❯")
    terminal.send("early words")
    terminal.wait_for("❯ early words", 1.5)
    assert "starting" in terminal.screen()
    terminal.ready()
    assert "❯ early words" in terminal.screen()


def test_a_line_entered_while_loading_is_sent_once_loaded(start: Start) -> None:
    terminal = start(environ={"SCRIPTED_LOAD_SECONDS": "1"})
    terminal.wait_for("❯")
    terminal.enter("say sooner")
    terminal.wait_for("queued: say sooner", 0.9)
    terminal.wait_for("You said: sooner")


def test_the_banner_names_model_folder_session_toolsets_and_what_is_missing(repl: Terminal) -> None:
    text = repl.transcript()
    for expected in ("Hermes 9.9", "scripted (tests)", "20260101-120000-abcd", "terminal, file",
                     "web_search: no key is set", "a notice at the start",
                     "commands  confined to this folder by bubblewrap, without network",
                     "to widen it: terminal.writable"):  # fmt: skip
        assert text.count(expected) == 1
    assert "folder" in text


def test_a_failing_start_is_told_with_the_terminal_as_it_was(start: Start) -> None:
    terminal = start(environ={"SCRIPTED_LOAD_FAILS": "1"})
    assert terminal.end() == 1
    assert "failed: config.yaml line 3 is broken" in terminal.screen()
    assert "❯" not in terminal.screen()


def test_the_status_line_shows_model_context_tokens_and_unknown_cost(repl: Terminal) -> None:
    last = repl.screen().splitlines()[-1]
    for expected in ("ready", "scripted", "context 12% of 100k", "1.2k tokens", "cost unknown"):
        assert expected in last


def test_a_narrow_terminal_keeps_the_state_and_drops_the_rest(start: Start) -> None:
    terminal = start(columns=24).ready()
    assert terminal.screen().splitlines()[-1] == "  ready · scripted"


def test_the_way_to_the_prompt_imports_nothing_heavy() -> None:
    code = (
        "import sys, repl.repl, repl.screen, repl.completion\n"
        "heavy = 'rich openai click yaml msgspec httpx pathspec sqlite3 run_agent'.split()\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_no_color_means_no_colour_at_all(start: Start) -> None:
    terminal = start(environ={"NO_COLOR": "1"}).ready()
    terminal.enter("markdown")
    terminal.wait_for("The last paragraph.")
    coloured = [
        code
        for code in terminal.raw.split(b"\x1b[")[1:]
        if code.split(b"m")[0].strip(b"0;") and code[:1].isdigit() and b"m" in code[:8]
    ]
    assert [code for code in coloured if code.split(b"m")[0].replace(b";", b"").isdigit()] == []


def test_leaving_restores_the_terminal_and_tells_how_to_go_on(repl: Terminal) -> None:
    repl.enter("say something")
    repl.wait_for("You said: something")
    repl.ready()
    repl.send("\x04")
    assert repl.end() == 0
    assert repl.screen().rstrip().endswith("to go on: hermes --resume 20260101-120000-abcd")
    assert "❯" not in repl.screen().splitlines()[-1]
    for off in (b"\x1b[?2004l", b"\x1b[?25h", b"\x1b[?7h"):
        assert off in repl.raw
    assert repl.raw.rfind(b"\x1b[?2004l") > repl.raw.rfind(b"\x1b[?2004h")
    assert b"\x1b[?1049h" not in repl.raw


def test_terminal_modes_are_the_same_before_and_after(tmp_path: Path) -> None:
    script = f"stty -a > before; {sys.executable} {SCRIPTED}; stty -a > after; echo DONE"
    terminal = Terminal(["-c", f"import os; os.execvp('sh', ['sh', '-c', {script!r}])"], cwd=tmp_path)
    try:
        terminal.ready()
        assert not termios.tcgetattr(terminal.child.child_fd)[3] & termios.ICANON
        terminal.send("\x04")
        terminal.wait_for("DONE")
    finally:
        terminal.close()
    assert (tmp_path / "before").read_text() == (tmp_path / "after").read_text()


def test_background_commands_that_are_ended_are_named_on_leaving(repl: Terminal, tmp_path: Path) -> None:
    repl.enter("spawn")
    repl.wait_for("spawned")
    repl.enter("/quit")
    assert repl.end() == 0
    assert "ended with hermes: bg_1  sleep 1000" in repl.transcript()
    assert (tmp_path / "closed").exists()
