"""Every slash command in one table: its names, its arguments, one line of help, its handler."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repl.commands import conversation, look, setup

if TYPE_CHECKING:
    from repl.repl import Repl


@dataclass(frozen=True, slots=True)
class Command:
    """`at_once`: it may run while the agent works; all others wait for their turn."""

    name: str
    arguments: str
    help: str
    run: Callable[[Repl, str], Awaitable[None]]
    aliases: tuple[str, ...] = ()
    at_once: bool = False
    complete: Callable[[Repl], Iterable[str]] | None = None


async def _help(repl: Repl, arguments: str) -> None:
    lines = []
    for command in COMMANDS:
        if arguments and arguments.lstrip("/") not in (command.name, *command.aliases):
            continue
        names = ", ".join(f"/{name}" for name in (command.name, *command.aliases))
        lines.append(f"{(names + ' ' + command.arguments).ljust(32)}{command.help}")
    if not arguments:
        lines += [
            "",
            "Alt-Enter or \\ at the end: new line · Ctrl-R: search what was typed · Ctrl-X Ctrl-E: editor",
            "@name: complete a file, show a picture · Ctrl-V: paste a picture",
            "Ctrl-C: interrupt, twice: leave · Ctrl-T: show or fold thoughts",
            "What you type while the agent works is sent when it is done.",
        ]
    repl.say("\n".join(lines) or f"There is no command {arguments}.")


COMMANDS: tuple[Command, ...] = (
    Command("help", "[command]", "this list", _help, ("?",), at_once=True),
    Command("tools", "", "the tools that are on, and what is missing and why", look.tools, at_once=True),
    Command("toolsets", "[name…]", "the toolsets there are; with names: turn on these alone",
            setup.toolsets, complete=setup.toolset_names),
    Command("model", "[name]", "the model that answers; with a name: talk to that one", setup.model),
    Command("personality", "[name]", "how the agent speaks; none takes it away", setup.personality,
            complete=setup.personality_names),
    Command("prompt", "[text|clear]", "your own words in the system prompt", setup.prompt),
    Command("new", "", "begin a new session", conversation.new, ("reset",)),
    Command("clear", "", "begin a new session on an empty screen", conversation.clear),
    Command("history", "", "the conversation so far", look.history, at_once=True),
    Command("retry", "", "send your last message again", conversation.retry),
    Command("undo", "", "take your last message and all that followed back", conversation.undo),
    Command("compact", "", "summarise the middle of the conversation", conversation.compact, ("compress",)),
    Command("usage", "", "tokens, requests and cost so far", look.usage, at_once=True),
    Command("save", "[file]", "write the conversation to a file", conversation.save),
    Command("resume", "[id]", "go on with a saved session; its first characters do", conversation.resume),
    Command("sessions", "", "the saved sessions", look.sessions, at_once=True),
    Command("config", "[key [value]]", "the settings; explain one, or set it for good", setup.config),
    Command("verbose", "", "whole arguments, results and thoughts; or not", look.verbose, at_once=True),
    Command("copy", "", "copy the last answer to the clipboard", look.copy, at_once=True),
    Command("quit", "", "leave", conversation.quit_, ("exit", "q"), at_once=True),
)  # fmt: skip

_COMMAND = re.compile(r"/([A-Za-z?][\w-]*)(?:\s+(.*))?\Z", re.DOTALL)


def parse_command(text: str) -> tuple[str, str] | None:
    """(name, arguments) of a slash command; None for a message, such as one that begins with a path."""
    match = _COMMAND.match(text.strip())
    return (match[1].lower(), (match[2] or "").strip()) if match else None


def find_command(name: str) -> Command | None:
    return next((c for c in COMMANDS if name == c.name or name in c.aliases), None)


def nearest(name: str) -> str:
    """The command that is spelt most like `name`, "" if none is near."""
    import difflib

    names = [each for command in COMMANDS for each in (command.name, *command.aliases)]
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return found[0] if found else ""
