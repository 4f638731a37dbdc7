"""The live screen: input line, status line and a few live lines; all else is printed above, once."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.clipboard import InMemoryClipboard
from prompt_toolkit.completion import Completer
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout import AnyContainer, ConditionalContainer, HSplit, Layout, VerticalAlign, Window
from prompt_toolkit.layout.controls import BufferControl, FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.menus import CompletionsMenu
from prompt_toolkit.layout.processors import (
    ConditionalProcessor,
    PasswordProcessor,
    Processor,
    Transformation,
    TransformationInput,
)
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import DynamicStyle, Style
from prompt_toolkit.widgets import SearchToolbar

from repl.ink import Ink
from repl.input_history import InputHistory
from repl.keys import key_bindings
from repl.live import no_answer
from safety.terminal_text import stand_in

if TYPE_CHECKING:
    from repl.surface import Fragments, Listener, Question

LIVE_LINES = 4
FRAME_SECONDS = 0.1
CALM_SECONDS = 1.5
"""After a resize the live lines stay folded for so long."""
KEY_SETTLES = 0.35
TYPING_PAUSE = 0.7
"""A question takes the keyboard only when nobody typed for so long: a `y` meant for a sentence is no yes."""

COLORED = Style.from_dict(
    {
        "prompt": "bold ansicyan", "dim": "dim", "good": "ansigreen", "bad": "ansired",
        "warn": "ansiyellow", "accent": "ansicyan", "ask": "bold ansiyellow",
        "completion-menu": "bg:default fg:default", "completion-menu.completion": "bg:default fg:default",
        "completion-menu.completion.current": "bg:default ansicyan bold noreverse",
        "completion-menu.meta.completion": "bg:default dim",
        "completion-menu.meta.completion.current": "bg:default ansicyan",
        "scrollbar.background": "bg:default", "scrollbar.button": "bg:default",
    }
)  # fmt: skip
PLAIN = Style.from_dict(
    {
        "completion-menu": "bg:default fg:default", "completion-menu.completion": "bg:default fg:default",
        "completion-menu.completion.current": "bg:default fg:default noreverse underline",
        "completion-menu.meta.completion": "bg:default fg:default",
        "completion-menu.meta.completion.current": "bg:default fg:default",
    }
)  # fmt: skip


class FrameOutput(Vt100_Output):
    """Writes a frame at once, and survives the terminal going away."""

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]
        # A cursor position report would be typed into the next program if we are gone before it comes.
        self.enable_cpr = False
        self._frames = 0

    @contextmanager
    def one_frame(self) -> Iterator[None]:
        self._frames += 1
        try:
            yield
        finally:
            self._frames -= 1
            self.flush()

    def erase_down(self) -> None:
        """Erase from the second cell on: tmux keeps a screen erased from its first cell in the history."""
        self.erase_end_of_line()
        self.cursor_forward(1)
        super().erase_down()
        self.cursor_backward(1)

    def flush(self) -> None:
        if self._frames:
            return
        try:
            super().flush()
        except OSError:
            _point_at_nothing(self.fileno())


def _point_at_nothing(descriptor: int) -> None:
    """The terminal is gone: let later writes (also the interpreter's last flush) go nowhere."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)


class _Application(Application[None]):
    """Redraws after a resize without leaving remains of the live lines in the scrollback."""

    resized: Callable[[], None]

    def _on_resize(self) -> None:
        self.resized()
        super()._on_resize()


class _StandIns(Processor):
    """What was pasted may hold characters that reorder the line: each is shown as a mark."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        fragments = transformation_input.fragments
        return Transformation([(style, stand_in(text)) for style, text, *_ in fragments])


class Screen:
    """The `Surface` of a capable terminal."""

    def __init__(self, listener: Listener, completer: Completer, history_file: str, color: bool) -> None:
        self.listener = listener
        self.color = color
        self.history = InputHistory(history_file)
        self.buffer = Buffer(
            multiline=True, history=self.history, completer=completer,
            complete_while_typing=Condition(lambda: not self.hidden),
            tempfile_suffix=".md", on_text_insert=self._typed,
        )  # fmt: skip
        self.question: Question | None = None
        self._answer: asyncio.Future[str] | None = None
        self._last_key = 0.0
        self._calm_until = 0.0
        self._frame: asyncio.TimerHandle | None = None
        self._held: list[str] | None = None
        output = FrameOutput.from_pty(sys.stdout, term=os.environ.get("TERM"))
        self.output = cast(FrameOutput, output)
        self.app = self._application()

    def _application(self) -> _Application:
        search = SearchToolbar()
        unseen = ConditionalProcessor(PasswordProcessor(), Condition(lambda: self.hidden))
        control = BufferControl(
            self.buffer, search_buffer_control=search.control, preview_search=True,
            input_processors=[unseen, _StandIns()],
        )  # fmt: skip
        live = FormattedTextControl(self._live_text)
        rows: list[AnyContainer] = [
            ConditionalContainer(
                Window(live, dont_extend_height=True), Condition(lambda: bool(self._live_lines()))
            ),
            Window(
                control, wrap_lines=True, get_line_prefix=self._prefix, dont_extend_height=True,
                height=lambda: Dimension(min=1, max=max(1, self._rows() // 2)),
            ),
            search,
            CompletionsMenu(max_height=6, scroll_offset=1),
            Window(FormattedTextControl(self._status_text), height=1, dont_extend_height=True),
        ]  # fmt: skip
        app = _Application(
            Layout(HSplit(rows, align=VerticalAlign.TOP), focused_element=control),
            key_bindings=key_bindings(self),
            style=DynamicStyle(lambda: COLORED if self.color else PLAIN),
            color_depth=lambda: None if self.color else ColorDepth.DEPTH_1_BIT,
            include_default_pygments_style=False,
            erase_when_done=True,
            terminal_size_polling_interval=None,
            output=self.output,
        )
        app.resized = self._resized
        app.ttimeoutlen = 0.1
        return app

    # What is drawn

    def _rows(self) -> int:
        return self.output.get_size().rows

    @property
    def columns(self) -> int:
        return self.output.get_size().columns

    def _live_lines(self) -> list[Fragments]:
        calm = time.monotonic() < self._calm_until and self.question is None
        most = 1 if calm else max(1, min(LIVE_LINES, self._rows() - 3))
        return self.listener.live_lines(20 if calm else self.columns - 1, most)

    def _live_text(self) -> StyleAndTextTuples:
        text: StyleAndTextTuples = []
        for line in self._live_lines():
            text += [*line, ("", "\n")]
        return text[:-1]

    def _status_text(self) -> StyleAndTextTuples:
        return [*self.listener.status_line(self.columns - 1)]

    def _prefix(self, line: int, wrapped: int) -> StyleAndTextTuples:
        if line == 0 and wrapped == 0:
            return [("class:ask" if self.question else "class:prompt", "❯ ")]
        return [("", "  ")]

    def print(self, text: str) -> None:
        if self._held is not None:
            self._held.append(text)
            return
        data = text.replace("\n", "\r\n") + "\r\n"
        with self.output.one_frame():
            if self.app.is_running:
                self.app.renderer.erase(leave_alternate_screen=False)
            self.output.write_raw(data)
            self.app._redraw()

    def echo(self, text: str) -> None:
        self.print(text)

    def idle(self) -> None:
        """The input line is always there."""

    def hint(self, text: str) -> None:
        """It stands in the live lines."""

    def write_control(self, sequence: str) -> None:
        self.output.write_raw(sequence)
        self.output.flush()

    def clear(self) -> None:
        with self.output.one_frame():
            self.app.renderer.erase(leave_alternate_screen=False)
            self.output.write_raw("\x1b[2J\x1b[H")
            self.app._redraw()

    def changed(self) -> None:
        if self._frame is None and self.app.is_running:
            self._frame = asyncio.get_running_loop().call_later(FRAME_SECONDS, self._draw_frame)

    def _draw_frame(self) -> None:
        self._frame = None
        self.app.invalidate()

    def _resized(self) -> None:
        """Fold the live lines for a while, and reach past those the terminal has wrapped anew."""
        last = self.app.renderer.last_rendered_screen
        if last is not None and _rewraps(os.environ):
            cursor = last.get_cursor_position(self.app.layout.current_window)
            self.output.cursor_up(_extra_rows(last.data_buffer, cursor.x, cursor.y, self.columns))
        self._calm_until = time.monotonic() + CALM_SECONDS
        asyncio.get_running_loop().call_later(CALM_SECONDS, self.app.invalidate)

    # What is read

    @property
    def draft(self) -> str:
        return "" if self.question else self.buffer.text

    @property
    def hidden(self) -> bool:
        """What is typed now is not to be seen."""
        return self.question is not None and self.question.hidden

    def clear_draft(self) -> None:
        self.history.append_string(self.buffer.text)
        self.buffer.reset()

    def insert(self, text: str) -> None:
        if self.question is None:
            self.buffer.insert_text(text)

    def _typed(self, _: Buffer) -> None:
        self._last_key = time.monotonic()
        if self.question is not None and self.buffer.text.lower() in self.question.keys:
            asyncio.get_running_loop().call_later(KEY_SETTLES, self._settle, self.question, self.buffer.text)

    def _settle(self, question: Question, key: str) -> None:
        """A key that nothing followed is an answer; the first letter of a sentence is none."""
        if self.question is question and self.buffer.text == key:
            self.answer_by_key(key)

    def answer_by_key(self, text: str) -> bool:
        """True if `text` (a key, or yes and no) answers the open question."""
        key = {"yes": "y", "no": "n"}.get(text.strip().lower(), text.strip().lower())
        if self.question is None or key not in self.question.keys:
            return False
        self.answer(self.question.keys[key])
        return True

    def accept(self) -> None:
        """Enter was pressed."""
        text = self.buffer.text
        if self.question is not None and not self.question.keys:
            if text.strip() or self.question.hidden:
                self.answer(text)
            return
        from repl.commands.table import parse_command

        if self.answer_by_key(text):
            return
        self.buffer.reset(append_to_history=bool(text.strip()))
        if not text.strip():
            return
        if self.question is None or parse_command(text):
            self.listener.submit(text)
        else:
            self.print(Ink(self.color)(no_answer(text, self.columns), "yellow"))

    def answer(self, text: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(text)

    async def ask(self, question: Question, opened: Callable[[], None]) -> str:
        while (pause := self._last_key + TYPING_PAUSE - time.monotonic()) > 0 and self.buffer.text:
            await asyncio.sleep(pause)
        draft = self.buffer.document
        self.buffer.reset(Document())
        self.question = question
        self._answer = asyncio.get_running_loop().create_future()
        opened()
        self.app.invalidate()
        try:
            return await self._answer
        finally:
            if self.hidden:  # what was cut out of it could be pasted elsewhere
                self.app.clipboard = InMemoryClipboard()
            self.question = None
            self.buffer.reset(draft)
            self.app.invalidate()

    async def edit(self) -> None:
        """Open the draft in the person's editor; what is printed meanwhile waits."""
        self._held = []
        try:
            await self.buffer.open_in_editor()
        finally:
            held, self._held = self._held, None
            for text in held or []:
                self.print(text)

    async def run(self, started: Callable[[], None]) -> None:
        try:
            await self.app.run_async(pre_run=started, set_exception_handler=False)
        except EOFError:
            self.listener.leave()

    def close(self) -> None:
        if self.app.is_running and not self.app.is_done:
            self.app.exit()


def _rewraps(environment: os._Environ[str]) -> bool:
    """Does this terminal wrap old lines anew when it is resized? xterm and the console do not."""
    names = ("TMUX", "VTE_VERSION", "KITTY_WINDOW_ID", "WEZTERM_PANE", "KONSOLE_VERSION", "WT_SESSION",
             "ALACRITTY_WINDOW_ID", "GHOSTTY_RESOURCES_DIR")  # fmt: skip
    programs = ("iTerm.app", "Apple_Terminal", "vscode", "WezTerm", "ghostty", "rio")
    return any(environment.get(name) for name in names) or environment.get("TERM_PROGRAM") in programs


def _extra_rows(rows: object, x: int, y: int, columns: int) -> int:
    """Rows that the lines above the cursor take more than before, in a terminal now `columns` wide."""
    extra = x // columns
    for index in range(y):
        cells = rows[index]  # type: ignore[index]
        width = max((at + cell.width for at, cell in cells.items() if cell.char != " "), default=0)
        extra += max(0, -(-width // columns) - 1)
    return extra
