"""Questions to the person, answered in the input line, one at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from repl.ink import Ink
from repl.live import Live, wrapped
from repl.surface import Question, Surface

if TYPE_CHECKING:
    from safety.gate import EffectRequest, PermissionAnswer

_TOLD = {
    "once": "allowed once", "session": "allowed for this session",
    "always": "allowed for good; take it back with: hermes gate forget",
}  # fmt: skip
MOST_AT_A_GLANCE = 20
"""Lines of a question; of a longer one it is said how long it is, for its beginning may be out of sight."""
NO_ANSWER = "(the person gave no answer)"


class Questions:
    """Fulfils `ReplFace`. `cancel` answers the open question with no."""

    def __init__(self, surface: Surface, live: Live, ink: Ink) -> None:
        self._surface = surface
        self._ink = ink
        self._live = live
        self._one_at_a_time = asyncio.Lock()
        self._open: asyncio.Task[str] | None = None

    async def ask_permission(self, request: EffectRequest, reason: str) -> PermissionAnswer:
        """Shows the whole command in the scrollback, with what is invisible in it made visible."""
        from safety.terminal_text import neutralize

        async with self._one_at_a_time:
            shown = "\n".join("    " + line for line in neutralize(request.summary.rstrip("\n")).split("\n"))
            why = " ".join(f"{request.tool} needs your word: {reason}".split())
            self._surface.print(self._ink(f"  {neutralize(why)}", "yellow") + "\n" + self._ink(shown, "bold"))
            lines = sum(1 + len(line) // self._surface.columns for line in shown.split("\n"))
            if lines > MOST_AT_A_GLANCE:
                self._surface.print(self._ink(f"  ({lines:,} lines: look where it begins)", "yellow"))
            keys: dict[str, str] = {"y": "once", "n": "deny"}
            session = ""
            if request.grant:
                covered = neutralize(request.grant)
                keys["s"] = "session"
                session = f"  [s] this session (covers: {covered})"
                if request.lasting:
                    keys["a"] = "always"
                    session += "  [a] always in this folder (the same)"
            answer = await self._ask(Question(f"  [y] once{session}  [n] no", keys))
            self._surface.print(self._ink(f"  {_TOLD.get(answer, 'not allowed')}", "dim"))
            return cast("PermissionAnswer", answer) if answer in _TOLD else "deny"

    async def ask_person(self, question: str, choices: list[str]) -> str:
        """A choice may be given by its number; any other text is an answer as well; "" for none."""
        from safety.terminal_text import neutralize

        async with self._one_at_a_time:
            lines = [self._ink(wrapped(neutralize(question), self._surface.columns), "yellow")]
            lines += [f"    {number}. {neutralize(choice)}" for number, choice in enumerate(choices, 1)]
            self._surface.print("\n".join(lines))
            hint = f"  a number from 1 to {len(choices)}, or your own words" if choices else "  your answer"
            answer = (await self._ask(Question(hint))).strip()
            if answer.isdecimal() and 1 <= int(answer) <= len(choices):
                answer = choices[int(answer) - 1]
            self._surface.print(self._ink(f"  → {neutralize(answer)}", "dim"))
            return "" if answer == NO_ANSWER else answer

    async def ask_secret(self, question: str) -> str:
        """A text that is not shown while it is typed; "" for none."""
        from safety.terminal_text import neutralize

        async with self._one_at_a_time:
            self._surface.print(self._ink(wrapped(neutralize(question), self._surface.columns), "yellow"))
            hint = "  your answer, hidden (Enter alone: no; kept in memory until hermes ends)"
            answer = await self._ask(Question(hint, hidden=True))
            secret = "" if answer is NO_ANSWER else answer
            self._surface.print(self._ink(f"  → {'(hidden)' if secret else 'none given'}", "dim"))
            return secret

    def cancel(self) -> bool:
        """True if a question was open; its answer is then no, or none."""
        if self._open is None:
            return False
        self._open.cancel()
        return True

    async def _ask(self, question: Question) -> str:
        def opened() -> None:
            self._live.asking = question.hint

        self._open = asyncio.ensure_future(self._surface.ask(question, opened))
        try:
            await asyncio.wait([self._open])
            return NO_ANSWER if self._open.cancelled() else self._open.result()
        finally:
            self._open.cancel()
            self._open = None
            self._live.asking = ""
