"""The tools `terminal` and `process`: commands in the task's shell, at once or in the background."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

from conversation.event import ToolOutput
from safety.gate import EffectRequest
from safety.terminal_text import StreamCleaner
from sandboxes.sandbox import BackgroundProcess, BoundedOutput, SandboxError
from tools.runtime import ToolReply, ToolRuntime
from tools.surroundings import Surroundings
from tools.tool import error_reply, ok_reply, tool

LOG_BYTES = 10_000
NEEDS_PASSWORD = "sudo: a password is required"
NO_PASSWORD = "sudo needs a password, and none was given: nobody is here to type it, or the person would not"


def check_terminal_requirements(around: Surroundings | None = None) -> str:
    """ "" if commands can run here, else what is missing and the fix."""
    import shutil

    if shutil.which("bash") is None:
        return "bash is not on the PATH: install it, or add its folder to PATH"
    return ""


def cleanup_vm(task_id: str) -> None:
    """End everything that runs in the sandbox of `task_id` and forget its shell state."""
    from conversation.blocking import run_blocking
    from sandboxes.registry import SHARED

    run_blocking(SHARED.close(task_id))


def describe_terminal(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    """The whole command, and what else decides about its effect, for a person to judge."""
    command: str = arguments["command"]
    summary = [command]
    cwd = runtime.sandbox.cwd
    if workdir := arguments.get("workdir"):
        cwd = runtime.sandbox.resolve(workdir)
        summary.append(f"in {cwd}")
    if arguments.get("background"):
        summary.append("in the background")
    if stdin := arguments.get("stdin"):
        summary.append(f"with the input:\n{stdin}")
    return EffectRequest("terminal", ("exec",), "\n".join(summary), command=command, cwd=cwd, fed=bool(stdin))


@tool(effects=("exec",), requires=check_terminal_requirements, describe=describe_terminal)
async def terminal(
    runtime: ToolRuntime,
    command: str,
    timeout: Annotated[float | None, "seconds"] = None,
    background: Annotated[bool, "return at once; see `process`"] = False,
    workdir: Annotated[str, "for this call only"] = "",
    stdin: Annotated[str | None, "else empty"] = None,
) -> ToolReply:
    """Run bash. cwd, variables, functions and options persist between calls. No TTY."""
    sandbox = runtime.sandbox
    limits = runtime.settings.terminal
    if not command.strip():
        return error_reply("the command is empty")
    await _let_sudo_ask(runtime)
    if background:
        process = await sandbox.spawn(command, workdir=workdir or None)
        unsent: dict[str, Any] = {}
        if stdin is not None:
            try:
                await process.write(stdin.encode("utf-8", "replace"), end=True)
            except SandboxError as error:  # it runs all the same, and must be known by its id
                unsent["note"] = str(error)
        return ok_reply(process_id=process.id, **unsent)
    before = sandbox.cwd
    seconds = min(limits.timeout if timeout is None else max(timeout, 0.1), limits.max_timeout)
    result = await sandbox.exec(
        command,
        timeout=seconds,
        stdin=None if stdin is None else stdin.encode("utf-8", "replace"),
        workdir=workdir or None,
        on_output=_screen(runtime),
    )
    more: dict[str, Any] = {}
    notes = [result.note] if result.note else []
    if result.timed_out:
        more["timed_out"] = True
        notes.append(f"ended after {seconds:g} s; give a longer timeout, or background=true")
    if result.exit_code != 0 and NEEDS_PASSWORD in result.output.text:
        notes.append(NO_PASSWORD)
    if notes:
        more["note"] = "; ".join(notes)
    if result.cwd != before:
        more["cwd"] = result.cwd
    return ok_reply(output=result.output.text, exit_code=result.exit_code, **more, **_fuller(result.output))


async def _let_sudo_ask(runtime: ToolRuntime) -> None:
    """sudo can ask for a password where it runs on the person's own machine, and nothing holds it there."""
    from sandboxes.local import LocalSandbox

    sandbox = runtime.sandbox
    if runtime.sudo is not None and isinstance(sandbox, LocalSandbox) and sandbox.confinement.kind == "none":
        with contextlib.suppress(OSError):  # a full disk: sudo then says itself that it cannot ask
            await runtime.sudo.open(sandbox.identity)


def describe_process(runtime: ToolRuntime, arguments: dict[str, Any]) -> EffectRequest:
    """Looking is reading; writing to a process and ending it are effects."""
    action, id = arguments["action"], arguments.get("id", "")
    if action not in ("write", "kill"):
        return EffectRequest("process", ("read",), f"{action} {id}".strip())
    process = _find(runtime, id)
    command = process.command if process else "there is no such process"
    if action == "kill":
        return EffectRequest("process", ("exec",), f"end {id}: {command}", grant="process: kill")
    return EffectRequest("process", ("exec",), f"write to {id}: {command}\n{arguments.get('data', '')}")


@tool(effects=("exec",), requires=check_terminal_requirements, describe=describe_process)
async def process(
    runtime: ToolRuntime,
    action: Literal["list", "poll", "log", "wait", "write", "kill"],
    id: str = "",
    data: Annotated[str, "for write; include the newline"] = "",
    timeout: Annotated[float, "seconds, for wait"] = 60,
) -> ToolReply:
    """Background commands. poll and wait give new output and exit_code (null: running), log the end."""
    if action == "list":
        return ok_reply(processes=[_row(each) for each in runtime.sandbox.processes()])
    found = _find(runtime, id)
    if found is None:
        known = ", ".join(each.id for each in runtime.sandbox.processes()) or "none"
        return error_reply(f"there is no process {id!r}; there are: {known}")
    if action == "log":
        output = found.log(LOG_BYTES)
        return ok_reply(output=output.text, exit_code=found.exit_code, **_fuller(output))
    if action == "wait":
        await found.wait(min(max(timeout, 0.0), runtime.settings.terminal.max_timeout))
    elif action == "write":
        try:
            await found.write(data.encode("utf-8", "replace"))
        except SandboxError as error:
            return error_reply(str(error))
    elif action == "kill":
        await found.kill()
    exit_code = found.exit_code
    output = found.new_output()
    return ok_reply(output=output.text, exit_code=exit_code, **_fuller(output))


def _find(runtime: ToolRuntime, id: str) -> BackgroundProcess | None:
    return next((each for each in runtime.sandbox.processes() if each.id == id), None)


def _row(found: BackgroundProcess) -> dict[str, Any]:
    return {
        "id": found.id,
        "command": found.command[:200],
        "exit_code": found.exit_code,
        "seconds": round(time.time() - found.started),
    }


def _fuller(output: BoundedOutput) -> dict[str, Any]:
    if not output.truncated:
        return {}
    path = {"full_output": output.spill_path} if output.spill_path else {}
    return {**path, "total_bytes": output.total}


def _screen(runtime: ToolRuntime) -> Callable[[str], None]:
    """Sends output on as events, harmless to a terminal also where a sequence is split between pieces."""
    call_id = runtime.call_id
    cleaner = StreamCleaner()

    def show(text: str) -> None:
        if text := cleaner.feed(text):
            runtime.emit(ToolOutput(call_id, text))

    return show
