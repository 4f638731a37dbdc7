"""Hooks in batches: they are run for every call, and a run's folder brings none of its own."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from batches.planning import Wishes, first_plan, next_plan
from batches.prompts import read_prompts
from configuration.tool_settings import HookSettings
from settings import LoadedSettings, load_settings
from tests.faults.hermes_process import Hermes
from tests.server.script import Call
from tests.server.scripted_server import Step, scripted_server


def loaded(home: Path, config: str) -> LoadedSettings:
    (home / ".hermes").mkdir(exist_ok=True)
    (home / ".hermes" / "config.yaml").write_text(config)
    return load_settings(cwd=home, project_trusted=False)


def test_a_run_that_is_resumed_has_the_hooks_of_who_resumes_it(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "hello"}\n')
    prompts = read_prompts(path)
    now = loaded(home, "hooks:\n  - {event: before_tool, command: mine}\n")
    plan = first_plan(Wishes(run="r", toolsets=["todo"]), now, path, prompts)
    foreign = msgspec.structs.replace(
        plan, settings=msgspec.structs.replace(plan.settings, hooks=[HookSettings("session_start", "theirs")])
    )
    resumed = next_plan(foreign, Wishes(run="r"), now, path, prompts)
    assert [hook.command for hook in resumed.settings.hooks] == ["mine"]


@pytest.mark.long
def test_every_conversation_of_a_batch_asks_the_hooks(home: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir()
    loaded(
        home,
        f"hooks:\n  - {{event: before_tool, command: 'cat > {log}/$$; exit 2', tools: [t*]}}\n",
    )
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "one"}\n{"prompt": "two"}\n')
    steps = [Step(tool_calls=[Call("todo", {})]), Step(text="Done.")]
    with scripted_server(*steps, by="turn") as server:
        hermes = Hermes(home, tmp_path, server.url)
        told = hermes.run(
            "batch", "prompts.jsonl", "--run", "r", "--toolsets", "todo", "--policy", "auto-edit"
        )
        results = [
            each["content"] for request in server.requests for each in request.body["messages"]
            if each["role"] == "tool"
        ]  # fmt: skip
    assert told.code == 0, told.told
    assert len(results) == 2
    assert all("denied" in each for each in results)
    asked = [json.loads(each.read_text()) for each in log.iterdir()]
    assert len({each["session_id"] for each in asked}) == 2
