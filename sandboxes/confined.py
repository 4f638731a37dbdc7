"""Which confinement works here for commands on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sandboxes.host import Host
from sandboxes.sandbox import SandboxError
from settings import TerminalSettings


def confinement_problem() -> str:
    """Why commands cannot be confined on this machine, and the fix; "" if they can."""
    return "bubblewrap is not supported yet"


def make_confined_host(
    terminal: TerminalSettings, cwd: str, environ: Mapping[str, str], hidden: Sequence[str]
) -> Host:
    """Raises SandboxError where `confinement_problem` has something to say."""
    raise SandboxError(f"local: {confinement_problem()}")
