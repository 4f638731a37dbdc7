"""What stands between a command and the person's machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

ConfinementKind: TypeAlias = Literal[
    "none", "bubblewrap", "landlock", "docker", "podman", "apptainer", "ssh", "modal", "nomad"
]


@dataclass(frozen=True, slots=True)
class Confinement:
    """What the kernel, a container or another machine lets commands do, whatever they are.

    Args:
        kind: who enforces it; `none` for commands that run as the person does. On `ssh` they run as that
            login does: nothing confines them there.
        network: whether commands reach a network.
        writable: folders of the person's machine that commands can change; `("/",)` means all that the
            account can.
        keys: whether commands can read the agent's own settings, keys and sessions.
    """

    kind: ConfinementKind = "none"
    network: bool = True
    writable: tuple[str, ...] = ("/",)
    keys: bool = True

    @property
    def holds(self) -> bool:
        """True if a command can change nothing of the machine it runs on but what `writable` names."""
        return self.kind not in ("none", "ssh") and "/" not in self.writable

    @property
    def here(self) -> bool:
        """True if commands see the files of this machine, each at its own path."""
        return self.kind in ("none", "bubblewrap", "landlock")


UNCONFINED = Confinement()
