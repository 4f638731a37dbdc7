"""`hermes config`, run as a person runs it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
import yaml

from settings import read_secrets, trust

CLI = str(Path(__file__).parents[2] / "cli.py")


@pytest.fixture(autouse=True)
def in_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def file(home: Path) -> Path:
    """The person's settings file, not there yet."""
    return home / ".hermes" / "config.yaml"


def config(*arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, CLI, "config", *arguments],
        capture_output=True, text=True, timeout=30, input=stdin, check=False, env={**os.environ, **environ},
    )  # fmt: skip


def has(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def test_path_names_the_file_alone(file: Path) -> None:
    assert config("path").stdout == f"{file}\n"


def test_set_keeps_comments_and_order_and_the_file_private(file: Path) -> None:
    before = "# mine\nagent: # turns\n  max_turns: 5   # few\n\n# end\nmodel:\n  name: 'x'\n"
    has(file, before)
    done = config("set", "agent.max_turns", "7")
    assert done.returncode == 0, done.stderr
    assert file.read_text(encoding="utf-8") == before.replace("5", "7")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_set_makes_the_file_and_reads_the_value_as_the_type_wants(file: Path) -> None:
    for key, value in (
        ("model.name", "123"),
        ("tools.enabled", "web,files"),
        ("model.stop", '["a, b"]'),
        ("model.temperature", "-0.5"),
        ("display.bell", "yes"),
        ("model.extra_body", '{"a": {"b": 1}}'),
        ("providers.mine.base_url", "http://127.0.0.1:1/v1"),
        ("personalities.dry", "Be dry: always."),
        ("tools.custom.mine", "{tools: [todo], includes: [terminal]}"),
    ):
        assert config("set", key, value).returncode == 0
    assert yaml.safe_load(file.read_text(encoding="utf-8")) == {
        "model": {
            "name": "123",
            "stop": ["a, b"],
            "temperature": -0.5,
            "extra_body": {"a": {"b": 1}},
        },
        "tools": {
            "enabled": ["web", "files"],
            "custom": {"mine": {"tools": ["todo"], "includes": ["terminal"]}},
        },
        "display": {"bell": True},
        "providers": {"mine": {"base_url": "http://127.0.0.1:1/v1"}},
        "personalities": {"dry": "Be dry: always."},
    }
    assert config("show").returncode == 0


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("agent.max_turns", "many", ["a whole number (at least 1)", "the text 'many'"]),
        ("agent.max_turns", "0", ["at least 1"]),
        ("agent.max_turn", "5", ["unknown setting agent.max_turn", "agent.max_turns"]),
        ("gate.mode", "maybe", ["one of", "yolo"]),
        ("model", "x", ["is a section", "model.name"]),
        ("model.extra_body", "{a: ", ["not valid YAML"]),
        ("OPENAI_API_KEY", "sk-s3cret", ["set-key OPENAI_API_KEY"]),
        ("model.api_key", "sk-s3cret", ["hermes config set-key"]),
        ("providers.mine.api_key", "sk-s3cret", ["hermes config set-key"]),
        ("tools.custom.mine", "{tols: [todo]}", ["unknown setting tools.custom.mine.tols"]),
    ],
)
def test_set_refuses_what_is_wrong_and_leaves_the_file_alone(
    file: Path, key: str, value: str, words: list[str]
) -> None:
    has(file, "agent: {max_turns: 3}\n")
    told = refused(config("set", key, value))
    for word in words:
        assert word in told
    assert "s3cret" not in told
    assert file.read_text(encoding="utf-8") == "agent: {max_turns: 3}\n"


def test_set_and_unset_say_that_what_is_running_keeps_its_settings(file: Path) -> None:
    kept = "; a hermes that is running keeps the settings it began with\n"
    done = config("set", "web.allowed_hosts", "127.0.0.1")
    assert done.stdout == f"web.allowed_hosts is set in {file}{kept}"
    done = config("unset", "web.allowed_hosts")
    assert done.stdout == f"web.allowed_hosts is taken out of {file}{kept}"
    assert file.read_text(encoding="utf-8") == ""


