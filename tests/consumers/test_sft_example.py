"""examples/sft goes the whole way: prompts, conversations, rows, a trained model, hermes talking to it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERMES = [sys.executable, str(ROOT / "cli.py")]


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = shutil.copytree(
        ROOT / "examples" / "sft", tmp_path / "sft", ignore=shutil.ignore_patterns("model", "data", "home")
    )
    home = folder / "home"
    home.mkdir()
    shutil.copy(folder / "config.yaml", home)
    monkeypatch.setenv("HERMES_HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return folder


def test_the_trained_model_does_what_it_was_never_shown(example: Path) -> None:
    _run(example, sys.executable, "make_prompts.py")
    _run(
        example,
        *HERMES,
        "batch",
        "prompts.jsonl",
        "--run",
        "sft",
        "--model",
        "offline",
        "--toolsets",
        "notes",
    )
    _run(example, *HERMES, "data", "validate", "data/sft/trajectories.jsonl")
    _run(
        example,
        *HERMES,
        "export",
        "data/sft",
        "--filter",
        "outcome=done",
        "--format",
        "trl",
        "-o",
        "train.jsonl",
    )
    _run(example, sys.executable, "train.py", "train.jsonl", "model")
    answers = _run(example, sys.executable, "answer.py", "model", "train.jsonl", "held_out.jsonl")
    assert _count(r"(\d+) of 10 calls are right", answers) >= 8
    for url in _served(example):
        line = ["batch", "held_out.jsonl", "--run", "tuned", "--base-url", url, "--model", "model"]
        _run(example, *HERMES, *line, "--toolsets", "notes", "--concurrency", "1")
    grades = _run(example, sys.executable, "grade.py", "data/tuned/trajectories.jsonl")
    assert _count(r"(\d+) wrote the right file", grades) >= 8


def _run(folder: Path, *line: str) -> str:
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def _served(folder: Path) -> Iterator[str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    line = [sys.executable, "serve.py", "model", "0"]
    with subprocess.Popen(line, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().split()[-1]
        finally:
            server.terminate()


def _count(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    assert found, text
    return int(found[1])
