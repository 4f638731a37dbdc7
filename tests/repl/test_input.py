"""Typing: many lines, history, paste, editor, completion, queueing."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.repl.terminal import Terminal

Start = Callable[..., Terminal]


def said(text: str) -> str:
    return f"You said: {text}"


def test_alt_enter_and_a_backslash_begin_a_new_line(repl: Terminal) -> None:
    repl.send("say one\x1b\rtwo\\\rthree\r")
    repl.wait_for("ready")
    text = repl.wait_for("❯ say one\n  two\n  three")
    assert text.count("three") >= 1


def test_pasted_lines_are_one_message_and_enter_right_after_sends_it(repl: Terminal) -> None:
    repl.send("\x1b[200~say pasted\nsecond line\x1b[201~\r")
    repl.wait_for("❯ say pasted\n  second line")
    repl.wait_for("You said: pasted")


def test_what_was_typed_is_found_by_the_next_session_in_a_private_file(start: Start, home: Path) -> None:
    first = start().ready()
    first.enter("say remember the llama")
    first.wait_for(said("remember the llama"))
    first.send("\x04")
    first.end()
    file = home / ".hermes" / "input_history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    second = start().ready()
    second.send("\x12llama")
    second.wait_for("❯ say remember the llama")
    second.send("\r")
    second.send("\r")
    second.wait_for(said("remember the llama"))


def test_a_session_that_runs_at_the_same_time_shares_its_history(start: Start) -> None:
    first, second = start().ready(), start().ready()
    first.enter("say from the first")
    first.wait_for(said("from the first"))
    second.enter("say from the second")
    second.wait_for(said("from the second"))
    second.send("\x1b[A\x1b[A")
    second.wait_for("❯ say from the first")


def test_the_editor_edits_the_draft(start: Start, tmp_path: Path) -> None:
    editor = tmp_path / "edit"
    editor.write_text('#!/bin/sh\nprintf "say from the editor" > "$1"\n')
    editor.chmod(0o755)
    terminal = start(environ={"EDITOR": str(editor)}).ready()
    terminal.send("draft\x18\x05")
    terminal.wait_for("❯ say from the editor")
    terminal.send("\r")
    terminal.wait_for(said("from the editor"))


def test_slash_commands_are_completed(repl: Terminal) -> None:
    repl.send("/per")
    repl.wait_for("how the agent speaks")
    repl.send("\t")
    repl.wait_for("❯ /personality")
    repl.send(" pi")
    repl.wait_for("pirate")


def test_files_are_completed_without_those_git_ignores(start: Start, tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.log\nbuilt/\n")
    (tmp_path / "llama.py").write_text("")
    (tmp_path / "llama.log").write_text("")
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / "llama.txt").write_text("")
    terminal = start().ready()
    terminal.send("look at @lla")
    text = terminal.wait_for("llama.py")
    assert "llama.log" not in text
    assert "built" not in text
    terminal.send("\t\r")
    terminal.wait_for("❯ look at @llama.py")


def test_what_is_typed_while_the_agent_works_is_queued_and_sent_after(repl: Terminal) -> None:
    repl.enter("words 1")
    repl.wait_for("w0005")
    repl.enter("say afterwards")
    text = repl.wait_for("queued: say afterwards")
    assert "w0049" not in text
    text = repl.wait_for(said("afterwards"))
    assert text.index("w0049") < text.index(said("afterwards"))
    assert "queued" not in repl.ready().screen()


def test_a_message_that_begins_with_a_path_is_no_command(repl: Terminal) -> None:
    repl.enter("/etc/hosts is a file")
    repl.wait_for(said("is a file"))


def test_an_unknown_command_suggests_the_nearest_and_is_not_lost(repl: Terminal) -> None:
    repl.enter("/modle gpt")
    repl.wait_for("There is no command /modle. Did you mean /model?")
    repl.send("\x1b[A")
    repl.wait_for(lambda text: text.count("❯ /modle gpt") == 2)


def test_permission_shows_the_whole_command_and_enter_is_no_yes(repl: Terminal) -> None:
    repl.enter("permission")
    text = repl.wait_for("[y] once  [s] this session (covers: rm)  [n] no")
    assert "rm -rf build␛[1A" in text
    repl.send("\r")
    repl.read(0.3)
    assert "permission was" not in repl.screen()
    repl.send("y")
    repl.wait_for("permission was once")


def test_permission_for_the_session_and_denial(repl: Terminal) -> None:
    repl.enter("permission")
    repl.wait_for("[y] once")
    repl.send("s")
    repl.wait_for("permission was session")
    repl.ready()
    repl.enter("permission")
    repl.wait_for(lambda text: text.splitlines()[-2:][0].startswith("❯") and "[y] once" in text)
    repl.send("n")
    repl.wait_for("permission was deny")


def test_a_sentence_typed_at_a_question_is_neither_an_answer_nor_sent_nor_lost(repl: Terminal) -> None:
    repl.enter("permission")
    repl.wait_for("[y] once")
    for key in "you may say why":
        repl.send(key)
        repl.read(0.02)
    repl.send("\r")
    repl.wait_for("you may say why: none of the choices, not sent")
    repl.read(0.5)
    assert "permission was" not in repl.transcript()
    repl.enter("no")
    repl.wait_for("permission was deny")
    repl.ready()
    repl.read(0.3)
    assert "queued" not in repl.transcript() and "You said" not in repl.transcript()
    repl.send("\x1b[A")
    repl.wait_for("❯ you may say why")


@pytest.mark.parametrize("wrong", ["x", "?s", "a"])
def test_a_wrong_answer_is_refused_and_the_choices_stay(repl: Terminal, wrong: str) -> None:
    repl.enter("permission")
    repl.wait_for("[y] once")
    repl.enter(wrong)
    text = repl.wait_for(f"{wrong}: none of the choices")
    assert "[y] once" in text.rpartition("none of the choices")[2]
    repl.send("y")
    repl.wait_for("permission was once")
    repl.ready()
    repl.read(0.3)
    assert "You said" not in repl.transcript()


def test_a_command_typed_at_a_question_is_one_as_ever(repl: Terminal) -> None:
    repl.enter("permission")
    repl.wait_for("[y] once")
    repl.enter("/quit")
    assert repl.end() == 0


def test_escape_at_a_question_is_a_no(repl: Terminal) -> None:
    repl.enter("permission")
    repl.wait_for("[y] once")
    repl.send("\x1b")
    repl.wait_for("permission was deny")


def test_a_question_takes_a_number_or_words_and_gives_the_draft_back(repl: Terminal) -> None:
    repl.enter("question")
    repl.wait_for("a number from 1 to 2")
    repl.enter("2")
    repl.wait_for("answered green.")
    repl.ready()
    repl.enter("question")
    repl.wait_for(lambda text: text.count("Which colour?") == 2)
    repl.enter("blue as the sky")
    repl.wait_for("answered blue as the sky.")


def test_a_half_typed_line_is_neither_an_answer_nor_lost(repl: Terminal) -> None:
    repl.send("permission\ry")
    repl.wait_for("needs your word")
    repl.wait_for("[y] once", 3)
    assert "permission was" not in repl.screen()
    repl.send("n")
    repl.wait_for("permission was deny")
    assert "❯ y" in repl.ready().screen()
