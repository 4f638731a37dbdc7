"""`hermes batch` from the outside: prompts in, rows out, and every refusal before anything is spent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandboxes.confinement.confined import confinement_problem
from tests.batches.batch_process import Batch
from tests.faults.hermes_process import KEY, Hermes
from tests.server.scripted_server import Call, Step, refusal, scripted_server, tool_turns


@pytest.fixture
def batch(home: Path, tmp_path: Path) -> Batch:
    folder = tmp_path / "work"
    folder.mkdir()
    return Batch(Hermes(home, folder))


def asked(body: dict[str, Any]) -> str:
    """The prompt of the conversation that a request belongs to."""
    return str(next(each["content"] for each in body["messages"] if each["role"] == "user"))


def test_each_prompt_becomes_a_row_with_its_fields_and_what_was_done(batch: Batch) -> None:
    batch.prompts(
        [{"prompt": f"go {number}", "level": number, "id": f"task-{number}"} for number in range(30)]
    )
    with scripted_server(*tool_turns(2), by="turn") as server:
        more = ("--policy", "yolo", "--workers", "2", "--concurrency", "10", "--toolsets", "terminal,file")
        done = batch.run(server.url, *more)
    assert done.code == 0, done.told
    assert "30 of 30 done" in done.text
    rows = batch.rows()
    assert [row["prompt_index"] for row in rows] == list(range(30))
    for number, row in enumerate(rows):
        assert row["conversations"][1] == {"from": "human", "value": f"go {number}"}
        assert row["level"] == number
        assert row["id"] != f"task-{number}"
        assert json.loads(row["metadata"]["input"]) == {"id": f"task-{number}"}
        assert (row["completed"], row["partial"], row["api_calls"]) == (True, False, 3)
        assert row["toolsets_used"] == ["terminal", "file"]
        assert row["tool_stats"]["terminal"] == {"count": 2, "success": 2, "failure": 0}
        assert row["tool_stats"]["patch"] == {"count": 0, "success": 0, "failure": 0}
        assert row["tool_error_counts"]["terminal"] == 0
        assert list(row) == list(rows[0])
    facts = batch.statistics()
    assert (facts["recorded"], facts["completed"], facts["left"]) == (30, 30, 0)
    assert facts["tools"]["terminal"]["count"] == 60
    assert server.connections <= 10
    assert not any("stream" in request.body for request in server.requests)
    assert batch.left_behind() == []


def test_each_task_works_in_a_copy_of_the_folder(batch: Batch) -> None:
    given = batch.hermes.folder / "given"
    (given / "sub").mkdir(parents=True)
    (given / "sub" / "note.txt").write_text("as given\n")
    batch.prompts(["one", "two"])
    command = "cat sub/note.txt && echo changed > sub/note.txt"
    steps = [Step(tool_calls=[Call("terminal", {"command": command})]), Step(text="Done.")]
    with scripted_server(*steps, by="turn") as server:
        done = batch.run(server.url, "--policy", "yolo", "--folder", "given", "--concurrency", "1")
        assert done.code == 0, done.told
        assert "policy yolo: tools may do everything, as you, on this machine" in done.told
        again = batch.run(server.url, "--resume", "--folder", str(batch.hermes.folder))
        resumed = batch.run(server.url, "--resume")
    assert "another --folder" in again.told
    assert "as before: tools may do everything, as you, on this machine" in resumed.told
    assert [row["conversations"][3]["value"].count("as given") for row in batch.rows()] == [1, 1]
    assert (given / "sub" / "note.txt").read_text() == "as given\n"
    assert batch.left_behind() == []


def test_the_exports_of_a_run_have_its_conversations(batch: Batch) -> None:
    batch.prompts(["one", "two"])
    assert batch.run("", "--model", "offline").code == 0
    out = batch.hermes.run("export", "data/r", "--format", "openai", "-o", "out.jsonl")
    assert out.code == 0, out.told
    assert len((batch.hermes.folder / "out.jsonl").read_text().splitlines()) == 2
    checked = batch.hermes.run("trajectories", "validate", "data/r/trajectories.jsonl")
    assert checked.code == 0, checked.told


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"prompt": "a"}\n{"text": "b"}\n', ":2: has no field `prompt` (it has: text)"),
        ('{"prompt": "a"}\n\n{"prompt": \n', ":3: not JSON"),
        ('{"prompt": ["a"]}\n', ":1: `prompt` is a list, not text"),
        ('{"prompt": "  "}\n', ":1: `prompt` is empty"),
        ("[1]\n", ":1: neither a JSON object nor a string"),
        ("\n", "has no prompts"),
        ('{"prompt": "a", "x": ' + "[" * 5000 + "]" * 5000 + "}", ":1: nested too deeply"),
    ],
)
def test_a_bad_line_is_named_before_anything_is_spent(batch: Batch, text: str, problem: str) -> None:
    (batch.hermes.folder / "prompts.jsonl").write_text(text)
    with scripted_server() as server:
        done = batch.run(server.url)
        assert not server.requests
    assert done.code == 2
    assert problem in done.told
    assert ("each line is an object" in done.told) == (problem != "has no prompts")
    assert not batch.folder.exists()


def test_fields_whose_names_are_taken_are_told_of(batch: Batch) -> None:
    batch.prompts([{"prompt": "go", "source": "mine", "topic": "x"}, {"prompt": "go on", "source": "mine"}])
    done = batch.run("", "--model", "offline")
    assert done.told.count("rows have a source of their own") == 1
    assert [json.loads(row["metadata"]["input"]) for row in batch.rows()] == [{"source": "mine"}] * 2


def test_a_line_may_be_the_prompt_alone(batch: Batch) -> None:
    (batch.hermes.folder / "prompts.jsonl").write_bytes('\ufeff"hello"\r\n{"prompt": "ü"}'.encode())
    with scripted_server() as server:
        assert batch.run(server.url).code == 0
    assert [row["conversations"][1]["value"] for row in batch.rows()] == ["hello", "ü"]


def test_without_a_policy_commands_are_confined_to_the_tasks_folder(batch: Batch) -> None:
    if problem := confinement_problem():
        pytest.skip(problem)
    outside = batch.hermes.folder / "outside.txt"
    steps = [
        Step(tool_calls=[Call("terminal", {"command": "echo x > inside.txt; cat inside.txt"})]),
        Step(tool_calls=[Call("terminal", {"command": f"touch {outside}"})]),
        Step(tool_calls=[Call("terminal", {"command": "exec 3<> /dev/tcp/127.0.0.1/9"})]),
        Step(text="Done."),
    ]
    batch.prompts(["go"])
    with scripted_server(*steps, by="turn") as server:
        done = batch.run(server.url)
    assert done.code == 0
    confined = "tools may do everything, confined to their task's own folder, without network"
    assert f"no policy was stated: {confined}" in done.told
    assert not outside.exists()
    (row,) = batch.rows()
    results = [json.loads(turn["value"].split("\n")[1])["content"] for turn in row["conversations"]
               if turn["from"] == "tool"]  # fmt: skip
    assert results[0]["output"] == "x\n"
    assert results[1]["exit_code"] != 0 and results[2]["exit_code"] != 0
    (session,) = (batch.folder / "sessions").glob("*")
    assert json.loads(session.read_text().split("\n")[0])["sandbox"] in ("local:bubblewrap", "local:landlock")
    assert batch.left_behind() == []


def test_without_a_policy_and_unconfined_files_stay_in_the_tasks_folder_and_no_command_runs(
    batch: Batch,
) -> None:
    batch.hermes.extra["HERMES_TERMINAL_SANDBOX"] = "off"
    outside = batch.hermes.folder / "outside.txt"
    steps = [
        Step(tool_calls=[Call("write_file", {"path": "inside.txt", "content": "x"})]),
        Step(tool_calls=[Call("write_file", {"path": str(outside), "content": "x"})]),
        Step(tool_calls=[Call("terminal", {"command": f"touch {outside}"})]),
        Step(text="Done."),
    ]
    batch.prompts(["go"])
    with scripted_server(*steps, by="turn") as server:
        done = batch.run(server.url)
    assert done.code == 0
    assert "no policy was stated and nothing confines commands" in done.told
    assert not outside.exists()
    (row,) = batch.rows()
    results = [json.loads(turn["value"].split("\n")[1])["content"] for turn in row["conversations"]
               if turn["from"] == "tool"]  # fmt: skip
    assert results[0]["action"] == "created"
    assert "outside the working folder" in results[1]["error"]
    assert "writes outside the working folder, and nobody is here" in results[2]["error"]
    assert row["tool_stats"]["write_file"] == {"count": 2, "success": 1, "failure": 1}


def test_ephemeral_text_and_prefill_are_sent_and_in_no_row(batch: Batch) -> None:
    batch.prompts(["go"])
    prefill = [{"role": "user", "content": "PRE one"}, {"role": "assistant", "content": "PRE two"}]
    (batch.hermes.folder / "prefill.json").write_text(json.dumps(prefill))
    with scripted_server() as server:
        more = [
            "--ephemeral-system-prompt",
            "EPHEMERAL",
            "--prefill",
            "prefill.json",
            "--reasoning-effort",
            "low",
        ]
        assert batch.run(server.url, *more).code == 0
        body = server.last
    assert body["messages"][0]["content"].endswith("EPHEMERAL")
    assert [each["content"] for each in body["messages"][1:3]] == ["PRE one", "PRE two"]
    assert body["reasoning_effort"] == "low"
    written = batch.trajectories.read_text() + "".join(
        p.read_text() for p in (batch.folder / "sessions").iterdir()
    )
    assert "EPHEMERAL" not in written
    assert "PRE" not in written


def test_the_plan_holds_what_is_needed_to_repeat_the_run_and_no_secret(batch: Batch) -> None:
    batch.prompts(["go"])
    config = batch.hermes.home / ".hermes"
    config.mkdir(exist_ok=True)
    (config / "config.yaml").write_text(
        "model:\n  extra_headers: {X-Gateway: hush-hush}\n  temperature: 0.5\n"
    )
    with scripted_server() as server:
        url = server.url.replace("http://", "http://me:hush-login@")
        assert batch.run(url, "--seed", "7", "--max-turns", "9", "--toolsets", "terminal,file").code == 0
        assert server.requests[0].headers["x-gateway"] == "hush-hush"
        batch.prompts(["go", "go on"])
        assert batch.hermes.run("batch", "--run", "r", "--resume").code == 0
        assert [each.headers["x-gateway"] for each in server.requests] == ["hush-hush"] * 2
        assert server.last["temperature"] == 0.5
    text = (batch.folder / "run.json").read_text()
    assert "hush" not in text
    assert KEY not in text
    plan = json.loads(text)
    assert (plan["seed"], plan["settings"]["agent"]["max_turns"]) == (7, 9)
    assert plan["settings"]["model"]["temperature"] == 0.5
    assert plan["toolsets"] == {"terminal": 100.0, "file": 100.0}
    assert plan["prompts"]["count"] == 2


def test_what_is_drawn_from_is_said_and_which_tools_are_missing(batch: Batch) -> None:
    batch.prompts(["go"])
    done = batch.run("", "--model", "offline", "--distribution", "research")
    assert done.code == 0
    assert "toolsets: web 90 %, browser 70 %, vision 50 %, moa 40 %, terminal 10 %" in done.told
    assert "without the tool mixture_of_agents: moa.models names no reference models" in done.told


@pytest.mark.long
def test_a_distribution_of_ones_own_is_drawn_from_and_drawn_again(batch: Batch) -> None:
    config = batch.hermes.home / ".hermes"
    config.mkdir(exist_ok=True)
    (config / "config.yaml").write_text("distributions:\n  mine: {terminal: 50, file: 50, todo: 50}\n")
    batch.prompts([f"say {number}" for number in range(24)])
    drawn: list[list[list[str]]] = []
    for seed in ("1", "1", "2"):
        done = batch.run(
            "", "--model", "offline", "--distribution", "mine", "--seed", seed, "--output", f"d{len(drawn)}"
        )
        assert done.code == 0, done.told
        path = batch.hermes.folder / f"d{len(drawn)}" / "r" / "trajectories.jsonl"
        rows = sorted(map(json.loads, path.read_text().splitlines()), key=lambda row: row["prompt_index"])
        drawn.append([row["toolsets_used"] for row in rows])
    assert drawn[0] == drawn[1] != drawn[2]
    assert len({tuple(each) for each in drawn[0]}) > 3


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--distribution", "reserch"], "did you mean 'research'?"),
        (["--toolsets", "terminl"], "unknown toolset 'terminl'"),
        (["--prefill", "prompts.jsonl"], "is not a list of"),
        (["--provider", "nowhere", "--base-url", ""], "there is no provider 'nowhere'"),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_folder_is_made(
    batch: Batch, more: list[str], problem: str
) -> None:
    batch.prompts(["go"])
    done = batch.run("http://127.0.0.1:9/v1", *more, env={"OPENAI_BASE_URL": None})
    assert done.code == 2
    assert problem in done.told
    assert not batch.folder.exists()


def test_a_run_that_is_there_is_not_begun_again(batch: Batch) -> None:
    batch.prompts(["go"])
    assert batch.run("", "--model", "offline").code == 0
    before = batch.trajectories.read_bytes()
    again = batch.run("", "--model", "offline")
    assert again.code == 1
    assert "--resume" in again.told
    assert batch.trajectories.read_bytes() == before


@pytest.mark.long
def test_money_ends_the_run_in_good_order(batch: Batch) -> None:
    batch.prompts([f"go {number}" for number in range(30)])
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.25}
    with scripted_server(Step(text="Done.", usage=usage)) as server:
        done = batch.run(server.url, "--max-cost", "1", "--concurrency", "2", "--workers", "1")
        assert done.code == 3
        assert "$1 is its limit" in done.told
        assert 4 <= len(batch.rows()) <= 6
        assert batch.statistics()["usage"]["cost"] == pytest.approx(0.25 * len(batch.rows()))
        resumed = batch.run(server.url, "--resume", "--max-cost", "2", "--concurrency", "2")
        assert resumed.code == 3
        assert 8 <= len(batch.rows()) <= 10
        requests = len(server.requests)
        assert batch.run(server.url, "--resume", "--max-cost", "2").code == 3
        assert len(server.requests) == requests


@pytest.mark.long
def test_a_cost_limit_that_cannot_be_kept_ends_the_run(batch: Batch) -> None:
    batch.prompts([f"go {number}" for number in range(20)])
    with scripted_server() as server:
        done = batch.run(server.url, "--max-cost", "1", "--concurrency", "2", "--workers", "1")
    assert done.code == 3
    assert "what this model costs is unknown" in done.told
    assert len(batch.rows()) <= 4


@pytest.mark.long
def test_a_refused_key_ends_the_run_after_a_few_prompts(batch: Batch) -> None:
    batch.prompts([f"go {number}" for number in range(60)])
    with scripted_server(api_key="another") as server:
        done = batch.run(server.url, "--concurrency", "4", "--workers", "1")
        assert len(server.requests) < 20
    assert done.code == 1
    assert "prompts in a row failed" in done.told
    assert "refused the key in OPENAI_API_KEY" in done.told
    assert "Check the key in OPENAI_API_KEY" in done.told
    assert batch.rows() == []
    failed = batch.lines("failed.jsonl")
    assert {each["kind"] for each in failed} == {"auth"}
    assert len(failed) < 20
    with scripted_server() as server:
        assert batch.run(server.url, "--resume").code == 0
    assert len(batch.rows()) == 60


@pytest.mark.long
def test_a_server_that_is_down_ends_the_run_with_try_again_later(batch: Batch) -> None:
    batch.prompts([f"go {number}" for number in range(100)])
    done = batch.run("http://127.0.0.1:9/v1", "--concurrency", "8", "--workers", "1")
    assert done.code == 75
    assert "prompts in a row failed: cannot reach" in done.told
    assert 1 <= done.told.count("trying again") < 10
    assert len(batch.lines("failed.jsonl")) < 40


def test_a_failure_of_one_prompt_is_no_result_and_is_tried_again(batch: Batch) -> None:
    batch.prompts(["good 1", "bad", "good 2"])

    def step(body: dict[str, Any]) -> Step:
        return refusal(400, "no such parameter") if asked(body) == "bad" else Step(text="Done.")

    with scripted_server(step) as server:
        done = batch.run(server.url)
        assert done.code == 1
        assert "1 failed" in done.text
        assert [row["prompt_index"] for row in batch.rows()] == [0, 2]
        (failed,) = batch.lines("failed.jsonl")
        assert (failed["prompt_index"], failed["kind"]) == (1, "bad_request")
        assert "no such parameter" in failed["reason"]
    with scripted_server() as server:
        assert batch.run(server.url, "--resume").code == 0
        assert len(server.requests) == 1
    assert [row["prompt_index"] for row in batch.rows()] == [0, 1, 2]
    assert batch.statistics()["failures"] == 1


def test_a_key_that_the_server_quotes_is_in_no_file(batch: Batch) -> None:
    batch.prompts(["go"])
    with scripted_server(refusal(400, f"the key {KEY} is not valid")) as server:
        assert batch.run(server.url).code == 1
    (failed,) = batch.lines("failed.jsonl")
    assert "is not valid" in failed["reason"]
    assert not any(KEY.encode() in path.read_bytes() for path in batch.folder.rglob("*") if path.is_file())


def test_a_conversation_without_an_answer_is_discarded_and_never_paid_for_again(batch: Batch) -> None:
    batch.prompts(["good", "mute"])

    def step(body: dict[str, Any]) -> Step:
        return Step(text="") if asked(body) == "mute" else Step(text="Done.")

    with scripted_server(step) as server:
        done = batch.run(server.url)
        assert done.code == 0, done.told
        assert "1 discarded" in done.text
        (discarded,) = batch.lines("discarded.jsonl")
        assert discarded["prompt_index"] == 1
        assert "unusable answers in a row" in discarded["reason"]
        requests = len(server.requests)
        assert batch.run(server.url, "--resume").code == 0
        assert len(server.requests) == requests
    assert [row["prompt_index"] for row in batch.rows()] == [0]
    assert batch.statistics()["discarded"] == 1


def test_a_model_that_answers_rubbish_leaves_partial_rows(batch: Batch) -> None:
    batch.prompts(["go"])
    call = Step(tool_calls=[Call("terminal", {"command": "echo one"})])
    rubbish = Step(tool_calls=[Call("no_such_tool", "{broken")])
    with scripted_server(call, rubbish, by="turn") as server:
        done = batch.run(server.url, "--policy", "yolo")
    assert done.code == 0, done.told
    (row,) = batch.rows()
    assert (row["completed"], row["partial"]) == (False, True)
    assert batch.statistics()["partial"] == 1


@pytest.mark.long
def test_when_the_server_asks_to_wait_all_conversations_wait(batch: Batch) -> None:
    batch.prompts([f"go {number}" for number in range(12)])
    refused: list[float] = []

    def step(_: dict[str, Any]) -> Step:
        if len(server.requests) <= 1:
            return Step(status=429, headers={"Retry-After": "1"}, body={"error": {"message": "slow down"}})
        return Step(text="Done.", delay=0.05)

    with scripted_server(step) as server:
        done = batch.run(server.url, "--concurrency", "2", "--workers", "1")
        assert done.code == 0, done.told
        refused = [each.ended for each in server.requests[:1]]
        after = [each.began for each in server.requests if each.began > refused[0] + 0.1]
    assert "slow down; trying again" in done.told
    assert len(batch.rows()) == 12
    assert after[0] - refused[0] >= 0.9


@pytest.mark.long
def test_kept_folders_hold_what_the_task_wrote(batch: Batch) -> None:
    batch.prompts(["go"])
    step = Step(tool_calls=[Call("write_file", {"path": "note.txt", "content": "kept"})])
    with scripted_server(step, Step(text="Done."), by="turn") as server:
        assert batch.run(server.url, "--keep-folders").code == 0
    assert (batch.folder / "folders" / "000000" / "note.txt").read_text() == "kept"
    assert [path.name for path in (batch.folder / "folders").iterdir()] == ["000000"]


@pytest.mark.timeout(30)
def test_a_task_that_removes_its_own_folder_ends_like_any_other(batch: Batch) -> None:
    batch.prompts(["go"])
    step = Step(tool_calls=[Call("terminal", {"command": 'rmdir "$PWD"'})])
    with scripted_server(step, Step(text="Done."), by="turn") as server:
        done = batch.run(server.url, "--policy", "yolo", "--keep-folders")
    assert done.code == 0, done.told
    assert len(batch.rows()) == 1
    assert list((batch.folder / "folders").glob("*")) == []


def test_the_distributions_are_listed(batch: Batch) -> None:
    done = batch.hermes.run("batch", "--list-distributions")
    assert done.code == 0
    assert sum(not line.startswith(" ") for line in done.text.splitlines()) == 17 + 2
    assert "terminal 100, file 100, web 100" in done.text
    assert "Those of hermes-agent, always." in done.text  # not every toolset: there are more by now


def test_batch_runner_as_a_script_is_the_same_command(batch: Batch) -> None:
    import subprocess
    import sys

    from tests.faults.hermes_process import ROOT

    batch.prompts(["hello"])
    argv = [
        sys.executable,
        str(ROOT / "batch_runner.py"),
        "prompts.jsonl",
        "--run",
        "r",
        "--model",
        "offline",
    ]
    done = subprocess.run(argv, cwd=batch.hermes.folder, env=batch.hermes.environ | {"OPENAI_BASE_URL": ""},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(batch.rows()) == 1


def test_conversations_whose_place_cannot_be_had_have_failed_and_are_no_rows(batch: Batch) -> None:
    batch.hermes.extra["HERMES_DOCKER_HOST"] = f"unix://{batch.hermes.folder}/no-engine"
    batch.prompts(["go"] * 3)
    with scripted_server(*tool_turns(1), by="turn") as server:
        done = batch.run(server.url, "--sandbox", "docker")
    assert done.code == 1
    assert batch.rows() == []
    (first, *_) = batch.lines("failed.jsonl")
    assert "docker" in first["reason"], first
