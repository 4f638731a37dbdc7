"""Which confinement works here for commands on this machine: bubblewrap, else Landlock."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from sandboxes.host import Host
from sandboxes.sandbox import SandboxError
from settings import TerminalSettings


def confinement_problem() -> str:
    """Why commands cannot be confined on this machine, and the fix; "" if they can."""
    if not sys.platform.startswith("linux"):
        return "commands can be confined on Linux alone; set terminal.backend: docker"
    from sandboxes.confinement.bubblewrap_host import bubblewrap_problem
    from sandboxes.confinement.landlock_host import landlock_problem

    if (problem := bubblewrap_problem()) and (other := landlock_problem()):
        return f"{problem}. {other}"
    return ""


def make_confined_host(
    terminal: TerminalSettings, cwd: str, environ: Mapping[str, str], hidden: Sequence[str]
) -> Host:
    """A host that is not up yet.

    Args:
        hidden: places of the agent's own, which commands must not see.

    Raises SandboxError where `confinement_problem` has something to say, or the settings cannot be kept.
    """
    if problem := confinement_problem():
        raise SandboxError(f"local: {problem}")
    from sandboxes.confinement.bubblewrap_host import BubblewrapHost, bubblewrap_problem
    from sandboxes.confinement.confined_view import make_view
    from sandboxes.confinement.landlock_host import LandlockHost

    kind = LandlockHost if bubblewrap_problem() else BubblewrapHost
    return kind(lambda: make_view(terminal, cwd, environ, hidden))
