"""Containers whose hermes is dead: found by their label, and removed."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import threading
from collections.abc import Mapping, Sequence

from sandboxes.containers.engine_client import EngineClient
from sandboxes.leftovers import owner_is_dead

LABEL = "hermes-agent.owner"
"""Of each container; its value is sandboxes.leftovers.owner_label."""
_SECONDS = 60
_FORMATS = {
    "docker": f'{{{{.ID}}}} {{{{.Label "{LABEL}"}}}}',
    "podman": f'{{{{.ID}}}} {{{{index .Labels "{LABEL}"}}}}',
}


def remove_leftovers(argv: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Remove the containers of this account's dead processes on this machine; their ids.

    Args:
        argv: begins the client's command lines; its last part is a name, docker or podman.

    Raises OSError, subprocess.SubprocessError where the client or the engine fails.
    """

    def call(*arguments: str, check: bool) -> str:
        return subprocess.run(
            [*argv, *arguments], env=environment, cwd="/", stdin=subprocess.DEVNULL, capture_output=True,
            timeout=_SECONDS, check=check, text=True,
        ).stdout  # fmt: skip

    show = ("--no-trunc", "--filter", f"label={LABEL}", "--format", _FORMATS[argv[0]])
    found = [line.split() for line in call("ps", "-a", *show, check=True).splitlines()]
    dead = [each[0] for each in found if len(each) == 2 and owner_is_dead(each[1])]
    if dead:
        call("rm", "-f", "-v", *dead, check=False)  # another hermes may be at it too
    return dead


def remove_leftovers_once(client: EngineClient) -> None:
    """In the background, once for each engine in the life of this process."""
    _begin(tuple(client.argv), tuple(sorted(client.environment.items())))


@functools.cache
def _begin(argv: tuple[str, ...], environment: tuple[tuple[str, str], ...]) -> None:
    def work() -> None:
        # Nobody asked for it and nobody waits for it: the next hermes tries again.
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            remove_leftovers(argv, dict(environment))

    threading.Thread(target=work, name="container-leftovers", daemon=True).start()
