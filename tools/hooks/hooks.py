"""The hooks of one agent: which are run when, and what their word counts.

A hook can only narrow what a call may do. Its word comes before the gate's, and the gate still decides.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from configuration.tool_settings import HookSettings
from conversation.event import Event, Notice
from safety.terminal_text import strip_controls
from sandboxes.child_environment import child_environment
from tools.hooks.hook_process import HookEnd, run_hook_command
from tools.surroundings import Surroundings

if TYPE_CHECKING:
    from tools.runtime import ToolRuntime

log = logging.getLogger("hermes.hooks")

MOST_CONTENT = 20_000
"""Characters of a result that an after_tool hook is told."""
_REFUSAL = 2
"""The exit code by which a before_tool hook says no."""
_REASON_LINES, _REASON = 5, 600
_NAME = 60

Word = Literal["go", "ask", "deny"]
_SPOKEN: Mapping[str, Word] = {"allow": "go", "ask": "ask", "deny": "deny"}


class Ruling(NamedTuple):
    """What the hooks say of a call; the reason is for the model and the person."""

    word: Word
    reason: str = ""


class HookFailure(Exception):
    """A hook could not say anything that counts."""


@dataclass(slots=True)
class Hooks:
    """`session_id` is "" where there is no session: for calls that are made by their task's id alone."""

    around: Surroundings
    session_id: str = ""
    _begun: bool = False
    _warned: set[int] = field(default_factory=set)

    def new_session(self, session_id: str) -> None:
        """Another conversation stands ready; it begins with its first turn."""
        self.session_id, self._begun = session_id, False

    async def session_start(self, runtime: ToolRuntime) -> str:
        """Why the session must not begin; "" if it may, or has begun."""
        if self._begun:
            return ""
        for number, hook in self._matching("session_start"):
            problem = await self._tell(number, hook, {"task_id": runtime.task_id}, runtime.emit)
            if problem and hook.required:
                return problem
        self._begun = True
        return ""

    async def session_end(self, runtime: ToolRuntime, file: str) -> None:
        """The conversation is over; `file` is where it is saved, "" if it is not."""
        if not self._begun:
            return
        self._begun = False
        about = {"task_id": runtime.task_id, "session_file": file}
        for number, hook in self._matching("session_end"):
            await self._tell(number, hook, about, runtime.emit)

    async def before_tool(self, tool: str, arguments: Mapping[str, Any], runtime: ToolRuntime) -> Ruling:
        """Ask the hooks, in the order of the settings; the strictest word counts, and after a no nobody
        is asked any more. A required hook that fails says no."""
        ruling = Ruling("go")
        about = _about(tool, arguments, runtime)
        for number, hook in self._matching("before_tool", tool):
            try:
                told = _ruling(await self._run(hook, about), hook)
            except HookFailure as failure:
                if hook.required:
                    return Ruling("deny", f"{failure}, and no call is made without its word")
                self._warn_once(number, f"{failure}; calls go on without its word", runtime.emit)
                continue
            if told.word == "deny":
                return told
            if told.word == "ask" and ruling.word == "go":
                ruling = told
        return ruling

    async def after_tool(
        self, tool: str, arguments: Mapping[str, Any], result: Mapping[str, Any], runtime: ToolRuntime
    ) -> None:
        """Tell the hooks of a call that was made. `result`: `status`, `content` (text), `seconds`."""
        content = str(result["content"])
        bounded = {**result, "content": content[:MOST_CONTENT], "cut": len(content) > MOST_CONTENT}
        about = {**_about(tool, arguments, runtime), **bounded}
        for number, hook in self._matching("after_tool", tool):
            await self._tell(number, hook, about, runtime.emit)

    def _matching(self, event: str, tool: str = "") -> Iterator[tuple[int, HookSettings]]:
        for number, hook in enumerate(self.around.settings.hooks):
            if hook.event == event and (
                not tool or not hook.tools or any(fnmatchcase(tool, each) for each in hook.tools)
            ):
                yield number, hook

    async def _tell(
        self, number: int, hook: HookSettings, about: Mapping[str, Any], emit: Callable[[Event], None]
    ) -> str:
        """Run a hook whose exit code alone counts; what went wrong, "" if nothing did."""
        end = await self._run(hook, about)
        if not end.problem and not end.code:
            return ""
        problem = str(_failure(hook, end))
        if not hook.required:
            self._warn_once(number, problem, emit)
        elif hook.event != "session_start":
            emit(Notice(problem, "error"))
        return problem

    async def _run(self, hook: HookSettings, about: Mapping[str, Any]) -> HookEnd:
        cwd = self.around.cwd
        told = {"event": hook.event, "session_id": self.session_id, "cwd": cwd, **about}
        environment = {
            **child_environment(self.around.environ),
            "HERMES_EVENT": hook.event,
            "HERMES_SESSION_ID": self.session_id,
        }
        given = json.dumps(told, default=str).encode()
        end = await run_hook_command(
            hook.command, given, cwd=cwd or "/", environment=environment, timeout=hook.timeout
        )
        log.debug("%s: %s", named(hook), end)
        return end

    def _warn_once(self, number: int, text: str, emit: Callable[[Event], None]) -> None:
        if number not in self._warned:
            self._warned.add(number)
            emit(Notice(f"{text} (said once)", "warning"))


def _about(tool: str, arguments: Mapping[str, Any], runtime: ToolRuntime) -> dict[str, Any]:
    return {"task_id": runtime.task_id, "call_id": runtime.call_id, "tool": tool, "arguments": arguments}


def named(hook: HookSettings) -> str:
    """The hook as messages call it."""
    line = " ".join(strip_controls(hook.command).split())
    return f"the {hook.event} hook `{line if len(line) <= _NAME else line[: _NAME - 1] + '…'}`"


def _ruling(end: HookEnd, hook: HookSettings) -> Ruling:
    """What a before_tool hook says. Raises HookFailure for all that is neither yes, no nor ask."""
    if end.problem or end.code not in (0, _REFUSAL):
        raise _failure(hook, end)
    if end.code == _REFUSAL:
        return Ruling("deny", f"{named(hook)} says no: {_first_lines(end.said) or 'it gave no reason'}")
    if not end.output.strip():
        return Ruling("go")
    try:
        spoken = json.loads(end.output)
    except ValueError:
        spoken = None
    decision = spoken.get("decision") if isinstance(spoken, dict) else None
    if not isinstance(decision, str) or decision not in _SPOKEN:
        raise HookFailure(
            f"{named(hook)} failed: on stdout it may say nothing, or a JSON object with `decision`: allow, "
            f"deny or ask; it said {_first_lines(end.output)[:120]!r}"
        )
    word = _SPOKEN[decision]
    if word == "go":
        return Ruling("go")
    reason = _first_lines(str(spoken.get("reason") or "")) or "it gave no reason"
    return Ruling(word, f"{named(hook)} {'says no' if word == 'deny' else 'wants you to be asked'}: {reason}")


def _failure(hook: HookSettings, end: HookEnd) -> HookFailure:
    said = _first_lines(end.said)
    how = end.problem or f"exit code {end.code}"
    return HookFailure(f"{named(hook)} failed: {how}{': ' + said if said else ''}")


def _first_lines(text: str) -> str:
    lines = [line.strip() for line in strip_controls(text).strip().splitlines()]
    return " ".join(filter(None, lines[:_REASON_LINES]))[:_REASON]
