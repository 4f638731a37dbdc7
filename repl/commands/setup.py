"""Commands about the model, how it speaks, what tools it has, and the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repl.live import fit, one_line

if TYPE_CHECKING:
    from repl.repl import Repl


async def model(repl: Repl, arguments: str) -> None:
    if arguments:
        repl.say(await repl.agent.switch_model(arguments), "green")
        return
    agent = repl.agent
    provider = f" from {agent.provider}" if agent.provider else ""
    window = f", reads {agent.context_window} tokens" if agent.context_window else ""
    repl.say(f"{agent.model_name}{provider}{window}. /model NAME changes it for this session.")


def personality_names(repl: Repl) -> list[str]:
    return ["none", *repl.agent.personalities()]


async def personality(repl: Repl, arguments: str) -> None:
    known = repl.agent.personalities()
    if not arguments:
        wide = repl.surface.columns - 3
        lines = [fit(f"{name:<12} {one_line(text)}", wide) for name, text in known.items()]
        repl.say("\n".join([*lines, "/personality NAME chooses one, /personality none takes it away."]))
        return
    name = "" if arguments == "none" else arguments
    repl.agent.set_personality(name)
    if not name:
        repl.say("No personality: the agent speaks plainly.", "green")
        return
    repl.say(
        f"The agent speaks as {name} for this session.\n"
        f"To keep it: hermes config set agent.personality {name}",
        "green",
    )


async def prompt(repl: Repl, arguments: str) -> None:
    if not arguments:
        repl.say(repl.agent.history.system or "The system prompt is empty.")
        return
    cleared = arguments == "clear"
    repl.agent.set_system_prompt("" if cleared else arguments)
    repl.say(
        "Your words are taken out." if cleared else "Your words stand in the system prompt now.", "green"
    )


def toolset_names(repl: Repl) -> list[str]:
    return list(_toolsets())


def _toolsets() -> dict[str, str]:
    """Every toolset of this folder with its description; the built-in ones alone while settings are wrong."""
    from configuration.home import SettingsError
    from model_tools import added_toolsets
    from tools.surroundings import surroundings_here
    from toolsets import TOOLSETS, ToolsetError, known_toolsets

    try:
        known = known_toolsets(added_toolsets(surroundings_here()))
    except (SettingsError, ToolsetError):
        known = TOOLSETS
    return {name: each.description for name, each in known.items()}


async def toolsets(repl: Repl, arguments: str) -> None:
    if arguments:
        repl.agent.set_toolsets(arguments.replace(",", " ").split())
        tools = ", ".join(tool.name for tool in repl.agent.tools)
        repl.say(f"On now: {', '.join(repl.agent.toolsets)} ({tools or 'no tools'})", "green")
        return
    on = set(repl.agent.toolsets)
    lines = []
    known = _toolsets()
    for name in [*known, *(each for each in repl.agent.toolsets if each not in known)]:
        line = f"{'●' if name in on else '○'} {name:<16} {one_line(known.get(name) or 'your own')}"
        lines.append(fit(line, repl.surface.columns - 3))
    repl.say("\n".join(lines))


async def config(repl: Repl, arguments: str) -> None:
    key, _, value = arguments.partition(" ")
    if value.strip():
        repl.say(repl.loaded.config.set(key, value.strip()), "green")
    elif key:
        repl.say(repl.loaded.config.explain(key))
    else:
        repl.say(repl.loaded.config.show())
