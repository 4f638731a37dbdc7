"""The tool `execute_code`: Python in the sandbox that can call the other tools."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Annotated, Any

from safety.gate import Effect, EffectRequest
from tools.runtime import ToolReply, ToolRuntime
from tools.surroundings import Surroundings
from tools.tool import error_reply, ok_reply, tool
from tools.untrusted import SCRIPT

SECONDS = 300.0
_NETWORK = re.compile(
    r"\b(urllib|urlopen|requests|httpx|aiohttp|socket|websockets?|ftplib|smtplib|curl|wget)\b|http\.client|https?://"
)


def check_code_execution_requirements(around: Surroundings | None = None) -> str:
    """ "" if there is Python for scripts, as far as can be known before the place is there."""
    import os
    import shutil

    if around is not None and around.settings.terminal.backend != "local":
        return ""
    environ: Mapping[str, str] = os.environ if around is None else around.environ
    if shutil.which("python3", path=environ.get("PATH")) is None:
        return "python3 is not on the PATH: install it, or add its folder to PATH"
    return ""


def describe_code(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    """The whole code, for a person to judge. What its calls do is decided one by one."""
    code: str = arguments["code"]
    effects: tuple[Effect, ...] = ("exec", "net") if _NETWORK.search(code) else ("exec",)
    return EffectRequest(
        "execute_code", effects, code, command="python3 -", cwd=runtime.sandbox.cwd, program=True
    )  # fmt: skip


@tool(effects=("exec",), requires=check_code_execution_requirements, describe=describe_code)
async def execute_code(
    runtime: ToolRuntime, code: str, timeout: Annotated[float, "seconds"] = SECONDS
) -> ToolReply:
    """Run Python that can call your other tools: `from hermes_tools import read_file, …` (same parameters;
    each returns its reply as a dict, or raises ToolError). Only what it prints comes back. For many calls in
    one go."""
    from tools.code_execution.script_run import NoPythonError, ScriptRun

    if not code.strip():
        return error_reply("the code is empty")
    began = time.monotonic()
    seconds = min(max(timeout, 0.1), runtime.settings.terminal.max_timeout)
    run = ScriptRun(runtime, code, seconds)
    try:
        ended = await run.run()
    except NoPythonError as error:
        return error_reply(str(error))
    more: dict[str, Any] = {}
    if ended.timed_out:
        more["note"] = f"ended after {seconds:g} s; give a longer timeout, or do less in one run"
    if ended.output.truncated:
        more["total_bytes"] = ended.output.total
        if ended.output.spill_path:
            more["full_output"] = ended.output.spill_path
    if ended.calls:
        more["calls"] = dict(ended.calls)
    # What a script prints is the model's own text, whatever it has read.
    return ok_reply(
        output=ended.output.text, exit_code=ended.exit_code,
        seconds=round(time.monotonic() - began, 1), **more,
    ).by(f"{SCRIPT} {ended.untrusted}" if ended.untrusted else "")  # fmt: skip
