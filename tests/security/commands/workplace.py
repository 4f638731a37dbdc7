"""A folder with files of all kinds in it, gates for it, and the corpora of commands."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from safety.gate import Decision, EffectRequest, Gate, Mode

HERE = Path(__file__).parent
FILES = (
    "README.md",
    "package.json",
    "Makefile",
    "pyproject.toml",
    "Cargo.toml",
    "go.mod",
    "data.csv",
    "app.log",
    "x",
    "in",
    "src/app.py",
    "src/util.py",
    "src/index.ts",
    "src/lib/a.ts",
    "tests/test_app.py",
    "docs/guide.md",
    ".env",
    ".env.example",
    "config/settings.yaml",
    "data.json",
    "Cargo.lock",
    "sub/file.txt",
    ".github/workflows/ci.yml",
    "notes.txt",
    "script.sh",
    "id_rsa",
    "certs/server.key",
)


def make_project(folder: Path) -> Path:
    """A repository of git with `FILES` in it."""
    for name in FILES:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("text\n")
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    return folder


def gate_for(folder: Path, home: Path, *, trusted: bool, mode: Mode = "ask") -> Gate:
    return Gate(mode, workspace=str(folder), protected=(str(home / ".hermes"),), trusted=trusted)


def decided(gate: Gate, command: str) -> Decision:
    return gate.decide(EffectRequest("terminal", ("exec",), command, command=command, cwd=gate.workspace))


def corpus(name: str) -> list[str]:
    """The commands of a file: one a line; `j:` begins the inside of a JSON string, `#` a comment."""
    commands = []
    for line in (HERE / name).read_text(encoding="utf-8").split("\n"):
        if line.startswith("j:"):
            commands.append(str(json.loads(f'"{line[2:]}"')))
        elif line and not line.startswith("#"):
            commands.append(line)
    return commands
