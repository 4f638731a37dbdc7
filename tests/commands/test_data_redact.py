"""`hermes data redact`: secrets leave files, and are never told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.every_format import lines_of_formats, write_rows, write_session

ROOT = Path(__file__).parents[2]
TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3
KEY = "sk-or-v1-" + "0123456789abcdef" * 4
OWN = "my own pass-phrase 42"


def redact(*arguments: Any, code: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "data", "redact", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environ},
    )
    assert done.returncode == code, done.stderr
    for secret in (TOKEN, KEY, OWN):
        assert secret not in done.stderr
    return done


@pytest.fixture
def session(tmp_path: Path) -> Path:
    command = f'curl -H "Authorization: Bearer {TOKEN}" https://x; echo \'{{"api_key": "{KEY}"}}\''
    return write_session(tmp_path / "sessions", prompt=f"my token is {TOKEN}", command=command)


def test_what_is_found_is_told_by_file_line_and_kind(tmp_path: Path, session: Path) -> None:
    (row,) = lines_of_formats(session)["sharegpt"]
    path = write_rows(tmp_path / "rows.jsonl", {"prompt": "harmless"}, row)
    done = redact(path, code=1)
    assert done.stdout == f"{path}:2: github-token 3, openrouter-key 2\n"
    assert "1 of 2 rows with secrets; nothing was written" in done.stderr


@pytest.mark.parametrize(
    "name", ["both", "sharegpt", "openai", "trl", "llamafactory", "axolotl", "nemo", "atif", "hf"]
)
def test_rows_of_every_format_are_clean_and_still_keep_to_their_layout(
    tmp_path: Path, session: Path, name: str
) -> None:
    path = write_rows(tmp_path / "rows.jsonl", *lines_of_formats(session)[name])
    out = tmp_path / "out.jsonl"
    redact(path, "-o", out)
    text = out.read_text()
    assert TOKEN not in text
    assert KEY not in text
    assert text.count("[redacted:github-token]") >= 3
    check = [sys.executable, str(ROOT / "cli.py"), "data", "validate", str(out)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.stdout == "1 row: 1 good, 0 bad\n"
    again = redact(out)
    assert again.stdout == ""


def test_a_session_stays_a_session_that_can_be_resumed_and_exported(tmp_path: Path, session: Path) -> None:
    out = tmp_path / "clean" / session.name
    out.parent.mkdir()
    redact(session, "-o", out)
    before, after = session.read_text().splitlines(), out.read_text().splitlines()
    assert len(before) == len(after)
    assert [json.loads(line)["type"] for line in before] == [json.loads(line)["type"] for line in after]
    assert TOKEN not in out.read_text()
    (row,) = lines_of_formats(out)["sharegpt"]
    assert "[redacted:openrouter-key]" in json.dumps(row)


def test_a_session_is_not_joined_with_another_file(tmp_path: Path, session: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_bytes(session.read_bytes())
    done = redact(other, session, "-o", tmp_path / "out", code=2)
    assert "one file holds one session" in done.stderr
    assert not (tmp_path / "out").exists()


def test_rows_without_secrets_are_written_as_they_stand(tmp_path: Path) -> None:
    line = '{"id":  "x",   "sha": "da39a3ee5e6b4b0d3255bfef95601890afd80709", "n": 12345678901234567890123}'
    path = write_rows(tmp_path / "rows.jsonl", line)
    assert redact(path, "-o", "-").stdout == line + "\n"


def test_the_persons_own_secrets_go_from_the_env_file_and_the_environment(tmp_path: Path, home: Path) -> None:
    folder = home / ".hermes"
    folder.mkdir(mode=0o700)
    (folder / ".env").write_text(f'SOME_SERVICE_KEY="{OWN}"\n')
    (folder / ".env").chmod(0o600)
    other = "correct-horse-battery"
    path = write_rows(
        tmp_path / "rows.jsonl", {"prompt": f"{OWN} and {other} and /usr/lib/some/key.pem not-needed"}
    )
    done = redact(path, "-o", "-", DB_PASSWD=other, SSH_KEY="/usr/lib/some/key.pem", MY_KEY="not-needed")
    assert json.loads(done.stdout)["prompt"] == (
        "[redacted:known-secret] and [redacted:known-secret] and /usr/lib/some/key.pem not-needed"
    )
    assert "known-secret 2" in done.stderr


def test_a_row_nested_too_deeply_is_left_out_and_the_next_is_read(tmp_path: Path) -> None:
    deep = '{"a": ' + "[" * 800 + "]" * 800 + "}"
    path = write_rows(tmp_path / "rows.jsonl", deep, {"prompt": TOKEN})
    done = redact(path, "-o", "-")
    assert done.stdout == '{"prompt":"[redacted:github-token]"}\n'
    assert f"{path}:1: left out: nested too deeply" in done.stderr


def test_every_file_has_its_own_sum(tmp_path: Path) -> None:
    one = write_rows(tmp_path / "one.jsonl", {"prompt": TOKEN}, {"prompt": TOKEN})
    two = write_rows(tmp_path / "two.jsonl", {"prompt": f"{TOKEN} {KEY}"}, "no row")
    done = redact(one, two, "-o", tmp_path / "out.jsonl")
    assert f"{one}: github-token 2" in done.stderr
    assert f"{two}: github-token 1, openrouter-key 1" in done.stderr
    assert f"{two}:2: left out" in done.stderr
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3


def test_what_hides_behind_a_key_that_is_there_twice_is_found(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", f'{{"id": "{TOKEN}", "id": "b"}}')
    out = tmp_path / "out.jsonl"
    redact(path, "-o", out)
    assert json.loads(out.read_text()) == {"id": "b"}
    assert TOKEN not in out.read_text()


def test_a_header_that_is_a_field_of_its_own_is_a_header(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", {"headers": {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="}})
    assert redact(path, code=1).stdout == f"{path}:1: basic-authorization 1\n"


def test_a_key_that_begins_in_one_text_and_ends_in_another_leaves_the_row_whole(tmp_path: Path) -> None:
    begin, end = (f"-----{word} PRIVATE KEY-----" for word in ("BEGIN", "END"))
    path = write_rows(
        tmp_path / "rows.jsonl", {"a": f"{begin} is how", "b": "a key begins, and" * 4, "c": end}
    )
    out = tmp_path / "out.jsonl"
    redact(path, "-o", out)
    assert out.read_bytes() == path.read_bytes()
