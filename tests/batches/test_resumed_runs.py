"""What `--resume` takes up, what it refuses, and what it leaves alone."""

from __future__ import annotations

import pytest

from tests.batches.batch_process import Batch
from tests.faults.hermes_process import wait_for
from tests.server.scripted_server import Step, scripted_server


@pytest.mark.long
def test_only_the_first_samples_are_taken_and_a_resume_takes_more(batch: Batch) -> None:
    batch.prompts([f"go {number}" for number in range(10)])
    with scripted_server() as server:
        assert batch.run(server.url, "--max-samples", "3").code == 0
        assert sorted(batch.indexes()) == [0, 1, 2]
        assert batch.run(server.url, "--resume", "--max-samples", "5").code == 0
        assert sorted(batch.indexes()) == [0, 1, 2, 3, 4]


@pytest.mark.long
def test_two_starts_of_one_run_at_once_are_refused(batch: Batch) -> None:
    batch.prompts(["go"])
    with scripted_server(Step(text="Done.", delay=3)) as server:
        first = batch.start(server.url)
        wait_for(lambda: server.requests)
        second = batch.run(server.url, "--resume")
        assert second.code == 1
        assert f"process {first.pid} works on the run" in second.told
        assert batch.end(first).code == 0
    assert len(batch.rows()) == 1


@pytest.mark.long
def test_resume_refuses_other_prompts_and_what_would_change_the_rows(batch: Batch) -> None:
    batch.prompts(["one", "two"])
    assert batch.run("", "--model", "offline", "--seed", "3").code == 0
    for more, problem in (
        (["--seed", "4"], "was started with another --seed"),
        (["--model", "other"], "was started with another --model"),
        (["--policy", "yolo"], "was started with another --policy"),
    ):
        refused = batch.run("", "--resume", *more)
        assert refused.code == 2
        assert problem in refused.told
    batch.prompts(["one", "changed"])
    refused = batch.run("", "--resume")
    assert refused.code == 2
    assert "is not what run 'r' was started with" in refused.told


def test_prompts_may_be_added_at_the_end(batch: Batch) -> None:
    batch.prompts(["one"])
    assert batch.run("", "--model", "offline").code == 0
    batch.prompts(["one", {"prompt": "two", "more": 1}])
    done = batch.hermes.run("batch", "--run", "r", "--resume")
    assert done.code == 0, done.told
    assert [row["prompt_index"] for row in batch.rows()] == [0, 1]


def test_a_resumed_run_removes_none_but_half_sessions(batch: Batch) -> None:
    batch.prompts(["one"])
    assert batch.run("", "--model", "offline").code == 0
    (batch.folder / "sessions" / "20260101_000000_000000_aaaaaa.jsonl").write_text('{"type": "session"')
    (batch.folder / "sessions" / "of mine").mkdir()
    (batch.folder / "sessions" / "notes.txt").write_text("mine")
    assert batch.run("", "--resume").code == 0
    left = sorted(path.name for path in (batch.folder / "sessions").iterdir())
    assert left == sorted([f"{batch.lines('trajectories.jsonl')[0]['id']}.jsonl", "notes.txt", "of mine"])


def test_prompts_that_were_moved_are_asked_for_and_taken_from_their_new_place(batch: Batch) -> None:
    batch.prompts(["one"])
    assert batch.run("", "--model", "offline").code == 0
    (batch.hermes.folder / "prompts.jsonl").rename(batch.hermes.folder / "moved.jsonl")
    lost = batch.hermes.run("batch", "--run", "r", "--resume")
    assert lost.code == 2
    assert "name the file: hermes batch PROMPTS.jsonl --run r --resume" in lost.told
    assert batch.hermes.run("batch", "moved.jsonl", "--run", "r", "--resume").code == 0
    assert batch.indexes() == [0]