def test_set_says_when_a_stronger_layer_hides_the_value(file: Path) -> None:
    done = config("set", "model.name", "mine", HERMES_MODEL="theirs")
    assert done.returncode == 0
    assert "environment variable HERMES_MODEL is stronger" in done.stderr


def test_a_wrong_file_can_be_put_right_value_by_value(file: Path) -> None:
    has(file, "agent:\n  max_turns: many\n  max_turn: 5\n")
    assert f"{file}:3: unknown setting agent.max_turn" in refused(config("show"))
    fixed = config("set", "agent.max_turns", "9")
    assert fixed.returncode == 0
    assert f"still to be put right: {file}:3" in fixed.stderr
    assert config("unset", "agent.max_turn").returncode == 0
    assert file.read_text(encoding="utf-8") == "agent:\n  max_turns: 9\n"


def test_unset_takes_the_line_out_and_says_when_there_is_none(file: Path) -> None:
    has(file, "agent:\n  max_turns: 4 # x\n  max_cost: 1\n")
    assert config("unset", "agent.max_turns").returncode == 0
    assert file.read_text(encoding="utf-8") == "agent:\n  max_cost: 1\n"
    again = config("unset", "agent.max_turns")
    assert again.returncode == 0
    assert "nothing was changed" in again.stderr


def test_explain_tells_the_layer_the_value_and_what_it_hides(file: Path) -> None:
    has(file, "# c\nagent:\n  max_turns: 10\n")
    told = config("explain", "agent.max_turns", HERMES_MAX_ITERATIONS="20").stdout
    assert "agent.max_turns: 20\n" in told
    assert "from: environment variable HERMES_MAX_ITERATIONS\n" in told
    assert f"not used: 10 from {file}:3\n" in told
    assert "default: 250\n" in told
    assert "Requests to the model" in told
    assert "from: built-in\n" in config("explain", "agent.max_cost").stdout
    assert "nearest is agent.max_cost" in refused(config("explain", "agent.maxcost"))


def test_a_setting_is_named_as_the_nearest_only_if_it_is_near(file: Path) -> None:
    for key in ("nosuch.x", "agent.zzzz", "qqqq"):
        told = refused(config("explain", key))
        assert f"unknown setting {key}; hermes config template shows those there are" in told
    for key, meant in (("modle.name", "model.name"), ("terminal.bakend", "terminal.backend"), ("wbe", "web")):
        assert f"unknown setting {key}; the nearest is {meant}" in refused(config("explain", key))


def test_a_trusted_project_counts_and_another_is_told(file: Path, tmp_path: Path) -> None:
    project = tmp_path / ".hermes" / "config.yaml"
    has(project, "model: {name: theirs}\n")
    done = config("show")
    assert yaml.safe_load(done.stdout)["model"]["name"] == ""
    assert f"{project} is not used: this folder is not trusted" in done.stderr
    trust(tmp_path)
    done = config("show")
    assert yaml.safe_load(done.stdout)["model"]["name"] == "theirs"
    assert done.stderr == ""


def test_show_masks_secrets_and_says_which_keys_are_set(file: Path) -> None:
    has(
        file,
        "model:\n  extra_headers: {Authorization: Bearer s3cret, X-Team: blue}\n"
        "  proxy: http://me:s3cret@proxy:8080/x\n  extra_body: {api_key: s3cret}\n"
        "browser: {cdp_url: 'ws://h/x?apiToken=s3cret&mode=a'}\n",
    )
    env = file.with_name(".env")
    env.write_text("NOUS_API_KEY=s3cret\n")
    env.chmod(0o600)
    done = config("show", OPENAI_API_KEY="s3cret")
    assert done.returncode == 0, done.stderr
    assert "s3cret" not in done.stdout + done.stderr
    assert "X-Team: blue" in done.stdout
    assert "http://***@proxy:8080/x" in done.stdout
    assert "ws://h/x?apiToken=***&mode=a" in done.stdout
    assert f"# NOUS_API_KEY is set in {env}" in done.stdout
    assert "# OPENAI_API_KEY is set in the environment" in done.stdout
    assert "s3cret" not in config("explain", "model.extra_headers").stdout


