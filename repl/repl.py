"""The REPL itself: lines typed become turns or commands, one after the other, until the person leaves."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING

from repl import status
from repl.ink import Ink
from repl.kawaii import Kawaii
from repl.live import Live, wrapped

if TYPE_CHECKING:
    from conversation.event import Event
    from repl.agent_port import AgentPort, Loaded
    from repl.pictures import PastedPictures
    from repl.questions import Questions
    from repl.surface import Fragments, Surface
    from repl.transcript import Transcript

LOAD_DELAY = 0.05
"""Seconds between the first draw and the heavy imports: the first keys are echoed without them."""
TICK_SECONDS = 0.5
LEAVE_WITHIN = 2.0
"""Two Ctrl-C within so many seconds leave."""
CLOSE_WITHIN = 5.0
HISTORY_FILE = "input_history"


async def run_repl(load: Callable[[], Loaded], home: str, environ: Mapping[str, str] = os.environ) -> int:
    """Talk until the person leaves; returns the exit code (0, 143 after SIGTERM, 129 after SIGHUP).

    `load` is called in a thread once the prompt stands; what it raises is raised here, with the
    terminal as it was found. `home` is the folder of the input history.
    """
    return await Repl(load, home, environ).run()


class Repl:
    """State of one REPL. Slash commands get this object; what stands here is set before any runs."""

    agent: AgentPort
    loaded: Loaded
    transcript: Transcript
    pasted: PastedPictures

    def __init__(self, load: Callable[[], Loaded], home: str, environ: Mapping[str, str]) -> None:
        self._load = load
        self._environ = environ
        color = not (environ.get("NO_COLOR") or environ.get("CI")) and environ.get("TERM") != "dumb"
        self.ink = Ink(color)
        self.live = Live(Kawaii(on=False))
        self.questions: Questions | None = None
        self.ready = False
        self.leaving = False
        self.failure: BaseException | None = None
        self._exit_code = 0
        self._something_queued = asyncio.Event()
        self._current: asyncio.Task[None] | None = None
        self._side: set[asyncio.Task[None]] = set()
        self._last_interrupt = float("-inf")
        self.live_lines = self.live.lines
        self.surface = self._make_surface(os.path.join(home, HISTORY_FILE), environ, color)

    def _make_surface(self, history: str, environ: Mapping[str, str], color: bool) -> Surface:
        if environ.get("TERM", "dumb") in ("dumb", "unknown", ""):
            from repl.line_terminal import LineTerminal

            return LineTerminal(self)
        from repl.completion import ReplCompleter
        from repl.screen import Screen

        return Screen(self, ReplCompleter(self._arguments_of), history, color)

    # -- life -----------------------------------------------------------------------------------

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.leave, 128 + number)
        try:
            await self.surface.run(lambda: self._begin_side(self._work()))
            await self._finish()
        finally:
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)
        if self.failure is not None:
            raise self.failure
        return self._exit_code

    def leave(self, code: int = 0) -> None:
        if self.leaving:
            return
        self.leaving = True
        self._exit_code = code
        self._cancel_question()
        if self.ready:
            self.agent.interrupt()
        self.surface.close()

    async def _finish(self) -> None:
        """End the turn, the tasks and what runs in the background; say what the person should know."""
        if self._current is not None:
            await asyncio.wait([self._current], timeout=LEAVE_WITHIN)
        for task in [*self._side, *([self._current] if self._current else [])]:
            task.cancel()
        if self._side:
            await asyncio.wait(self._side, timeout=CLOSE_WITHIN)
        if self.ready:
            from repl.farewell import farewell

            lines = farewell(self.agent, self.ink)
            problems = await self._close_agent()
            self.pasted.remove_files()
            for line in lines:
                self.surface.print(line)
            for problem in problems:
                self.say(problem, "yellow")
        self._keep_unsent()

    async def _close_agent(self) -> list[str]:
        """What went wrong with that: where a conversation lies that could not be saved, say."""
        closing = asyncio.ensure_future(self.agent.aclose())
        done, _ = await asyncio.wait([closing], timeout=CLOSE_WITHIN)
        if not done:
            return [f"hermes did not end in good order within {CLOSE_WITHIN:.0f} s"]
        error = closing.exception()
        return closing.result() if error is None else [self._told(error)]

    def _keep_unsent(self) -> None:
        unsent = [text for text in (*self.live.queued, self.surface.draft) if text.strip()]
        if not unsent:
            return
        self.surface.clear_draft()
        for text in unsent:
            self.say(f"not sent: {text}", "yellow")

    async def _work(self) -> None:
        try:
            await self._open()
        except Exception as error:  # noqa: BLE001 - raised again by run(), once the terminal is restored
            self.failure = error
            self.leave(1)
            return
        while True:
            while not self.live.queued:
                self._something_queued.clear()
                self.surface.idle()
                await self._something_queued.wait()
            text = self.live.queued.pop(0)
            self._current = asyncio.create_task(self._run_line(text))
            await asyncio.wait([self._current])
            self._current = None
            self.surface.changed()

    async def _open(self) -> None:
        await asyncio.sleep(LOAD_DELAY)
        self.loaded = loaded = await asyncio.to_thread(self._load_all)
        self.ink.color = self.ink.color and loaded.display.color
        self.live.kawaii.on = loaded.display.kawaii
        from repl.banner import banner
        from repl.pictures import PastedPictures
        from repl.questions import Questions
        from repl.transcript import Transcript
        from safety.terminal_text import neutralize

        self.pasted = PastedPictures()
        self.questions = Questions(self.surface, self.live, self.ink)
        self.agent = await loaded.open_agent(self.questions)
        self.transcript = Transcript(
            loaded.display, self.ink, self.live, self.surface.print, lambda: self.surface.columns
        )
        self.surface.print(banner(self.agent, loaded.version, self.ink, self.surface.columns))
        for notice in loaded.notices:
            self.surface.print(self.ink(wrapped(neutralize(notice), self.surface.columns), "yellow"))
        self.ready = True
        self.surface.changed()
        self._begin_side(asyncio.to_thread(self._warm_up))

    def _load_all(self) -> Loaded:
        """In a thread, so that typing stays smooth; the imports are those of `_open`."""
        import repl.banner
        import repl.pictures
        import repl.questions
        import repl.transcript  # noqa: F401

        return self._load()

    def _warm_up(self) -> None:
        self.loaded.warm_up(self.agent)
        self.transcript.painter.warm_up()

    # -- lines ----------------------------------------------------------------------------------

    def submit(self, text: str) -> None:
        """A line was entered: a command that may run at any time runs now, all else in its turn."""
        from repl.commands.table import find_command, parse_command

        found = parse_command(text)
        command = find_command(found[0]) if found else None
        if command is not None and (command.name == "quit" or (self.ready and command.at_once)):
            self._begin_side(self._run_line(text))
            return
        self.live.queued.append(text)
        self._something_queued.set()
        self.surface.changed()

    async def _run_line(self, text: str) -> None:
        from repl.commands.table import parse_command
        from safety.terminal_text import neutralize  # what was pasted came from anywhere

        self.transcript.person_spoke()
        self.surface.echo(
            "\n" + self.ink("❯ ", "bold", "cyan") + self.ink(_indented(neutralize(text)), "bold")
        )
        found = parse_command(text)
        try:
            if found is None:
                await self._run_turn(text)
            else:
                await self._run_command(*found)
        except Exception as error:  # noqa: BLE001 - one failed line must not end the conversation
            self.live.end()
            self.say(self._told(error), "red")

    def _told(self, error: BaseException) -> str:
        """What went wrong, in the error's words, which may quote a key."""
        from safety.known_secrets import person_secrets
        from safety.redact import Redactor

        return Redactor(person_secrets(self._environ)).redact(f"{type(error).__name__}: {error}")[0]

    async def _run_command(self, name: str, arguments: str) -> None:
        from repl.commands.table import find_command, nearest

        command = find_command(name)
        if command is None:
            near = nearest(name)
            hint = f" Did you mean /{near}?" if near else ""
            self.say(
                f"There is no command /{name}.{hint} /help lists them; the Up key brings your line back.",
                "red",
            )
            return
        try:
            await command.run(self, arguments)
        except ValueError as error:
            self.say(str(error), "red")

    async def _run_turn(self, text: str) -> None:
        from repl.pictures import compose

        message = await compose(text, self.pasted, self.agent)
        for told, style in message.told:
            self.say(told, style)
        self.live.begin()
        ticking = asyncio.create_task(self._tick())
        try:
            async for event in self.agent.events(message.content):
                self.transcript.show(event)
                self.surface.changed()
                if message.pictures:
                    self._explain_refused_pictures(event)
        finally:
            ticking.cancel()
            seconds = time.monotonic() - self.live.started if self.live.started is not None else 0.0
            self.live.end()
            if self.loaded.display.bell and seconds > 20:
                self.surface.write_control("\a")

    def _explain_refused_pictures(self, event: Event) -> None:
        """A model that nobody knows to see may have failed because it does not, and would again."""
        from conversation.event import TurnFinished
        from repl.pictures import IF_IT_IS_BLIND, may_be_blindness

        if isinstance(event, TurnFinished) and self.agent.sees_images is None and may_be_blindness(event):
            self.say(IF_IT_IS_BLIND.format(model=self.agent.model_name), "dim")

    async def _tick(self) -> None:
        """Seconds pass on the screen only while something is going on."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.surface.changed()

    def say(self, text: str, *styles: str) -> None:
        """A text of the program's own, made safe and indented, into the scrollback."""
        from safety.terminal_text import neutralize

        self.surface.print(self.ink("\n".join("  " + line for line in neutralize(text).split("\n")), *styles))

    def send_first(self, text: str) -> None:
        """Put a message before all that is queued."""
        self.live.queued.insert(0, text)
        self._something_queued.set()

    # -- keys -----------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Ctrl-C: ends what runs, or clears the line; twice in a row it leaves."""
        now = time.monotonic()
        twice = now - self._last_interrupt < LEAVE_WITHIN
        self._last_interrupt = now
        asked = self._cancel_question()
        if self._current is not None and not twice:
            self.agent.interrupt()
            if self.live.started is None:
                self._current.cancel()
        elif self._current is None and self.surface.draft:
            self.surface.clear_draft()
            self._last_interrupt = float("-inf")
        elif twice:
            self.leave()
        elif asked:
            return
        else:
            self.hint("press Ctrl-C again to leave")

    def _cancel_question(self) -> bool:
        return self.questions is not None and self.questions.cancel()

    def hint(self, text: str) -> None:
        """A line that is shown for as long as a second Ctrl-C leaves."""
        self.live.hint = text
        self.surface.hint(text)
        self.surface.changed()
        asyncio.get_running_loop().call_later(LEAVE_WITHIN, self._end_hint)

    def _end_hint(self) -> None:
        self.live.hint = ""
        self.surface.changed()

    def paste_picture(self) -> None:
        if self.ready:
            self._begin_side(self._paste_picture())

    async def _paste_picture(self) -> None:
        from repl.clipboard import take_picture

        try:
            data = await take_picture()
            if data:
                self.surface.insert(self.pasted.keep(data))
            else:
                self.hint("there is no picture in the clipboard")
        except (LookupError, ValueError) as error:
            self.hint(str(error))

    def toggle_thoughts(self) -> None:
        if self.ready:
            self.transcript.toggle_thoughts()

    def status_line(self, columns: int) -> Fragments:
        return status.status_line(self.agent if self.ready else None, self.live, "starting", columns)

    def _arguments_of(self, command: str) -> Iterable[str]:
        from repl.commands.table import find_command

        found = find_command(command)
        return found.complete(self) if found is not None and found.complete and self.ready else ()

    def _begin_side(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._side.add(task)
        task.add_done_callback(self._side.discard)


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")
