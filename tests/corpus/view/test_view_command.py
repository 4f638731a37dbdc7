"""`hermes data view`, up to the path it prints."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from commands.data_view import view
from conversation.message import AssistantMessage, UserMessage
from tests.corpus.view.written import index, row, save
from trajectories.session_file import SessionWriter
from trajectories.session_record import Header

ROOT = Path(__file__).parents[3]


def run(*arguments: str | Path, given: bytes | None = None) -> Result:
    return CliRunner().invoke(view, [str(each) for each in arguments], input=given)


@pytest.fixture
def session(home: Path) -> Path:
    writer = SessionWriter.create(home / ".hermes" / "logs" / "sessions", Header(id="", model="model-a"))
    writer.append(UserMessage("What is here?"))
    writer.append(AssistantMessage("A file."))
    writer.end_turn("done")
    writer.close()
    return writer.path


def test_the_page_goes_beside_the_file_and_its_path_is_printed(tmp_path: Path) -> None:
    save(tmp_path / "rows.jsonl", [row(1), b"broken\n"])
    done = run(tmp_path / "rows.jsonl")
    assert done.stdout == f"{tmp_path / 'rows.html'}\n"
    assert done.stderr == "1 row, 1 problem\n"
    assert done.exit_code == 0
    assert (tmp_path / "rows.html").exists()


def test_a_folder_where_the_page_would_be_is_said(tmp_path: Path) -> None:
    save(tmp_path / "rows.jsonl", [row(1)])
    (tmp_path / "rows.html").mkdir()
    done = run(tmp_path / "rows.jsonl")
    assert done.exit_code == 2
    assert "say -o OTHER.html" in done.stderr


@pytest.mark.parametrize("device", ["/dev/full", "a reader that left"])
def test_a_page_that_cannot_be_written_out_is_no_failure_to_read(tmp_path: Path, device: str) -> None:
    path = save(tmp_path / "rows.jsonl", [row(n) for n in range(2000)])
    command = [sys.executable, str(ROOT / "cli.py"), "data", "view", str(path), "-o", "-"]
    where = "> /dev/full" if device == "/dev/full" else "| head -c 1"
    done = subprocess.run(f"{shlex.join(command)} {where}", shell=True, capture_output=True, text=True)
    assert "cannot read" not in done.stderr
    assert "Traceback" not in done.stderr
    assert ("No space left" in done.stderr) == (device == "/dev/full")


def test_its_own_page_is_replaced_and_anything_else_is_not(tmp_path: Path) -> None:
    save(tmp_path / "rows.jsonl", [row(1)])
    run(tmp_path / "rows.jsonl")
    assert run(tmp_path / "rows.jsonl").exit_code == 0
    (tmp_path / "rows.html").write_text("<p>my report</p>")
    done = run(tmp_path / "rows.jsonl")
    assert done.exit_code == 2
    assert "say -o OTHER.html" in done.stderr
    assert (tmp_path / "rows.html").read_text() == "<p>my report</p>"
    assert run(tmp_path / "rows.jsonl", "-o", tmp_path / "rows.html").exit_code == 0


@pytest.mark.parametrize("name", ["latest", "the id", "its beginning", "the path"])
def test_a_session_goes_by_its_names(name: str, session: Path, tmp_path: Path) -> None:
    names: dict[str, str | Path] = {
        "latest": "latest",
        "the id": session.stem,
        "its beginning": session.stem[:18],
        "the path": session,
    }
    done = run(names[name], "-o", tmp_path / "page.html")
    assert done.exit_code == 0, done.output
    assert index(tmp_path / "page.html")["rows"][0][5] == "What is here?"


def test_several_files_become_one_page(session: Path, tmp_path: Path) -> None:
    save(tmp_path / "one.jsonl", [row(1), row(2)])
    done = run(tmp_path / "one.jsonl", "latest")
    assert done.stderr == "3 rows\n"
    assert index(tmp_path / "one.html")["files"] == ["one.jsonl", session.stem]


def test_rows_come_from_standard_input_too(tmp_path: Path) -> None:
    save(tmp_path / "rows.jsonl", [row(1)])
    assert "say -o" in run("-", given=b"").stderr
    done = run("-", "-o", tmp_path / "page.html", given=(tmp_path / "rows.jsonl").read_bytes())
    assert done.stderr == "1 row\n"


def test_a_name_that_is_nothing_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    done = run("nothing")
    assert done.exit_code == 2
    assert "there is no file 'nothing', and no session 'nothing'" in done.stderr
    assert "there is no file" in run(tmp_path / "rows.jsonl").stderr
    assert "is a folder" in run(tmp_path).stderr


def test_a_page_that_cannot_be_written_is_said_in_a_line(tmp_path: Path) -> None:
    save(tmp_path / "rows.jsonl", [row(1)])
    done = run(tmp_path / "rows.jsonl", "-o", tmp_path / "rows.jsonl" / "page.html")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: cannot make the folder ")


def test_without_any_row_the_page_is_there_and_the_exit_code_is_1(tmp_path: Path) -> None:
    save(tmp_path / "rows.jsonl", [b"broken\n"])
    assert run(tmp_path / "rows.jsonl").exit_code == 1
    assert index(tmp_path / "rows.html")["problem_count"] == 1


def test_open_asks_the_browser_for_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/asked\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    save(tmp_path / "rows.jsonl", [row(1)])
    assert run(tmp_path / "rows.jsonl", "--open").exit_code == 0
    assert (tmp_path / "asked").read_text().strip() == (tmp_path / "rows.html").as_uri()


def test_a_file_name_of_any_bytes_makes_a_page(tmp_path: Path) -> None:
    name = os.fsdecode(b"r\xff<b>\x1b[31m\xe2\x80\xae.jsonl")
    save(tmp_path / name, [row(1)])
    done = run(tmp_path / name, "-o", tmp_path / "page.html")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "page.html").read_text()
    assert "<title>r&lt;U+DCFF&gt;&lt;b&gt;␛[31m&lt;U+202E&gt;.jsonl</title>" in text


def test_the_page_can_go_into_a_pipe(tmp_path: Path) -> None:
    save(tmp_path / "rows.jsonl", [row(1)])
    command = [sys.executable, "cli.py", "data", "view", str(tmp_path / "rows.jsonl"), "-o", "-"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert done.stdout.startswith(b"<!doctype html>")
    assert done.stdout.endswith(b"</html>\n")
    assert done.stderr == b"1 row\n"
