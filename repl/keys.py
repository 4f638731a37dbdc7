"""What each key does, besides the usual editing keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_toolkit.application import get_app
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent

if TYPE_CHECKING:
    from repl.screen import Screen


def key_bindings(screen: Screen) -> KeyBindings:
    keys = KeyBindings()
    typing = has_focus(screen.buffer)
    one_key = Condition(lambda: screen.question is not None and bool(screen.question.keys))
    hidden = Condition(lambda: screen.hidden)
    empty = Condition(lambda: not screen.buffer.text)

    @keys.add("escape", filter=one_key)
    def _no(event: KeyPressEvent) -> None:
        screen.answer_by_key("n")

    @keys.add("enter", filter=typing)
    def _enter(event: KeyPressEvent) -> None:
        before = screen.buffer.document.text_before_cursor
        if before.endswith("\\") and not screen.hidden:
            screen.buffer.delete_before_cursor()
            screen.buffer.insert_text("\n")
        else:
            screen.accept()

    @keys.add("escape", "enter", filter=typing & ~one_key & ~hidden)
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c", eager=True)
    @keys.add("<sigint>", eager=True)
    def _interrupt(event: KeyPressEvent) -> None:
        if not event.app.layout.has_focus(screen.buffer):
            event.app.layout.focus(screen.buffer)
        screen.listener.interrupt()

    @keys.add("c-d", filter=typing & empty & ~one_key)
    def _end(event: KeyPressEvent) -> None:
        screen.listener.leave()

    @keys.add("c-z", eager=True)
    def _suspend(event: KeyPressEvent) -> None:
        event.app.suspend_to_background()

    @keys.add("c-t", filter=typing)
    def _thoughts(event: KeyPressEvent) -> None:
        screen.listener.toggle_thoughts()

    @keys.add("c-v", filter=typing & ~one_key & ~hidden)
    def _picture(event: KeyPressEvent) -> None:
        screen.listener.paste_picture()

    @keys.add("<bracketed-paste>", filter=typing)
    def _paste(event: KeyPressEvent) -> None:
        text = event.data.replace("\r\n", "\n").replace("\r", "\n")
        event.current_buffer.insert_text(text)
        if not text and not (one_key() or hidden()):  # some terminals say so little of a picture
            screen.listener.paste_picture()

    @keys.add("c-x", "c-e", filter=typing & ~one_key & ~hidden)
    def _editor(event: KeyPressEvent) -> None:
        get_app().create_background_task(screen.edit())

    return keys
