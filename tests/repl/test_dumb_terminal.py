"""A terminal that knows lines alone gets plain lines."""

from __future__ import annotations

from collections.abc import Callable

from tests.repl.terminal import Terminal

Start = Callable[..., Terminal]


def test_a_dumb_terminal_gets_no_escape_sequence_at_all(start: Start) -> None:
    terminal = start(environ={"TERM": "dumb"})
    terminal.wait_for("a notice at the start")
    terminal.child.sendline("markdown")
    terminal.wait_for("The last paragraph.")
    terminal.child.sendline("permission")
    terminal.wait_for("[y] once")
    terminal.child.sendline("x")
    terminal.wait_for(lambda text: "[y] once" in text.partition("x: none of the choices, not sent")[2])
    terminal.child.sendline("y")
    terminal.wait_for("permission was once")
    terminal.child.sendline("/usage")
    terminal.wait_for("requests")
    terminal.child.sendeof()
    assert terminal.end() == 0
    assert b"\x1b" not in terminal.raw


def test_ctrl_c_interrupts_in_a_dumb_terminal(start: Start) -> None:
    terminal = start(environ={"TERM": "dumb"})
    terminal.wait_for("a notice at the start")
    terminal.child.sendline("words 30")
    terminal.wait_for("w0024")
    terminal.send("\x03")
    terminal.wait_for("interrupted")
