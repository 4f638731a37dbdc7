"""Commands that show something and change nothing of the conversation."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from repl.live import fit, one_line
from repl.status import context_fact, cost_fact

if TYPE_CHECKING:
    from repl.repl import Repl

SESSIONS_SHOWN = 20
PREVIEW = 200


async def tools(repl: Repl, arguments: str) -> None:
    found = repl.agent.tools
    lines = [
        f"{tool.name:<18} {tool.tokens:>4}  {one_line(tool.description).partition('. ')[0]}" for tool in found
    ]
    if lines:
        lines.append(f"{'together':<18} {sum(tool.tokens for tool in found):>4}  tokens in each request")
    width = repl.surface.columns - 3
    lines = [fit(line, width) for line in lines] or ["No tools are on."]
    reasons: dict[str, list[str]] = {}
    for name, reason in repl.agent.unavailable:
        reasons.setdefault(one_line(reason), []).append(name)
    for reason, names in reasons.items():
        lines += textwrap.wrap(
            f"off: {', '.join(names)}: {reason}", max(20, width), subsequent_indent="     "
        )
    repl.say("\n".join(lines))


async def history(repl: Repl, arguments: str) -> None:
    from conversation.message import UserMessage

    lines = []
    for entry in repl.agent.history.entries:
        if isinstance(entry, UserMessage):
            who = "you" if entry.origin == "person" else "notice"
            lines.append(f"{who}: {fit(one_line(entry.shown), PREVIEW)}")
            continue
        if entry.assistant.content.strip():
            lines.append(f"hermes: {fit(one_line(entry.assistant.content), PREVIEW)}")
        for call, result in zip(entry.assistant.tool_calls, entry.results, strict=True):
            lines.append(f"  {call.name} {fit(one_line(call.arguments), PREVIEW // 2)} → {result.status}")
    repl.say("\n".join(lines) or "Nothing has been said yet.")


async def usage(repl: Repl, arguments: str) -> None:
    agent, used = repl.agent, repl.agent.usage
    lines = [
        f"model     {agent.model_name}",
        f"requests  {agent.requests}",
        f"tokens    {used.total_tokens}: {used.prompt_tokens} read ({used.cached_tokens} from cache), "
        f"{used.completion_tokens} written ({used.reasoning_tokens} of them thinking)",
        f"context   {agent.context_tokens} tokens ({context_fact(agent)})",
        f"cost      {cost_fact(agent).removeprefix('cost ')}",
    ]
    repl.say("\n".join(lines))


async def sessions(repl: Repl, arguments: str) -> None:
    import asyncio

    found = await asyncio.to_thread(repl.loaded.list_sessions)
    lines = [f"{each.id}  {each.started}  {each.title}" for each in found[:SESSIONS_SHOWN]]
    if len(found) > SESSIONS_SHOWN:
        lines.append(f"and {len(found) - SESSIONS_SHOWN} more: hermes sessions list")
    wide = repl.surface.columns - 3
    repl.say("\n".join(fit(one_line(line), wide) for line in lines) or "No session has been saved yet.")


async def verbose(repl: Repl, arguments: str) -> None:
    repl.transcript.verbose = not repl.transcript.verbose
    if repl.transcript.verbose:
        repl.say("Verbose is on: whole arguments, results and thoughts are shown.", "dim")
    else:
        repl.say("Verbose is off.", "dim")


async def copy(repl: Repl, arguments: str) -> None:
    from repl.clipboard import copy_text, copy_through_terminal

    text = repl.transcript.last_answer
    if not text:
        repl.say("There is no answer to copy yet.", "yellow")
        return
    program = await copy_text(text)
    sequence = copy_through_terminal(text)
    if sequence:
        repl.surface.write_control(sequence)
    if not program and not sequence:
        repl.say("The answer is too long for the terminal's clipboard, and no other is here.", "red")
        return
    ways = " and ".join(way for way in (program, "the terminal" if sequence else "") if way)
    repl.say(f"Copied {len(text)} characters (through {ways}).", "dim")
