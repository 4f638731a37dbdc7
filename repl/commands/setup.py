"""Commands about the model, how it speaks, what tools it has, and the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from repl.live import fit, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from repl.repl import Repl


class Group(NamedTuple):
    """A toolset as it is shown; `tools` are names."""

    told: str
    tools: frozenset[str]


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


def _toolsets() -> dict[str, Group]:
    """Every toolset of this folder; the built-in ones alone while settings are wrong."""
    from configuration.home import SettingsError
    from model_tools import added_toolsets
    from tools.surroundings import surroundings_here
    from toolsets import TOOLSETS, ToolsetError, known_toolsets, resolve_toolset

    try:
        own = added_toolsets(surroundings_here())
        known = known_toolsets(own)
    except (SettingsError, ToolsetError):
        own, known = {}, TOOLSETS
    groups = {}
    for name, each in known.items():
        try:
            groups[name] = Group(each.description, frozenset(resolve_toolset(name, own)))
        except ToolsetError as error:
            groups[name] = Group(f"broken: {error}", frozenset())
    return groups


async def toolsets(repl: Repl, arguments: str) -> None:
    if arguments:
        repl.agent.set_toolsets(arguments.replace(",", " ").split())
        tools = ", ".join(tool.name for tool in repl.agent.tools)
        repl.say(f"On now: {', '.join(repl.agent.toolsets)} ({tools or 'no tools'})", "green")
        return
    known = _toolsets()
    names = [*known, *(each for each in repl.agent.toolsets if each not in known)]
    lines = [_toolset_line(repl, name, known) for name in names]
    repl.say("\n".join([*lines, "● on  ◐ partly  ○ off. /toolsets NAME… turns on these alone."]))


def _toolset_line(repl: Repl, name: str, known: Mapping[str, Group]) -> str:
    """On is what the model can call: by the toolset's own name, or by another that holds its tools."""
    group, named = known.get(name, Group("your own", frozenset())), repl.agent.toolsets
    up = group.tools.intersection(tool.name for tool in repl.agent.tools)
    mark = "○" if not up else "●" if up == group.tools else "◐"
    holding = next((each for each in named if each in known and group.tools <= known[each].tools), "")
    told = group.told
    if up and name not in named and holding:
        told = f"through {holding}. {told}"
    elif name in named and group.tools and not up:
        told = f"none of its tools can be used (/tools). {told}"
    return fit(f"{mark} {name:<16} {one_line(told)}", repl.surface.columns - 3)


async def config(repl: Repl, arguments: str) -> None:
    key, _, value = arguments.partition(" ")
    if value.strip():
        repl.say(repl.loaded.config.set(key, value.strip()), "green")
    elif key:
        repl.say(repl.loaded.config.explain(key))
    else:
        repl.say(repl.loaded.config.show())
