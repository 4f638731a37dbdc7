"""`hermes export`, through its real command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pexpect
import pytest
import yaml
from click.testing import CliRunner, Result

from commands.export import export
from commands.sessions import sessions
from commands.trajectories import trajectories
from conversation.message import AssistantMessage, ToolCall, ToolResult, Usage, UserMessage
from trajectories.formats.registry import FORMATS
from trajectories.session_file import SessionWriter
from trajectories.session_record import Header, TitleRecord

ROOT = Path(__file__).parents[2]
SECRET = "sk-proj-" + "a1B2c3D4e5F6" * 4
TERMINAL = {"type": "function", "function": {"name": "terminal", "parameters": {"type": "object"}}}


@pytest.fixture
def folder(home: Path) -> Path:
    return home / ".hermes" / "logs" / "sessions"


def save(folder: Path, question: str = "What is here?", *, outcome: str = "done", calls: int = 2) -> Path:
    """A conversation with parallel calls; returns its file."""
    writer = SessionWriter.create(folder, Header(id="", model="m", system="Be kind.", tools=[TERMINAL]))
    writer.append(UserMessage(question))
    if calls:
        ids = [f"{writer.header.id}-{n}" for n in range(calls)]
        writer.append(
            AssistantMessage("", tuple(ToolCall(each, "terminal", '{"command": "ls"}') for each in ids))
        )
        for each in ids:
            writer.append(ToolResult(each, "terminal", "a.txt"))
    if outcome != "unavailable":
        writer.append(AssistantMessage("A file.", usage=Usage(3, 4)))
    writer.end_turn(outcome)
    writer.close()
    return writer.path


def run(*arguments: str, group: Any = export) -> Result:
    return CliRunner().invoke(group, list(arguments))


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_export_and_sessions_export_are_one_command() -> None:
    assert sessions.get_command(click.Context(sessions), "export") is export
    done = subprocess.run(
        [sys.executable, "-c", "import cli, sys; sys.exit(cli.main())", "export", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    for name in FORMATS:
        assert name in done.stdout


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_is_written_for_every_session(name: str, folder: Path, tmp_path: Path) -> None:
    paths = [save(folder, f"question {n}") for n in range(3)]
    out = tmp_path / ("traces" if FORMATS[name].unit == "lines" else "rows.jsonl")
    result = run("--all", "--format", name, "-o", str(out))
    assert result.exit_code == 0, result.output
    assert f"3 sessions written to {out}" in result.stderr
    if out.is_dir():
        assert sorted(path.name for path in out.iterdir()) == [path.name for path in paths]
        assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}
        assert out.stat().st_mode & 0o777 == 0o700
    else:
        ids = [row.get("id") or row["session_id"] for row in rows(out)]
        assert ids == [path.stem for path in paths]
        assert out.stat().st_mode & 0o777 == 0o600


def test_what_trainers_get_is_what_validate_accepts(folder: Path, tmp_path: Path) -> None:
    for n in range(3):
        save(folder, f"question {n}")
    for name in ("both", "sharegpt", "openai", "trl", "axolotl", "nemo"):
        for family in ("llama3", "mistral", "kimi_k2", "gpt_oss", "qwen"):
            out = tmp_path / f"{name}-{family}.jsonl"
            assert run("--all", "--format", name, "--target", family, "-o", str(out)).exit_code == 0
            checked = run("validate", str(out), group=trajectories)
            assert checked.exit_code == 0, checked.output
            assert "3 good" in checked.output


def test_side_files_land_beside_the_output(folder: Path, tmp_path: Path) -> None:
    save(folder)
    (tmp_path / "dataset_info.json").write_text('{"mine": {"file_name": "mine.json"}}')
    result = run("-f", "llamafactory", "-o", str(tmp_path / "a.jsonl"))
    assert "with dataset_info.json beside it" in result.stderr
    assert run("-f", "llamafactory", "-o", str(tmp_path / "b.jsonl")).exit_code == 0
    assert list(json.loads((tmp_path / "dataset_info.json").read_text())) == ["mine", "a", "b"]
    assert run("-f", "axolotl", "-o", str(tmp_path / "c.jsonl")).exit_code == 0
    (entry,) = yaml.safe_load((tmp_path / "c.axolotl.yaml").read_text())["datasets"]
    assert entry["path"] == str(tmp_path / "c.jsonl")


def test_a_side_file_that_cannot_be_kept_stops_the_export_before_it_writes(
    folder: Path, tmp_path: Path
) -> None:
    save(folder)
    (tmp_path / "dataset_info.json").write_text("{broken")
    result = run("-f", "llamafactory", "-o", str(tmp_path / "a.jsonl"))
    assert result.exit_code == 1
    assert "no entry is added" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["dataset_info.json"]


def test_a_folder_of_a_run_and_a_session_file_are_sessions_too(folder: Path, tmp_path: Path) -> None:
    run_folder = tmp_path / "data" / "run1"
    inside = [save(run_folder / "sessions", f"prompt {n}") for n in range(2)]
    (run_folder / "trajectories.jsonl").write_text('{"conversations": []}\n')
    at_home = save(folder)
    for source in (run_folder, run_folder / "sessions"):
        result = run(str(source), "-f", "sharegpt")
        assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == [p.stem for p in inside]
    result = run(str(inside[0]), at_home.stem[:-3], "latest", "-f", "sharegpt")
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == [inside[0].stem, at_home.stem]


def test_an_earlier_export_is_a_file_to_write_and_no_session(folder: Path, tmp_path: Path) -> None:
    path = save(folder)
    for name in ("both", "hf"):
        out = tmp_path / f"{name}.jsonl"
        for _ in range(2):
            assert run("-f", name, str(out)).exit_code == 0
        assert rows(out)[0]["id"] == path.stem


@pytest.mark.parametrize("name", ["hf", "both"])
def test_a_session_is_never_written_over(name: str, folder: Path, tmp_path: Path) -> None:
    path = save(folder)
    before = path.read_bytes()
    for out in (folder, path) if name == "hf" else (path,):
        result = run(str(path), "-f", name, "-o", str(out))
        assert result.exit_code == 1
        assert "not written over" in result.stderr
    assert path.read_bytes() == before


def test_a_folder_with_a_pipe_in_it_does_not_wait_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    assert run(str(tmp_path)).exit_code == 1


def test_what_is_nested_too_deeply_is_no_session_and_no_crash(folder: Path, tmp_path: Path) -> None:
    save(folder)
    deep = tmp_path / "deep.jsonl"
    deep.write_text("[" * 100_000)
    result = run(str(folder), str(deep))
    assert result.exit_code == 0
    assert len(rows(deep)) == 1


@pytest.mark.parametrize("name", list(FORMATS))
def test_one_session_that_is_nested_too_deeply_is_left_out_and_named(
    name: str, folder: Path, tmp_path: Path
) -> None:
    deep = SessionWriter.create(folder, Header(id="", model="m", sampling=_nested(300)))
    deep.append(UserMessage("Hi."))
    deep.append(AssistantMessage("Hi."))
    deep.close()
    good = save(folder)
    result = run("--all", "--target", "qwen", "-f", name, "-o", str(tmp_path / "out") + "/")
    if FORMATS[name].unit == "rows":
        result = run("--all", "-f", name, "-o", str(tmp_path / "out.jsonl"))
    assert result.exit_code == 0, result.output
    assert f"left out: {deep.path.stem}" in result.stderr
    assert "1 session written" in result.stderr
    assert good.exists()


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": [value]}
    return value


def test_a_side_file_needs_a_file_to_lie_beside(folder: Path) -> None:
    save(folder)
    result = run("-f", "llamafactory", "-o", "/dev/null")
    assert result.exit_code == 0
    assert not Path("/dev/dataset_info.json").exists()


def test_a_folder_that_cannot_be_made_is_said(folder: Path, tmp_path: Path) -> None:
    save(folder)
    (tmp_path / "file").write_text("")
    result = run("-f", "hf", "-o", str(tmp_path / "file" / "out") + "/")
    assert result.exit_code == 1
    assert "cannot make the folder" in result.stderr


def test_an_unreadable_file_in_a_run_is_left_out_and_named(tmp_path: Path) -> None:
    good = save(tmp_path / "run" / "sessions")
    (good.parent / "broken.jsonl").write_text("nothing")
    result = run(str(tmp_path / "run"), "-f", "sharegpt")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1
    assert "left out" in result.stderr and "broken" in result.stderr
    assert run(str(good.parent / "broken.jsonl")).exit_code != 0


def test_filters_choose_sessions_and_all_of_them_must_hold(folder: Path) -> None:
    save(folder, "bad", outcome="limit")
    plain = save(folder, "plain", calls=0)
    good = save(folder, "good")

    def ids(*arguments: str) -> list[str]:
        result = run("-f", "trl", *arguments)
        assert result.exit_code == 0, result.output
        return [json.loads(line)["id"] for line in result.stdout.splitlines()]

    assert ids("--filter", "outcome=done") == [plain.stem, good.stem]
    assert ids("--filter", "outcome=done", "--filter", "tool=terminal") == [good.stem]
    assert ids("--filter", "outcome=done", plain.stem) == [plain.stem]
    assert ids("--all", "--filter", "turns>5") == []
    assert "--filter kept 0 of 3 sessions" in run("--filter", "turns>5").stderr
    assert "no session has a field 'colour'" in run("--filter", "colour=blue").stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--filter", "turns>"], "expected a value"),
        (["--target", "parrot"], "no model family 'parrot'"),
        (["--format", "word"], "'word' is not one of"),
        (["--all", "latest"], "--all and sessions by name do not go together"),
        (["-f", "atif", "-o", "x.parquet"], "atif is no table, so it has no Parquet form"),
    ],
)
def test_wrong_usage_is_said_in_a_line(
    arguments: list[str], said: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(folder)
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_document_is_one_file_and_several_are_lines_or_a_folder(folder: Path, tmp_path: Path) -> None:
    first = save(folder)
    assert run("-f", "atif", "-o", str(tmp_path / "one.json")).exit_code == 0
    assert json.loads((tmp_path / "one.json").read_text())["session_id"] == first.stem
    second = save(folder)
    result = run("-f", "atif", "--all", "-o", str(tmp_path / "two.json"))
    assert result.exit_code == 2
    assert "for several give -o a folder" in result.stderr
    assert not (tmp_path / "two.json").exists()
    assert run("-f", "atif", "--all", "-o", str(tmp_path / "all")).exit_code == 0
    names = sorted(path.name for path in (tmp_path / "all").iterdir())
    assert names == [f"{first.stem}.json", f"{second.stem}.json"]
    assert run("-f", "atif", "--all").stdout.count("ATIF-v1.7") == 2


def test_a_trace_for_the_hub_holds_one_session(folder: Path, tmp_path: Path) -> None:
    save(folder)
    save(folder)
    result = run("-f", "hf", "--all", "-o", str(tmp_path / "all.jsonl"))
    assert result.exit_code == 2
    assert "give -o a folder" in result.stderr
    assert run("-f", "hf", "latest", "-o", str(tmp_path / "one.jsonl")).exit_code == 0
    assert rows(tmp_path / "one.jsonl")[0]["harness"] == "hermes-agent"


def test_secrets_are_left_out_unless_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MY_API_KEY", "correct-horse-battery")
    save(folder, f"use {SECRET} and correct-horse-battery")
    for name in FORMATS:
        shown = run("-f", name).stdout
        assert SECRET not in shown and "correct-horse" not in shown
        assert "redacted:api-key" in shown
    (row,) = (json.loads(line) for line in run("-f", "openai").stdout.splitlines())
    assert row["redactions"] == [{"kind": "api-key", "count": 1}, {"kind": "known-secret", "count": 1}]
    assert SECRET in run("--no-redact").stdout


def test_split_parallel_gives_one_call_an_answer(folder: Path) -> None:
    save(folder, calls=3)
    row = json.loads(run("-f", "trl", "--split-parallel").stdout)
    counts = [len(m["tool_calls"]) for m in row["messages"] if "tool_calls" in m]
    assert counts == [1, 1, 1]


def test_many_sessions_without_a_row_are_counted_and_not_all_named(folder: Path) -> None:
    for n in range(8):
        save(folder, f"question {n}", outcome="unavailable", calls=0)
    result = run("--all", "-f", "trl", "-o", "-")
    assert result.stdout == ""
    assert result.stderr.count("no answer of a model, and so no trl row") == 5
    assert "and 3 more" in result.stderr


def test_parquet_is_written_where_the_library_is_there_and_named_where_it_is_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(folder)
    out = tmp_path / "rows.parquet"
    with monkeypatch.context() as missing:
        missing.setitem(sys.modules, "datasets", None)
        result = run("-f", "openai", str(out))
    assert result.exit_code == 1
    assert "pip install 'hermes-agent[data]'" in result.stderr
    assert list(tmp_path.iterdir()) == []
    pytest.importorskip("datasets")
    assert run("-f", "openai", str(out)).exit_code == 0
    assert out.read_bytes()[:4] == b"PAR1"


def test_a_title_with_escape_sequences_does_not_reach_the_terminal(folder: Path) -> None:
    path = save(folder, outcome="unavailable", calls=0)
    writer, _ = SessionWriter.open(path)
    writer.append(TitleRecord(title="x\x1b[2J"))
    writer.close()
    path.write_bytes(path.read_bytes() + b'{"type":"\x1b[31m"}\n')
    result = run("-f", "sharegpt")
    assert "\x1b" not in result.stdout + result.stderr


@pytest.mark.long
@pytest.mark.thorough
def test_thousands_of_sessions_are_exported_in_bounded_memory(folder: Path, tmp_path: Path) -> None:
    path = save(folder)
    data = path.read_bytes()
    (record,) = [line for line in data.splitlines() if b'"type":"tool"' in line and b"-0" in line]
    data = data.replace(record, record.replace(b"a.txt", b"x" * 100_000))
    for n in range(2000):
        (folder / f"20260101_000000_{n:06d}_aaaaaa.jsonl").write_bytes(data)
    code = (
        "import resource, sys; from commands.export import export\n"
        "export(sys.argv[1:], standalone_mode=False)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peak: Callable[..., int] = lambda *names: int(  # noqa: E731
        subprocess.run(
            [sys.executable, "-c", code, *names, "-f", "trl", "-o", str(tmp_path / "rows.jsonl")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    one, all_of_them = peak("latest"), peak("--all")
    assert (tmp_path / "rows.jsonl").stat().st_size > 200_000_000
    assert all_of_them - one < 30_000


def test_a_person_sees_how_far_a_long_export_is(folder: Path, tmp_path: Path) -> None:
    path = save(folder)
    for n in range(120):
        (folder / f"20260101_000000_{n:06d}_aaaaaa.jsonl").write_bytes(path.read_bytes())
    child = pexpect.spawn(
        sys.executable,
        ["-c", "from commands.export import export; export()", "--all", "-o", str(tmp_path / "rows.jsonl")],
        cwd=str(ROOT),
        encoding="utf-8",
        timeout=30,
    )
    child.expect_exact("exporting")
    child.expect_exact("121 sessions written")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
