"""What a person approved of a server: `$HERMES_HOME/mcp/NAME.json`, its owner's alone.

The model sees the definitions that stand there and no others, so a server that is not running costs nothing
and one that changes its mind is noticed.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path

import msgspec
from msgspec import Struct

from configuration.home import changing, write_private
from configuration.tool_settings import McpServerSettings
from tools.mcp.definition import Definition

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_MOST_BYTES = 16_000_000


class Approval(Struct):
    """`settings` is the fingerprint of those it was given for; `server` what the server calls itself."""

    settings: str
    server: str
    tools: list[Definition]


class ApprovalError(Exception):
    """There is no approval that counts; the text says why and what to do."""


def is_server_name(name: str) -> bool:
    """Whether `name` can be a toolset's and a file's: letters, digits, _ and -, at most 32."""
    return bool(_NAME.fullmatch(name))


def fingerprint(server: McpServerSettings) -> str:
    """Of what decides who answers. Who may be called unasked, and for how long, is no part of it."""
    facts = [
        server.command, server.args, server.env, server.env_pass, server.url, server.headers, server.insecure,
    ]  # fmt: skip
    return hashlib.sha256(msgspec.json.encode(facts, order="deterministic")).hexdigest()


def approval_file(name: str, home: Path) -> Path:
    return home / "mcp" / f"{name}.json"


def read_approval(name: str, server: McpServerSettings, home: Path) -> Approval:
    """Raises ApprovalError."""
    path = approval_file(name, home)
    again = f"run: hermes mcp test {name}"
    try:
        with open(path, "rb") as file:
            state = os.fstat(file.fileno())
            data = file.read(_MOST_BYTES)
    except FileNotFoundError:
        raise ApprovalError(f"you have not approved its tools; {again}") from None
    except OSError as error:
        raise ApprovalError(f"cannot read {path}: {error.strerror}") from error
    if state.st_uid != os.getuid() or stat.S_IMODE(state.st_mode) & 0o022:
        raise ApprovalError(f"others can change {path}, so it does not count; use: chmod 600 {path}")
    try:
        approval = msgspec.json.decode(data, type=Approval)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ApprovalError(f"{path} is damaged; {again}") from None
    if approval.settings != fingerprint(server):
        raise ApprovalError(f"its settings are not those you approved; {again}")
    return approval


def approve(name: str, approval: Approval, home: Path) -> Path:
    """Raises configuration.home.SettingsError."""
    path = approval_file(name, home)
    write_private(path, msgspec.json.format(msgspec.json.encode(approval), indent=1).decode() + "\n")
    return path


def approve_tool(name: str, server: McpServerSettings, definition: Definition, home: Path) -> None:
    """Put one tool's new definition in the place of the old. Raises ApprovalError, SettingsError."""
    path = approval_file(name, home)
    with changing(path.parent):
        approval = read_approval(name, server, home)
        approval.tools = [definition if each.name == definition.name else each for each in approval.tools]
        approve(name, approval, home)


def forget_approval(name: str, home: Path) -> None:
    approval_file(name, home).unlink(missing_ok=True)
