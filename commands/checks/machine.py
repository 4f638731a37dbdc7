"""hermes itself, the machine, the programs beside it, and the terminal."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from commands.checks.finding import Finding, Scene, off, ok, problem, warning

NEEDED = {
    "click": "click", "json_repair": "json-repair", "msgspec": "msgspec", "openai": "openai",
    "prompt_toolkit": "prompt_toolkit", "psutil": "psutil", "yaml": "pyyaml", "rich": "rich",
}  # fmt: skip
"""Modules of the packages that hermes cannot do without."""
PROGRAMS = {
    "git": "the commit of the working folder is put on record, and the agent can work with repositories",
    "rg": "the agent searches large folders faster in commands",
    "tmux": "the agent can drive programs that want a screen",
}
NARROW = 60


def check_hermes(scene: Scene) -> Iterator[Finding]:
    from configuration.version import VERSION

    yield ok("version", f"hermes {VERSION}, {Path(__file__).parents[2]}")
    yield ok("python", f"{platform.python_version()}, {sys.executable}")
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    if sys.platform.startswith(("linux", "darwin")):
        yield ok("system", system)
    else:
        yield problem("system", f"{system} is not supported", "use Linux, macOS or WSL")
    missing = [package for module, package in NEEDED.items() if find_spec(module) is None]
    if missing:
        yield problem("packages", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")


def check_programs(scene: Scene) -> Iterator[Finding]:
    shell = scene.settings.terminal.shell
    found = shutil.which(shell, path=scene.environ.get("PATH"))
    if found:
        yield ok("bash", found)
    else:
        yield problem(
            "bash", f"{shell} is not there; commands need it", "install bash, or set terminal.shell"
        )
    for name, use in PROGRAMS.items():
        place = shutil.which(name, path=scene.environ.get("PATH"))
        yield ok(name, place) if place else off(name, f"not installed; with it {use}")


def check_screen(scene: Scene) -> Iterator[Finding]:
    term = scene.environ.get("TERM", "")
    if not sys.stdout.isatty():
        yield ok("terminal", "the output goes to a file or a program now, not to a terminal")
    elif term in ("", "dumb"):
        fix = "run it in a terminal, or set TERM, e.g. TERM=xterm-256color"
        yield warning("terminal", f"TERM is {term or 'not set'}: hermes talks in plain lines", fix)
    else:
        size = os.get_terminal_size(sys.stdout.fileno())
        told = f"TERM={term}, {size.columns} by {size.lines}"
        if size.columns < NARROW:
            yield warning("terminal", f"{told}: tables do not fit", f"make it {NARROW} columns wide or more")
        else:
            yield ok("terminal", told)
        yield _colours(scene, term)
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    if encoding == "utf8":
        yield ok("locale", "UTF-8")
    else:
        fix = "set LANG to a UTF-8 locale, e.g. LANG=C.UTF-8"
        yield warning("locale", f"the locale is {sys.stdout.encoding}: faces and umlauts are garbled", fix)


def _colours(scene: Scene, term: str) -> Finding:
    if scene.environ.get("NO_COLOR") or not scene.settings.display.color:
        return off("colours", "off (NO_COLOR or display.color)")
    many = "256" in term or scene.environ.get("COLORTERM", "") in ("truecolor", "24bit")
    return ok("colours", "256 or more" if many else "16")
