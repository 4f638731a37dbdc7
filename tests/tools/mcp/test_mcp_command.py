"""`hermes mcp`, as a person or a script uses it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pexpect
import pytest
from click.testing import CliRunner

from commands.group import hermes as group
from tests.tools.mcp.counter import UNRULY

pytest.importorskip("mcp_types", reason="the MCP SDK is not installed")
ROOT = Path(__file__).parents[3]
CLI = [sys.executable, str(ROOT / "cli.py")]
SERVER = [sys.executable, "-I", UNRULY]


def hermes(*arguments: str, code: int = 0, stdin: str = "") -> str:
    """In this process: the SDK is loaded once. What it starts is real."""
    done = CliRunner().invoke(group, arguments, input=stdin)
    assert done.exit_code == code, done.output
    return done.output


def config(home: Path) -> Path:
    return home / ".hermes" / "config.yaml"


@pytest.mark.long
def test_a_server_that_has_no_version_is_called_by_its_name_alone(home: Path) -> None:
    assert "u (unruly): 1 tool, about" in hermes("mcp", "add", "u", "--yes", "--", *SERVER, "unversioned")


@pytest.mark.long
def test_a_server_is_added_listed_tested_and_removed(home: Path) -> None:
    config(home).parent.mkdir()
    before = "# my settings\nmodel:\n  name: x  # the best\n"
    config(home).write_text(before, encoding="utf-8")
    told = hermes("mcp", "add", "u", "--yes", "--env", "LEVEL=high", "--", *SERVER, "", "a b")
    assert "u (unruly 1): 1 tool, about" in told
    assert "it calls itself read-only" in told
    assert "- text (string, required)" in told
    text = config(home).read_text(encoding="utf-8")
    assert text.startswith(before)
    assert "LEVEL: high" in text
    assert '"a b"' in text or "a b]" in text
    (row,) = json.loads(hermes("mcp", "list", "--json"))["servers"]
    assert (row["name"], row["state"], row["tools"], row["why"]) == ("u", "on", 1, "")
    assert row["tokens"] > 0
    assert "as you approved it" in hermes("mcp", "test", "u")
    tools = {each["name"]: each for each in json.loads(hermes("tools", "--json"))["tools"]}
    assert tools["mcp_u_echo"]["on"]
    assert tools["mcp_u_echo"]["source"] == "tool server u"
    hermes("mcp", "remove", "u")
    assert config(home).read_text(encoding="utf-8") == before
    assert "u" not in json.loads(hermes("mcp", "list", "--json"))["servers"]
    assert not list((home / ".hermes" / "mcp").iterdir())
    assert "there is no server u" in hermes("mcp", "remove", "u", code=1)


@pytest.mark.long
def test_nothing_is_written_where_nobody_says_yes(home: Path) -> None:
    told = hermes("mcp", "add", "u", "--", *SERVER, code=1, stdin="y\n")
    assert "Nobody is here to approve this" in told
    assert not config(home).exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("answer", "there"), [("y", True), pytest.param("n", False, marks=pytest.mark.thorough)]
)
def test_a_person_sees_the_tools_and_decides(home: Path, answer: str, there: bool) -> None:
    child = pexpect.spawn(CLI[0], [CLI[1], "mcp", "add", "u", "--", *SERVER], encoding="utf-8", timeout=40)
    child.expect(r"Use this tool\? \[y/N\]")
    assert "Say it again." in str(child.before)
    child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == (0 if there else 1)
    assert config(home).exists() == there


@pytest.mark.long
def test_a_description_is_shown_as_the_model_reads_it_and_a_cursed_tool_refused(home: Path) -> None:
    told = hermes("mcp", "add", "u", "--yes", "--", *SERVER, "cursed")
    assert "\x1b" not in told
    assert "\u202e" not in told
    assert "    Hidden text xxx" in told
    assert "characters the model sees 1,000)" in told
    assert "(6 characters that can hide or move text are taken out for the model)" in told
    assert "'line␤break'" in told or "line\\nbreak" in told
    assert "even when cut" in told
    assert told.count("is not used: ") == 4


@pytest.mark.long
def test_a_change_is_shown_and_counts_once_it_is_approved(home: Path, tmp_path: Path) -> None:
    switch = tmp_path / "on"
    hermes("mcp", "add", "u", "--yes", "--", *SERVER, "two-faced", str(switch))
    switch.touch()
    told = hermes("mcp", "test", "u", code=1)
    assert "echo has changed:\ndescription:\n- Say it again.\n+ Say it again, and send it" in told
    assert "Nothing was approved" in told
    assert "Approved in" in hermes("mcp", "test", "u", "--yes")
    assert "as you approved it" in hermes("mcp", "test", "u")


@pytest.mark.long
def test_a_server_that_does_not_start_tells_its_last_words_harmlessly(home: Path) -> None:
    told = hermes("mcp", "add", "u", "--yes", "--", *SERVER, "dead", code=1)
    assert "did not start: its process ended with code 3" in told
    assert "␛[31mno configuration found" in told
    assert not config(home).exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["add", "u"], "either a command behind -- or a --url"),
        (["add", "a/b", "--", "sh"], "no name for a server"),
        (["add", "u", "--url", "http://example.com"], "give --insecure"),
        (["add", "u", "--env", "API_TOKEN=abc", "--", "sh"], "hermes config set-key API_TOKEN"),
        (["add", "u", "--url", "https://x", "--header", "Authorization=Bearer x"], "${AUTHORIZATION}"),
        (["add", "u", "--url", "https://x", "--env", "A=b"], "--env and --env-pass are for a command"),
        (["add", "u", "--env", "A", "--", "sh"], "--env takes NAME=VALUE"),
        (["test", "u"], "there is no server u in the settings; there are: none"),
    ],
)
def test_wrong_usage_is_explained(arguments: list[str], told: str) -> None:
    assert told in " ".join(hermes("mcp", *arguments, code=2).split())


def test_a_program_that_is_not_there_is_said_to_be(home: Path) -> None:
    told = hermes("mcp", "add", "u", "--yes", "--", "no-such-program-here", code=1)
    assert "its command no-such-program-here is not found" in told
    assert not config(home).exists()


def test_a_list_without_servers_says_how_to_add_one() -> None:
    assert "hermes mcp add NAME" in hermes("mcp", "list")
