"""`hermes sessions`, through its real command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest
from click.testing import CliRunner, Result

from commands.sessions import sessions
from commands.trajectories import trajectories
from conversation.message import AssistantMessage, ToolCall, ToolResult, Usage, UserMessage
from trajectories.session_file import SessionWriter
from trajectories.session_load import load_session
from trajectories.session_record import Header, Spawner

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(home: Path) -> Path:
    return home / ".hermes" / "logs" / "sessions"


@pytest.fixture
def save(folder: Path) -> Callable[..., Path]:
    """Saves a conversation and returns its file."""

    def save_one(question: str = "What is here?", answer: str = "A file.", **header: Any) -> Path:
        writer = SessionWriter.create(folder, Header(id="", model="test-model", system="Be kind.", **header))
        writer.append(UserMessage(question))
        if answer:
            writer.append(
                AssistantMessage("", (ToolCall(f"c{writer.header.id}", "terminal", "{}"),), reasoning="hm")
            )
            writer.append(ToolResult(f"c{writer.header.id}", "terminal", "line\n" * 30, "error"))
            writer.append(AssistantMessage(answer, usage=Usage(3, 4)))
        writer.end_turn("done" if answer else "unavailable")
        writer.close()
        return writer.path

    return save_one


def run(*arguments: str, group: Any = sessions) -> Result:
    return CliRunner().invoke(group, list(arguments))


def test_the_list_prints_each_id_whole_with_its_facts(save: Callable[..., Path]) -> None:
    paths = [save("first question"), save("second question")]
    result = run("list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [path.stem for path in reversed(paths)]
    assert "second question" in lines[0]
    assert "test-model" in lines[0]
    assert "1 turn, done" in lines[0]


def test_the_list_marks_sessions_of_helpers(save: Callable[..., Path]) -> None:
    parent = save("the whole").stem
    save("a part", spawned_by=Spawner(parent, "c1"))
    [helper, whole] = run("list").stdout.splitlines()
    assert f"(helper of {parent}) a part" in helper
    assert helper.startswith("  ") and not whole.startswith(" ")
    assert json.loads(run("list", "--json").stdout.splitlines()[0])["spawned_by"] == parent


def test_the_list_can_be_cut_kept_to_this_folder_and_read_by_programs(save: Callable[..., Path]) -> None:
    for _ in range(3):
        save(cwd=os.getcwd())
    other = save(cwd="/elsewhere")
    assert len(run("list", "--limit", "2").stdout.splitlines()) == 2
    assert len(run("list", "--limit", "2", "--all").stdout.splitlines()) == 4
    assert other.stem not in run("list", "--here").stdout
    rows = [json.loads(line) for line in run("list", "--json").stdout.splitlines()]
    assert rows[0]["id"] == other.stem
    assert rows[0]["outcome"] == "done"


def test_an_empty_list_says_where_it_looked(folder: Path) -> None:
    result = run("list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert str(folder) in result.stderr


def test_the_list_says_how_many_files_it_could_not_read(save: Callable[..., Path], folder: Path) -> None:
    path = save("readable")
    (folder / "20260101_000000_000000_aaaaaa.jsonl").write_bytes(b"\0\0\0")
    result = run("list")
    assert [line.split()[0] for line in result.stdout.splitlines()] == [path.stem]
    assert "1 more" in result.stderr
    assert "cannot be read" in result.stderr


def test_show_prints_a_plain_transcript_that_cannot_steer_the_terminal(save: Callable[..., Path]) -> None:
    path = save("question\x1b]0;owned\x07", "the \x1b[2Janswer")
    result = run("show", path.stem)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "\x07" not in result.stdout
    for part in ("question", "Janswer", "terminal {}", "18 more lines", "(error)", "1 turn, done", "hm"):
        assert part in result.stdout


def test_show_json_is_one_object_with_the_messages(save: Callable[..., Path]) -> None:
    shown = json.loads(run("show", save().stem, "--json").stdout)
    assert [message["role"] for message in shown["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert shown["problems"] == []


def test_a_damaged_session_is_shown_and_its_damage_told_on_stderr(save: Callable[..., Path]) -> None:
    path = save()
    path.write_bytes(path.read_bytes() + b"garbage")
    result = run("show", path.stem)
    assert "A file." in result.stdout
    assert "a last line that was not written to its end" in result.stderr


@pytest.mark.parametrize("command", ["show", "export", "delete"])
def test_an_unknown_session_fails_with_a_word_of_help(command: str, save: Callable[..., Path]) -> None:
    save()
    result = run(command, "nothing-like-that")
    assert result.exit_code == 1
    assert "no session 'nothing-like-that'" in result.stderr
    assert "hermes sessions list" in result.stderr


def test_rename_gives_a_title_by_which_the_session_is_found(save: Callable[..., Path]) -> None:
    first, second = save("one"), save("two")
    assert run("rename", first.stem, " My   plan ").exit_code == 0
    assert run("show", "my plan").stdout.startswith(f"session {first.stem}")
    assert run("list").stdout.splitlines()[0].startswith(second.stem)
    assert run("rename", first.stem, "  ").exit_code == 2


def test_a_session_that_is_open_elsewhere_is_neither_renamed_nor_deleted(save: Callable[..., Path]) -> None:
    path = save()
    writer, _ = SessionWriter.open(path)
    for arguments in (["rename", path.stem, "x"], ["delete", "--yes", path.stem]):
        result = run(*arguments)
        assert result.exit_code == 1
        assert f"is open in process {os.getpid()}" in result.stderr
    writer.close()
    assert path.exists()


def test_delete_without_a_terminal_wants_yes(save: Callable[..., Path]) -> None:
    first, second = save("one"), save("two")
    result = run("delete", first.stem)
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert first.exists()
    assert run("delete", "--yes", first.stem, second.stem).exit_code == 0
    assert not first.exists()
    assert not second.exists()


def test_delete_asks_at_a_terminal_and_takes_no_for_an_answer(save: Callable[..., Path]) -> None:
    path = save()
    arguments = ["-c", "from commands.sessions import sessions; sessions()", "delete", path.stem]
    for answer, stays in (("n", True), ("y", False)):
        child = pexpect.spawn(sys.executable, arguments, cwd=str(ROOT), encoding="utf-8", timeout=20)
        child.expect_exact("Delete 1 session for good?")
        child.sendline(answer)
        child.expect(pexpect.EOF)
        child.close()
        assert path.exists() is stays


def test_export_with_a_file_alone_writes_the_last_session_so_that_every_reader_finds_its_form(
    save: Callable[..., Path], tmp_path: Path
) -> None:
    save("earlier")
    path = save("latest")
    target = tmp_path / "out.jsonl"
    result = run("export", str(target))
    assert (result.exit_code, result.stdout) == (0, "")
    row = json.loads(target.read_text())
    assert row["id"] == path.stem
    assert [message["role"] for message in row["messages"]][-1] == "assistant"
    assert row["messages"][-1]["usage"]["prompt_tokens"] == 3
    assert [turn["from"] for turn in row["conversations"]] == ["system", "human", "gpt", "tool", "gpt"]
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [target]


def test_harnesses_may_say_where_a_session_came_from_and_which_it_is(
    save: Callable[..., Path], tmp_path: Path
) -> None:
    path = save("earlier")
    save("latest")
    target = tmp_path / "out.jsonl"
    assert run("export", str(target), "--source", "cli", "--session-id", path.stem).exit_code == 0
    assert json.loads(target.read_text())["id"] == path.stem


def test_exported_files_hold_what_validate_accepts(save: Callable[..., Path], tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": "terminal", "parameters": {}}}]
    for n in range(3):
        save(f"question {n}", tools=tools)
    for row_format in ("both", "sharegpt", "openai"):
        target = tmp_path / f"{row_format}.jsonl"
        assert run("export", "--all", "--format", row_format, str(target)).exit_code == 0
        result = run("validate", str(target), group=trajectories)
        assert result.exit_code == 0, result.output
        assert "3 rows: 3 good, 0 bad" in result.output


def test_export_takes_sessions_and_a_file_in_one_line(save: Callable[..., Path], tmp_path: Path) -> None:
    first, second, _ = save("one"), save("two"), save("three")
    target = tmp_path / "rows"
    for arguments in ([first.stem, second.stem, str(target)], ["-o", str(target), first.stem, second.stem]):
        assert run("export", *arguments).exit_code == 0
        assert [json.loads(line)["id"] for line in target.read_text().splitlines()] == [
            first.stem,
            second.stem,
        ]


def test_export_without_a_file_writes_to_standard_output(save: Callable[..., Path]) -> None:
    path = save()
    for arguments in ([], ["-"], [path.stem], [path.stem, "-"]):
        assert json.loads(run("export", *arguments).stdout)["id"] == path.stem


def test_a_session_without_an_answer_exports_its_messages_and_no_sharegpt_row(
    save: Callable[..., Path],
) -> None:
    save("hello?", "")
    row = json.loads(run("export").stdout)
    assert row["messages"][-1] == {"role": "user", "content": "hello?"}
    assert "conversations" not in row
    result = run("export", "--format", "sharegpt")
    assert result.stdout == ""
    assert "no answer of a model" in result.stderr


def test_one_unreadable_file_does_not_stop_the_export_of_all(save: Callable[..., Path], folder: Path) -> None:
    path = save()
    (folder / "broken.jsonl").write_text("nothing")
    result = run("export", "--all")
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == [path.stem]
    assert "left out" in result.stderr


def test_an_export_that_cannot_be_written_fails(save: Callable[..., Path], tmp_path: Path) -> None:
    save()
    (tmp_path / "file").write_text("")
    result = run("export", str(tmp_path / "file" / "out.jsonl"))
    assert result.exit_code == 1
    assert "cannot make the folder" in result.stderr


def test_an_export_that_breaks_off_leaves_the_old_file_as_it_was(
    save: Callable[..., Path], folder: Path, tmp_path: Path
) -> None:
    path = save()
    (folder / "broken.jsonl").write_text("nothing")
    target = tmp_path / "out.jsonl"
    target.write_text("old")
    assert run("export", path.stem, "broken", str(target)).exit_code == 1
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_export_goes_through_a_pipe_and_through_a_link(save: Callable[..., Path], tmp_path: Path) -> None:
    save()
    command = "import cli, sys; sys.exit(cli.main())"
    arguments = [sys.executable, "-c", command, "sessions", "export", "/dev/stdout"]
    piped = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    assert json.loads(piped.stdout)["completed"] is True
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "real.jsonl")
    assert run("export", str(tmp_path / "link.jsonl")).exit_code == 0
    assert (tmp_path / "link.jsonl").is_symlink()
    assert json.loads((tmp_path / "real.jsonl").read_text())["completed"] is True


def test_export_with_nothing_saved_fails(folder: Path) -> None:
    result = run("export")
    assert result.exit_code == 1
    assert f"no sessions in {folder}" in result.stderr


def test_sessions_are_looked_for_where_hermes_logs_points(
    save: Callable[..., Path], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save()
    folder.parent.rename(tmp_path / "elsewhere")
    assert run("list").stdout == ""
    monkeypatch.setenv("HERMES_LOGS", str(tmp_path / "elsewhere"))
    assert run("list").stdout.startswith(path.stem)
    assert load_session(tmp_path / "elsewhere" / "sessions" / path.name).history.messages()
