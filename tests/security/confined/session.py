"""Runs commands in one confined sandbox, as the account that runs this.

Standard input: a JSON object with kind, cwd, hidden, commands, and guard: a process that must be out of reach
before anything is tried. Standard output: a JSON object for each command, and a last one about the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from sandboxes.confinement.bubblewrap_host import BubblewrapHost
from sandboxes.confinement.confined_view import make_view
from sandboxes.confinement.landlock_host import LandlockHost
from sandboxes.hosted import HostedSandbox
from sandboxes.local import LocalSandbox
from sandboxes.sandbox import Sandbox, SandboxError
from settings import TerminalSettings

KINDS = {"bubblewrap": BubblewrapHost, "landlock": LandlockHost}


def make(kind: str, cwd: str, hidden: list[str], terminal: TerminalSettings | None = None) -> Sandbox:
    if kind == "none":
        return LocalSandbox("task", cwd)
    host = KINDS[kind](lambda: make_view(terminal or TerminalSettings(), cwd, os.environ, hidden))
    return HostedSandbox("task", host, remark=host.remark)


async def run(orders: dict[str, Any]) -> None:
    sandbox = make(orders["kind"], orders["cwd"], orders["hidden"])
    if orders["kind"] != "none":
        guard = await sandbox.exec(
            "grep -E '^(CapEff|CapPrm|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\n\\t'; "
            f"kill -0 {orders['guard']}",
            timeout=20,
        )
        held = "CapPrm:0000000000000000CapEff:0000000000000000NoNewPrivs:1Seccomp:2"
        if not guard.output.text.startswith(held) or guard.exit_code == 0:
            sys.exit(f"not confined, so nothing is tried: {guard.output.text}")
    for command in orders["commands"]:
        try:
            result = await sandbox.exec(command, timeout=20, workdir=orders["cwd"])
            answer = {"code": result.exit_code, "output": result.output.text, "note": result.note}
        except SandboxError as error:
            answer = {"code": -1, "output": str(error), "note": ""}
        sys.stdout.write(json.dumps(answer) + "\n")
    await sandbox.close()
    sys.stdout.write(json.dumps({"closed": True}) + "\n")


if __name__ == "__main__":
    asyncio.run(run(json.load(sys.stdin)))
