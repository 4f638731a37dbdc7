"""Exports of the real command, and a tokenizer made on the spot. Run by `.ci/consumers`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.consumers.conversations import trap_sessions
from tests.consumers.tiny import new_tokenizer

ROOT = Path(__file__).parents[2]
Export = Callable[..., Path]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(home / "huggingface"))


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """`hermes export --format FORMAT` over the sessions with traps; returns the file it wrote."""
    sessions = trap_sessions(tmp_path / "sessions")

    def run(format_name: str, suffix: str = ".jsonl", *options: str, only: tuple[str, ...] = ()) -> Path:
        out = tmp_path / "out" / f"{format_name}{suffix}"
        out.parent.mkdir(exist_ok=True)
        chosen = [str(path) for name, path in sessions.items() if not only or name in only]
        line = [sys.executable, str(ROOT / "cli.py"), "export", *chosen]
        done = subprocess.run(
            [*line, "--format", format_name, "-o", str(out), *options],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return out

    return run


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return new_tokenizer()
