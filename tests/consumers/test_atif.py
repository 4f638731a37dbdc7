"""Harbor's own models, which define ATIF and refuse unknown keys, read `hermes export --format atif`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.consumers.conftest import Export
from tests.consumers.conversations import TRAPS

pytest.importorskip("harbor", reason="Harbor is not installed")


def test_every_session_is_a_valid_trajectory(export: Export) -> None:
    from harbor.models.trajectories import Trajectory

    files = sorted(export("atif", "").glob("*.json"))
    assert len(files) == len(TRAPS)
    for file in files:
        read = Trajectory.model_validate_json(file.read_bytes())
        assert read.schema_version == "ATIF-v1.7"
        assert read.steps


def test_steps_hold_calls_results_reasoning_and_tokens(export: Export) -> None:
    (trajectory,) = _read(export("atif", "", only=("parallel",)))
    asked, answered = [step for step in trajectory.steps if step.source == "agent"]
    assert [step.source for step in trajectory.steps][-3:] == ["user", "agent", "agent"]
    assert asked.message == "Both."
    assert asked.reasoning_content == "I need both."
    assert [(call.function_name, call.arguments) for call in asked.tool_calls] == [
        ("terminal", {"command": "pwd"}),
        ("terminal", {"command": "ls -la", "timeout": 5}),
    ]
    results = asked.observation.results
    assert [result.source_call_id for result in results] == [call.tool_call_id for call in asked.tool_calls]
    assert (asked.metrics.prompt_tokens, asked.metrics.completion_tokens) == (100, 20)
    assert answered.message == "You are in /tmp."
    assert trajectory.agent.tool_definitions


def test_numbers_beyond_any_machine_word_survive(export: Export) -> None:
    (trajectory,) = _read(export("atif", "", only=("ragged",)))
    limits = [call.arguments["limit"] for step in trajectory.steps for call in step.tool_calls or []]
    assert limits == [12345678901234567890, "3", [1.5, True]]


def _read(folder: Path) -> list[Any]:
    from harbor.models.trajectories import Trajectory

    return [Trajectory.model_validate(json.loads(file.read_text())) for file in sorted(folder.glob("*.json"))]
