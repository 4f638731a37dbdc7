"""The settings: which layers there are, everything that is wrong in them, and the person's hooks."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from commands.checks.finding import Finding, Scene, by_settings, off, ok, problem, warning
from configuration.tool_settings import HookSettings
from safety.paths import canonical, is_within
from settings import project_file

_EDIT = "hermes config edit"
_WORDS_OF_THE_SHELL = (
    "!", ".", "[", "case", "cd", "command", "echo", "eval", "exec", "exit", "export", "false", "for", "if",
    "printf", "read", "set", "source", "test", "trap", "true", "ulimit", "umask", "unset", "until", "while",
)  # fmt: skip


def check_settings(scene: Scene) -> Iterator[Finding]:
    for each in scene.settings_problems:
        yield problem("settings", each, _EDIT)
    if scene.loaded is not None:
        files = [str(path) for path in scene.loaded.files]
        names = [name for layer in scene.loaded.layers for name in layer.variables.values()]
        layers = [*files, *([f"the environment ({', '.join(sorted(set(names)))})"] if names else [])]
        yield ok("settings", f"from {' and '.join(layers)}" if layers else "the built-in ones")
    elif not scene.settings_problems:
        yield problem("settings", "they cannot be read", _EDIT)
    project = project_file(scene.cwd)
    if project.exists() and not scene.trusted:
        text = f"{project} is not used: you have not said that you trust this folder"
        yield warning("folder's own", text, "read it, then: hermes config trust")
    if scene.loaded is None:
        return
    yield from _choices(scene)
    mode = scene.settings.gate.mode
    yield ok("gate", f"policy {mode}" if mode else "asks at a prompt; denies where nobody can answer")


def _choices(scene: Scene) -> Iterator[Finding]:
    """Names in the settings that must be names of something."""
    from agent.assembly import UnknownPersonalityError, personality_text
    from batches.distributions import DistributionError, find_distribution
    from toolsets import ToolsetError

    settings = scene.settings
    try:
        personality_text(settings, settings.agent.personality)
    except UnknownPersonalityError as error:
        yield problem("personality", f"{_at(scene, 'agent.personality')}: {error}", _EDIT)
    for name in settings.distributions:
        try:
            find_distribution(name, settings.distributions, settings.tools.custom)
        except (DistributionError, ToolsetError) as error:
            yield problem("distributions", f"{_at(scene, f'distributions.{name}')}: {error}", _EDIT)

    yield from _skill_folders(scene)


def _skill_folders(scene: Scene) -> Iterator[Finding]:
    """Relative ones count in a trusted folder alone."""
    for folder in scene.settings.skills.folders:
        path = Path(folder).expanduser()
        if folder and (path.is_absolute() or scene.trusted) and not Path(scene.cwd, path).is_dir():
            text = f"{_at(scene, 'skills.folders')}: there is no folder {folder}"
            yield problem("skills", text, "make it, or take it out of skills.folders")


def _at(scene: Scene, key: str) -> str:
    return scene.loaded.origin(key) if scene.loaded is not None else key


@by_settings("hooks")
def check_hooks(scene: Scene) -> Iterator[Finding]:
    hooks = scene.settings.hooks
    if not hooks:
        yield off("hooks", "none are set")
    for number, hook in enumerate(hooks):
        yield _hook(scene, hook, f"{hook.event}" if len(hooks) == 1 else f"{number + 1} {hook.event}")


def _hook(scene: Scene, hook: HookSettings, name: str) -> Finding:
    told = " ".join(hook.command.split())
    told = told if len(told) <= 60 else told[:59] + "…"
    program = _program(hook.command)
    if program:
        place = shutil.which(os.path.expanduser(program), path=scene.environ.get("PATH"))
        if place is None:
            there = Path(scene.cwd, os.path.expanduser(program)).is_file()
            what = f"{program} is not executable" if there else f"there is no program {program}"
            fix = f"chmod +x {program}" if there else "install it, or mend `command` in hooks"
            effect = ", and so every call it is asked about is denied" if _closes(hook) else ""
            return problem(name, f"`{told}`: {what}{effect}", fix)
        if _in_reach(scene, place):
            fix = "keep it in ~/.hermes/hooks or .hermes/hooks, where a change is asked about"
            return warning(name, f"`{told}` lies in the working folder, where the agent may change it", fix)
    if hook.tools and hook.event.startswith("session_"):
        return warning(name, f"`{told}`: `tools` means nothing for {hook.event}", "take `tools` out")
    unknown = [each for each in hook.tools if not _matches_any(each)]
    if unknown:
        fix = "`hermes tools` lists the names; * stands for anything"
        return warning(name, f"`{told}`: no tool is called {', '.join(unknown)}", fix)
    return ok(name, f"`{told}`{', required' if hook.required else ''}")


def _closes(hook: HookSettings) -> bool:
    return hook.required and hook.event == "before_tool"


def _program(command: str) -> str:
    """The first word, if it names a program; "" where the shell alone knows."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    word = next((each for each in words if "=" not in each.partition("/")[0]), "")
    plain = word and not set(word) & set("$`;&|<>(){}*?") and word not in _WORDS_OF_THE_SHELL
    return word if plain else ""


def _in_reach(scene: Scene, place: str) -> bool:
    """Whether the agent may write there as it may write anywhere in the working folder."""
    path, folder = canonical(place), canonical(str(scene.cwd))
    return (
        is_within(path, folder)
        and "/.hermes/" not in path
        and not is_within(path, canonical(str(scene.home)))
    )


def _matches_any(pattern: str) -> bool:
    from tools.catalog import TOOL_MODULES, third_party_tools

    names = [*TOOL_MODULES, *(name for name, _ in third_party_tools())]
    return pattern.startswith("mcp_") or any(fnmatchcase(name, pattern) for name in names)
