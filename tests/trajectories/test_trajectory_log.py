from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from safety.redact import Redactor
from trajectories.trajectory_log import append_trajectory

ROOT = Path(__file__).parents[2]
APPEND = """
import sys
from pathlib import Path
from safety.redact import Redactor
from trajectories.session_load import load_session
from trajectories.trajectory_log import append_trajectory
for _ in range(20):
    assert append_trajectory(load_session(Path(sys.argv[1])), Path(sys.argv[2]), Redactor()) == ""
"""


def rows(logs: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (logs / "trajectories.jsonl").read_text().splitlines()]


def test_a_session_that_closes_twice_has_two_rows_of_one_id_and_the_last_is_the_fuller(
    talk: Any, tmp_path: Path
) -> None:
    logs = tmp_path / "fresh" / "logs"
    talk.person("one").answer("two").end()
    assert append_trajectory(talk.load(), logs, Redactor()) == ""
    talk.person("three").answer("four").end()
    assert append_trajectory(talk.load(), logs, Redactor()) == ""
    first, last = rows(logs)
    assert first["id"] == last["id"]
    assert len(last["conversations"]) == len(first["conversations"]) + 2
    assert (logs / "trajectories.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_session_without_an_answer_writes_nothing(talk: Any, tmp_path: Path) -> None:
    talk.person("one")
    assert append_trajectory(talk.load(), tmp_path / "logs2", Redactor()) == ""
    assert not (tmp_path / "logs2").exists()


def test_a_row_begins_on_a_line_of_its_own_after_a_torn_one(talk: Any, tmp_path: Path) -> None:
    (tmp_path / "trajectories.jsonl").write_text('{"torn')
    talk.person("one").answer("two")
    append_trajectory(talk.load(), tmp_path, Redactor())
    torn, row = (tmp_path / "trajectories.jsonl").read_text().splitlines()
    assert torn == '{"torn'
    assert json.loads(row)["id"] == talk.path.stem


def test_a_file_that_cannot_be_written_is_said_in_one_line(talk: Any, tmp_path: Path) -> None:
    (tmp_path / "trajectories.jsonl").mkdir()
    talk.person("one").answer("two")
    problem = append_trajectory(talk.load(), tmp_path, Redactor())
    assert problem.startswith(f"the trajectory of {talk.path.stem} was not written: Is a directory")


def test_processes_that_close_at_once_do_not_mix_their_rows(talk: Any, tmp_path: Path) -> None:
    talk.person("one " + "x" * 200_000).answer("two")
    arguments = [sys.executable, "-c", APPEND, os.fspath(talk.path), os.fspath(tmp_path / "logs")]
    processes = [subprocess.Popen(arguments, cwd=ROOT) for _ in range(4)]
    assert [process.wait(timeout=30) for process in processes] == [0] * 4
    assert len(rows(tmp_path / "logs")) == 80


def test_no_secret_reaches_the_log(talk: Any, tmp_path: Path) -> None:
    secret = "sk-proj-" + "a1B2c3D4e5F6" * 4
    talk.person(f"it is {secret}").answer("and open-sesame-77").end()
    assert append_trajectory(talk.load(), tmp_path, Redactor(["open-sesame-77"])) == ""
    assert append_trajectory(talk.load(), tmp_path, Redactor()) == ""
    first, second = map(json.loads, (tmp_path / "trajectories.jsonl").read_text().splitlines())
    assert secret not in json.dumps([first, second])
    assert [each["kind"] for each in first["redactions"]] == ["api-key", "known-secret"]
    assert [each["kind"] for each in second["redactions"]] == ["api-key"]
