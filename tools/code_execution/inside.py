"""Runs inside the sandbox: starts the script, and carries its calls of tools out and their replies back.

This text is sent to the place where commands run; it needs Python 3.7 there and nothing else. Calls leave in
frames (see frames.py) on what was the standard output when it began, replies come on what was the standard
input; the script has an empty input, and whatever it prints goes between the frames.
"""

from __future__ import annotations

import json
import linecache
import os
import select
import sys
import threading
import traceback
import types
from collections.abc import Callable

SCRIPT = "script.py"
_MARK = b"\x1e"
_HEAD = 64
"""Bytes of a frame that are not payload, at most."""


class ToolError(Exception):
    """A call failed; the text is the tool's own. `reply` is all that it said."""

    def __init__(self, message: str, reply: object = None) -> None:
        super().__init__(message)
        self.reply = reply


class ToolDenied(ToolError):
    """The call was not allowed; the text says why."""


def _as_text(value: object) -> str:
    if isinstance(value, os.PathLike):
        return os.fsdecode(os.fspath(value))
    raise TypeError(f"a {type(value).__name__} cannot be sent to a tool")


class Call:
    """A call that waits for its reply."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.status = ""
        self.body = b""


class Link:
    """The way out and back. Any thread of the script may use it, none of a process that was forked."""

    def __init__(self) -> None:
        self._out = os.dup(1)
        self._in = os.dup(0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        self._rest = bytearray()
        self._token = b""
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._calls: dict[int, Call] = {}
        self._number = 0

    def begin(self) -> dict[str, object]:
        """What to run."""
        start: dict[str, object] = json.loads(self._read(int(self._read_line())))
        self._token = str(start["token"]).encode()
        threading.Thread(target=self._listen, daemon=True).start()
        self._send(0, b"")
        return start

    def call(self, name: str, arguments: dict[str, object]) -> object:
        if os.getpid() != self._process:
            raise ToolError("tools can be called from the script's own process alone, not from a fork of it")
        request = json.dumps({"name": name, "arguments": arguments}, default=_as_text)
        with self._lock:
            self._number += 1
            number, call = self._number, Call()
            self._calls[number] = call
        self._send(number, request.encode())
        call.ended.wait()
        reply = json.loads(call.body)
        if call.status == "ok":
            return reply
        text = str(reply.get("error", reply)) if isinstance(reply, dict) else str(reply)
        raise (ToolDenied if call.status == "denied" else ToolError)(text, reply)

    def _send(self, number: int, payload: bytes) -> None:
        """In pieces that a pipe takes whole, whoever else writes to it at the same time."""
        size = select.PIPE_BUF - _HEAD
        for at in range(0, max(len(payload), 1), size):
            more = b"+" if at + size < len(payload) else b"."
            head = self._token + b" %d %s" % (number, more)
            os.write(self._out, _MARK + head + payload[at : at + size] + _MARK)

    def _listen(self) -> None:
        while True:
            number, status, size = self._read_line().split()
            body = self._read(int(size))
            with self._lock:
                call = self._calls.pop(int(number))
            call.status, call.body = status.decode(), body
            call.ended.set()

    def _read_line(self) -> bytes:
        while b"\n" not in self._rest:
            self._read_more()
        line, _, rest = bytes(self._rest).partition(b"\n")
        self._rest = bytearray(rest)
        return line

    def _read(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._read_more()
        data = bytes(self._rest[:size])
        del self._rest[:size]
        return data

    def _read_more(self) -> None:
        piece = os.read(self._in, 1 << 16)
        if not piece:
            os._exit(130)  # nobody listens any more
        self._rest += piece


def make_function(link: Link, tool: dict[str, object]) -> Callable[..., object]:
    name = str(tool["name"])
    parameters = list(tool["parameters"])  # type: ignore[call-overload]

    def call(*values: object, **arguments: object) -> object:
        if len(values) > len(parameters):
            raise TypeError(f"{name} takes {len(parameters)} arguments: {', '.join(parameters)}")
        for parameter, value in zip(parameters, values):  # noqa: B905 -- Python 3.7 has no strict
            if parameter in arguments:
                raise TypeError(f"{name} got {parameter} twice")
            arguments[parameter] = value
        return link.call(name, arguments)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"{name}({', '.join(parameters)}): {tool['about']}"
    return call


def make_module(link: Link, tools: list[dict[str, object]]) -> types.ModuleType:
    module = types.ModuleType("hermes_tools", "The agent's tools.")
    functions = {str(tool["name"]): make_function(link, tool) for tool in tools}
    for each in (ToolError, ToolDenied):
        each.__module__ = "hermes_tools"
        setattr(module, each.__name__, each)

    def missing(name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        there = ", ".join(functions) or "none"
        raise ImportError(f"no tool {name!r} can be called from here; there are: {there}")

    module.__dict__.update(functions, __all__=[*functions, "ToolError", "ToolDenied"], __getattr__=missing)
    return module


def main() -> None:
    link = Link()
    start = link.begin()
    code = str(start["code"])
    sys.modules["hermes_tools"] = make_module(link, start["tools"])  # type: ignore[arg-type]
    script = sys.modules["__main__"] = types.ModuleType("__main__")
    sys.argv = [SCRIPT]
    sys.path.append("")  # last: what lies in the folder must not pass for a module of Python
    linecache.cache[SCRIPT] = (len(code), None, code.splitlines(keepends=True), SCRIPT)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    try:
        exec(compile(code, SCRIPT, "exec"), script.__dict__)
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is told as Python tells it
        trace = error.__traceback__
        traceback.print_exception(type(error), error, trace and trace.tb_next)
        sys.exit(1)
