"""What is typed as the answer to a hidden question is seen nowhere, neither then nor afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.repl.terminal import Terminal

SECRET = "/Tr0ub4dor@x\\"
"""Begins as a command does, holds what completes to a file, and ends as a line that goes on."""


@pytest.mark.parametrize("kind", ["xterm-256color", "dumb"])
def test_a_secret_is_typed_unseen(kind: str, start: Callable[..., Terminal]) -> None:
    terminal = start(environ={"TERM": kind})
    terminal.wait_for("a notice at the start")
    terminal.send("secret\n" if kind == "dumb" else "secret\r")
    terminal.wait_for("your answer, hidden")
    time.sleep(0.2)
    terminal.send(SECRET)
    terminal.read(0.5)
    terminal.send("\n" if kind == "dumb" else "\r")
    terminal.wait_for(f"it has {len(SECRET)} letters.")
    assert SECRET.encode() not in terminal.raw and "Tr0ub" not in terminal.transcript()
    terminal.send("hello\n" if kind == "dumb" else "hello\r")
    terminal.wait_for("You said: hello")
    if kind != "dumb":
        terminal.send("\x19\x1b[A\x1b[A\x1b[A")
        terminal.read(0.5)
        assert "Tr0ub" not in terminal.transcript()
    else:
        assert terminal.transcript().count("hello") == 2, "what is typed is shown again"


def test_enter_alone_and_ctrl_c_give_none(start: Callable[..., Terminal]) -> None:
    terminal = start().ready()
    terminal.enter("secret")
    terminal.wait_for("your answer, hidden")
    terminal.read(0.2)
    terminal.send("\r")
    terminal.wait_for("it has 0 letters.")
    terminal.enter("secret")
    terminal.wait_for(lambda text: text.count("What is the password?") == 2)
    terminal.read(0.3)
    terminal.send("zqx\x03")
    terminal.wait_for(lambda text: text.count("none given") == 2 or "interrupted" in text)
    assert "zqx" not in terminal.transcript()
