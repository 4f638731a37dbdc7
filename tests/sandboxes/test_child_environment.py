"""Commands see what they need, and no keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sandboxes.child_environment import child_environment, passed_variables
from sandboxes.local import LocalSandbox
from sandboxes.sandbox import ExecResult

Do = Callable[..., ExecResult]


def test_only_what_is_allowed_passes() -> None:
    environ = {
        "PATH": "/bin", "HOME": "/h", "LC_TIME": "C", "XDG_CACHE_HOME": "/c", "TERM": "xterm",
        "OPENAI_API_KEY": "k", "DB_URL": "u", "HERMES_HOME": "/x", "AWS_SECRET_ACCESS_KEY": "s",
        "SSH_AUTH_SOCK": "/s", "BASH_ENV": "/evil",
    }  # fmt: skip
    assert child_environment(environ) == {
        "PATH": "/bin", "HOME": "/h", "LC_TIME": "C", "XDG_CACHE_HOME": "/c", "TERM": "dumb",
    }  # fmt: skip


def test_a_person_may_pass_more_and_secrets_only_by_their_full_name() -> None:
    environ = {"MY_A": "1", "MY_TOKEN": "t", "GH_TOKEN": "g", "OTHER": "o"}
    child = child_environment(environ, ["MY_*", "GH_TOKEN"])
    assert {name: child[name] for name in child if name in environ} == {"MY_A": "1", "GH_TOKEN": "g"}


def test_a_proxy_passes_unless_it_holds_a_password() -> None:
    environ = {"https_proxy": "http://user:pw@proxy:1", "http_proxy": "http://proxy:1"}
    assert "https_proxy" not in child_environment(environ)
    assert child_environment(environ)["http_proxy"] == "http://proxy:1"
    assert child_environment(environ, ["https_proxy"])["https_proxy"] == "http://user:pw@proxy:1"


def test_a_path_is_always_there() -> None:
    assert child_environment({})["PATH"]


def test_programs_are_not_looked_for_in_the_folder_one_is_in() -> None:
    assert child_environment({"PATH": ".:/a::bin:/b:"})["PATH"] == "/a:/b"
    assert child_environment({"PATH": "."})["PATH"].startswith("/")


def test_keys_are_absent_from_the_environment_of_commands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import asyncio

    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    local = LocalSandbox("t", str(tmp_path))
    for _ in range(2):
        result = asyncio.run(local.exec("env; set; tr '\\0' '\\n' < /proc/$$/environ", timeout=9))
        assert "sk-canary" not in result.output.text and "PATH=" in result.output.text
    asyncio.run(local.close())


def test_what_is_passed_on_purpose_is_not_what_each_place_says_for_itself() -> None:
    environ = {"HOME": "/me", "PATH": "/bin", "TERM": "x", "LANG": "C", "MINE": "1", "MINE_TOO": "2"}
    assert passed_variables(environ, ["*"]) == {"LANG": "C", "MINE": "1", "MINE_TOO": "2"}
    assert passed_variables(environ, ["MINE", "GONE"]) == {"MINE": "1"}
    assert passed_variables(environ, []) == {}