def test_a_broken_file_is_one_line_with_file_and_line(file: Path) -> None:
    has(file, "model:\n  name: [x\n")
    for arguments in (["show"], ["set", "model.name", "y"], ["explain", "model.name"]):
        told = refused(config(*arguments))
        assert told.startswith(f"hermes: {file}:")
        assert told.count("\n") == 1


def editor(tmp_path: Path, text: str, code: int = 0) -> str:
    script = tmp_path / "my editor"
    script.write_text(f"#!/bin/sh\ncat > \"$1\" <<'END'\n{text}END\nexit {code}\n")
    script.chmod(0o755)
    return f"'{script}'"


def test_edit_opens_the_editor_on_a_file_that_is_made_if_need_be(file: Path, tmp_path: Path) -> None:
    done = config("edit", EDITOR=editor(tmp_path, "model: {name: edited}\n"))
    assert done.returncode == 0, done.stderr
    assert file.read_text() == "model: {name: edited}\n"


def test_a_broken_edit_is_kept_and_its_line_told(file: Path, tmp_path: Path) -> None:
    for text, line in (("model:\n  nam: x\n", 2), ("model: {name: x\n", 2)):
        told = refused(config("edit", VISUAL=editor(tmp_path, text), EDITOR="false"))
        assert f"{file}:{line}: " in told
        assert f"your edit is kept in {file}" in told
        assert file.read_text() == text


def test_an_editor_that_cannot_be_started_is_told() -> None:
    assert "cannot start the editor" in refused(config("edit", EDITOR="/no/such/editor"))


def test_a_secret_typed_at_the_prompt_is_not_shown(home: Path) -> None:
    child = pexpect.spawn(
        sys.executable, [CLI, "config", "set-key", "NOUS_API_KEY"], timeout=20, encoding="utf-8"
    )
    child.expect("NOUS_API_KEY: ")
    child.waitnoecho()
    child.sendline("s3cret")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert "s3cret" not in str(child.before)
    assert read_secrets() == {"NOUS_API_KEY": "s3cret"}


def test_a_secret_may_be_piped_in_and_replaces_only_its_own_line(home: Path) -> None:
    env = home / ".hermes" / ".env"
    has(env, "# mine\nA_KEY=1\nexport B_KEY=2\n")
    assert config("set-key", "B_KEY", stdin="'3 \n").returncode == 0
    assert env.read_text() == '# mine\nA_KEY=1\nB_KEY="\'3"\n'
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert read_secrets()["B_KEY"] == "'3"


@pytest.mark.parametrize("arguments", [["A_KEY", "s3cret"], ["A_KEY=s3cret"]])
def test_a_secret_as_an_argument_is_refused_and_not_repeated(home: Path, arguments: list[str]) -> None:
    told = refused(config("set-key", *arguments))
    assert "never given as an argument" in told
    assert "s3cret" not in told
    assert not (home / ".hermes" / ".env").exists()


@pytest.mark.parametrize("stdin", ["", "\n", "a\x1bb\n"])
def test_a_secret_that_is_empty_or_not_text_is_refused(home: Path, stdin: str) -> None:
    assert "nothing was stored" in refused(config("set-key", "A_KEY", stdin=stdin))
    assert not (home / ".hermes" / ".env").exists()


def test_a_piped_secret_that_is_no_utf_8_is_refused(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, CLI, "config", "set-key", "A_KEY"],
        capture_output=True, input=b"sk-\xff\n", timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert b"A_KEY is not UTF-8 text; nothing was stored" in done.stderr
    assert not (home / ".hermes" / ".env").exists()


def test_the_help_tells_each_sub_command_in_a_whole_sentence() -> None:
    listed = config("--help").stdout.partition("Commands:")[2].strip().splitlines()
    assert all(line.endswith(".") and "(e.g." not in line for line in listed), listed


def test_a_home_that_cannot_be_written_is_told_in_one_line(home: Path) -> None:
    (home / ".hermes").write_text("a file where the folder should be")
    told = refused(config("set-key", "A_KEY", stdin="x\n"))
    assert told.count("\n") == 1
