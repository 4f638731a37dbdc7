"""What a batch keeps of the helpers of its conversations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from batches.prompts import Prompt
from batches.run_folder import RunFolder
from batches.task import PromptTask, TaskResult
from tests.batches.test_rows_and_files import held, plan
from tests.faults.hermes_process import Hermes
from tests.server.script import Call
from tests.server.scripted_server import Step, scripted_server
from trajectories.session_record import Header, Spawner


def step(body: dict[str, Any]) -> Step:
    """Two helpers for whoever is asked to, and an answer."""
    said = [each["role"] for each in body["messages"]]
    if any("have it done" in str(each["content"]) for each in body["messages"]) and "tool" not in said:
        return Step(tool_calls=[Call("delegate_task", {"task": task}) for task in ("one", "two")])
    return Step(text="Done.")


@pytest.mark.long
def test_the_sessions_of_helpers_are_kept_beside_that_of_the_conversation(home: Path, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "have it done"}\n')
    with scripted_server(step) as server:
        hermes = Hermes(home, tmp_path, server.url)
        told = hermes.run("batch", "p.jsonl", "--run", "r", "--toolsets", "default", "--policy", "deny")
        assert told.code == 0, told.told
        replies = [
            json.loads(each["content"])["session"]
            for request in server.requests for each in request.body["messages"] if each["role"] == "tool"
        ]  # fmt: skip
    folder = tmp_path / "data" / "r"
    (row,) = map(json.loads, (folder / "trajectories.jsonl").read_text().splitlines())
    assert len(set(replies)) == 2
    assert {each.stem for each in (folder / "sessions").iterdir()} == {row["id"], *replies}
    for name in replies:
        header = json.loads((folder / "sessions" / f"{name}.jsonl").read_text().splitlines()[0])
        assert header["spawned_by"]["session"] == row["id"]


def test_a_resumed_run_keeps_the_sessions_of_helpers_whose_conversation_has_a_row(tmp_path: Path) -> None:
    result = held(PromptTask(0, "hello", toolsets=["todo"]), plan(), tmp_path / "scratch")
    assert result.row is not None

    def helper(id: str, of: str) -> str:
        return msgspec.json.encode(Header(id=id, spawned_by=Spawner(of, "call"))).decode() + "\n"

    made = {"first": helper("first", result.row["id"]), "second": helper("second", "first")}
    folder = RunFolder(tmp_path / "r")
    folder.open(resume=False)
    folder.write_plan(plan())
    folder.record(msgspec.structs.replace(result, helpers=made), Prompt("hello"))
    for id, of in (("lost", "nobody"), ("round", "about"), ("about", "round")):
        (folder.sessions / f"{id}.jsonl").write_text(helper(id, of))
    (folder.sessions / "half.jsonl").write_text('{"type": "sess')
    folder.close()
    again = RunFolder(tmp_path / "r")
    again.open(resume=True)
    again.read_back([Prompt("hello")])
    again.close()
    kept = {each.stem for each in folder.sessions.iterdir()}
    assert kept == {result.row["id"], "first", "second"}


def test_a_result_of_a_worker_has_the_sessions_of_helpers_in_it() -> None:
    result = TaskResult(1, "recorded", helpers={"a": "text"})
    assert msgspec.json.decode(msgspec.json.encode(result), type=TaskResult) == result
