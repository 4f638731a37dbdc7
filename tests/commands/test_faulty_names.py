"""Names in the settings that mean nothing: refused before a session is made of them, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import main

CUSTOM = "tools:\n  enabled: [a]\n  custom:\n"


@pytest.mark.parametrize(
    ("config", "line", "word"),
    [
        (CUSTOM + "    a: {includes: [b]}\n    b: {includes: [a]}\n", 4, "in a circle: a -> b -> a"),
        (CUSTOM + "    c: {tools: [todo]}\n    a: {includes: [termnal]}\n", 5, "did you mean 'terminal'?"),
        (
            CUSTOM + "    a: {tools: [todo]}\n    file: {tools: [todo]}\n",
            5,
            "there is a built-in toolset 'file'",
        ),
        ("tools:\n  enabled: [default]\n  disabled: [todos]\n", 3, "unknown toolset 'todos'"),
        ("tools:\n  disabled: [todo]\n  enabled: [file, todos]\n", 3, "unknown toolset 'todos'"),
        ("agent:\n  personality: grump\n", 2, "no personality 'grump'"),
    ],
)
def test_a_name_that_means_nothing_is_told_with_file_and_line(
    home: Path, tmp_path: Path, config: str, line: int, word: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (home / ".hermes").mkdir()
    path = home / ".hermes" / "config.yaml"
    path.write_text(config)
    assert main(["-q", "hello"]) == 2
    told = capsys.readouterr().err
    assert f"{path}:{line}: " in told
    assert word in told


def test_a_distribution_that_names_an_unknown_toolset_is_told_with_file_and_line(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (home / ".hermes").mkdir()
    path = home / ".hermes" / "config.yaml"
    path.write_text("distributions:\n  mine:\n    termnal: 50\n")
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "hello"}\n')
    assert main(["batch", "prompts.jsonl", "--run", "r", "--distribution", "mine"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"{path}:2: distribution 'mine': there is no toolset 'termnal'; did you mean 'terminal'?" in told
