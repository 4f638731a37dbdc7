"""The smallest host there is: this machine, without any confinement. What it lacks, hosted.py lacks."""

from __future__ import annotations

import os
from collections.abc import Sequence

from safety.confinement import UNCONFINED
from sandboxes.child_environment import child_environment
from sandboxes.host import CommandLineHost


class PlainHost(CommandLineHost):
    name = "plain"
    confinement = UNCONFINED
    lasting = True
    on_death: Sequence[str] = ()

    def __init__(self, cwd: str) -> None:
        self.cwd = cwd
        self.environment = child_environment(os.environ)

    async def start(self, identity: str) -> None:
        """It is there."""

    def command_line(self, argv: Sequence[str]) -> list[str]:
        return list(argv)

    async def is_up(self) -> bool:
        return True

    def why_gone(self) -> str:
        return ""

    async def stop(self) -> None:
        """It stays."""
