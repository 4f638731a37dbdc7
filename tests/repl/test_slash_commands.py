"""Each slash command, by what it changes on the screen or in the agent."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from repl.commands.table import COMMANDS
from tests.repl.terminal import Terminal

Start = Callable[..., Terminal]


def test_help_lists_every_command(start: Start) -> None:
    terminal = start(columns=110, rows=50).ready()
    terminal.enter("/help")
    text = terminal.wait_for("What you type while the agent works")
    for command in COMMANDS:
        assert f"/{command.name}" in text
        assert command.help in text


ANSWERS = [
    ("/prompt", "The system text."),
    ("/tools", "off: web_search: no key is set"),
    ("/toolsets", "● terminal         Run commands"),
    ("/toolsets file", "On now: file"),
    ("/toolsets bogus", "no toolset is called bogus"),
    ("/model", "scripted from tests, reads 100000 tokens."),
    ("/model other-model", "Now talking to other-model."),
    ("/model nonsense", "no model is called nonsense"),
    ("/personality", "Talk like a detective."),
    ("/personality pirate", "hermes config set agent.personality pirate"),
    ("/personality nobody", "no personality 'nobody'"),
    ("/new", "A new session: 20260101-120001-beef"),
    ("/history", "Nothing has been said yet."),
    ("/retry", "There is nothing to send again yet."),
    ("/undo", "There is nothing to take back."),
    ("/compact", "summarised the middle: 9000 → 1200 tokens"),
    ("/usage", "tokens    1234: 1000 read (0 from cache), 234 written"),
    ("/save", "Saved to conversation.json"),
    ("/resume", "Give the id of a session"),
    ("/resume 2026x", "Going on with 2026x."),
    ("/resume 1999", "no session begins with 1999"),
    ("/sessions", "20260101-120000-abcd  today  hello there"),
    ("/config", "color: true"),
    ("/config display.color", "display.color = true (built-in)"),
    ("/config display.color false", "display.color is false from the next start"),
    ("/config nonsense", "unknown key nonsense"),
    ("/verbose", "Verbose is on"),
    ("/copy", "There is no answer to copy yet."),
]


def test_each_command_answers(start: Start) -> None:
    terminal = start(rows=40).ready()
    for line, shown in ANSWERS:
        echoes = terminal.transcript().count(f"❯ {line}\n")
        terminal.enter(line)
        terminal.wait_for(lambda text, line=line, shown=shown: answered(text, line, shown))  # type: ignore[misc]
        assert terminal.transcript().count(f"❯ {line}\n") == echoes + 1


def answered(text: str, line: str, shown: str) -> bool:
    below = text.rpartition(f"❯ {line}\n")[2]
    return " ".join(shown.split()) in " ".join(below.split())


def test_a_toolset_is_shown_as_on_if_the_model_can_call_its_tools(start: Start) -> None:
    terminal = start(rows=40).ready()
    terminal.enter("/toolsets")
    text = terminal.wait_for("turns on these alone")
    assert "● terminal         Run commands" in text
    assert "○ file             none of its tools can be used (/tools)." in text
    assert "◐ default          What is on" in text
    assert "○ web              Search" in text


def test_the_model_chosen_stands_in_the_status_line(repl: Terminal) -> None:
    repl.enter("/model other-model")
    repl.wait_for(lambda text: "other-model" in text.splitlines()[-1])


def test_prompt_text_replaces_and_clear_removes_it(repl: Terminal) -> None:
    repl.enter("/prompt Speak in verse.")
    repl.wait_for("Your words stand")
    repl.enter("/prompt")
    repl.wait_for("own words: Speak in verse.")
    repl.enter("/prompt clear")
    repl.wait_for("Your words are taken out.")


def test_clear_empties_the_screen_and_begins_anew(repl: Terminal) -> None:
    repl.enter("say before")
    repl.wait_for("You said: before")
    repl.enter("/clear")
    repl.wait_for("A new session")
    assert "You said" not in repl.screen()


def test_history_shows_both_sides(repl: Terminal) -> None:
    repl.enter("say something")
    repl.wait_for("You said: something")
    repl.enter("/history")
    repl.wait_for("you: say something")
    repl.wait_for("hermes: the answer to say something")


def test_retry_sends_the_last_message_again(repl: Terminal) -> None:
    repl.enter("say again please")
    repl.wait_for("You said: again please")
    repl.enter("/retry")
    repl.wait_for(lambda text: text.count("You said: again please") == 2)
    repl.enter("/history")
    repl.wait_for("you: say again please")
    assert repl.transcript().count("you: say again please") == 1


def test_undo_takes_the_last_message_back(repl: Terminal) -> None:
    repl.enter("say regretted")
    repl.wait_for("You said: regretted")
    repl.enter("/undo")
    repl.wait_for("Taken back: say regretted")
    repl.enter("/history")
    repl.wait_for("Nothing has been said yet.")


def test_save_writes_the_named_file(repl: Terminal, tmp_path: Path) -> None:
    repl.enter("/save my talk.json")
    repl.wait_for("Saved to my talk.json")
    assert (tmp_path / "my talk.json").exists()


def test_verbose_shows_whole_results(repl: Terminal) -> None:
    repl.enter("/verbose")
    repl.wait_for("Verbose is on")
    repl.enter("tool")
    repl.wait_for('→ terminal {"command": "make"}')
    repl.wait_for("exit_code: 3")


def test_copy_hands_the_answer_to_the_terminal(repl: Terminal) -> None:
    repl.enter("say copy me")
    repl.wait_for("You said: copy me")
    repl.ready()
    repl.enter("/copy")
    repl.wait_for("Copied")
    encoded = base64.b64encode(b"the answer to say copy me")
    assert b"\x1b]52;c;" + encoded + b"\x07" in repl.raw


@pytest.mark.parametrize("line", ["/quit", "/exit", "/q"])
def test_quit_leaves(repl: Terminal, line: str) -> None:
    repl.enter(line)
    assert repl.end() == 0


def test_looking_commands_run_while_the_agent_works(repl: Terminal) -> None:
    repl.enter("words 2")
    repl.wait_for("w0005")
    repl.enter("/usage")
    assert "w0099" not in repl.wait_for("requests  0")
    repl.wait_for("w0099")
