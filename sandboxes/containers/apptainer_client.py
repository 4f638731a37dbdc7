"""The command line of Apptainer or SingularityCE, and what its complaints mean."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping

from sandboxes.child_environment import child_environment
from sandboxes.containers.client_call import Answer, call_client
from sandboxes.sandbox import SandboxError

SECONDS = 120.0
_OF_CLIENTS = tuple(
    f"{maker}_{name}"
    for maker in ("APPTAINER", "SINGULARITY")
    for name in ("CACHEDIR", "TMPDIR", "DOCKER_USERNAME", "DOCKER_PASSWORD", "CONFIGDIR")
)
"""Variables that say where it keeps things, and who it is at a registry."""


class ApptainerClient:
    """Runs the client. Nothing is kept between calls.

    Args:
        name: of the backend; the other program takes its place where only that one is installed.
        passed: environment variables for inside.

    Attributes:
        program: apptainer or singularity.
        environment: of the client.
    """

    def __init__(self, name: str, environ: Mapping[str, str], passed: Mapping[str, str] = {}) -> None:
        self.name = name
        self.environment = child_environment(environ, _OF_CLIENTS)
        path = self.environment.get("PATH")
        other = "singularity" if name == "apptainer" else "apptainer"
        self.program = name if shutil.which(name, path=path) or not shutil.which(other, path=path) else other
        prefix = "APPTAINERENV_" if self.program == "apptainer" else "SINGULARITYENV_"
        self.environment.update({prefix + key: value for key, value in passed.items()})

    async def call(
        self,
        *arguments: str,
        marker: str = "0.",
        timeout: float | None = SECONDS,
        variables: Mapping[str, str] = {},
    ) -> Answer:
        """Run the client to its end; it is killed after `timeout` seconds and when this is cancelled.

        Args:
            marker: see process_tree.MARKER.
            variables: more for its environment.

        Raises SandboxError if there is no client.
        """
        return await call_client(
            self.name, [self.program, *arguments], {**self.environment, **variables}, marker=marker,
            timeout=timeout, missing="neither apptainer nor singularity is installed. Install one of them, "
            "or set terminal.backend to another place",
        )  # fmt: skip


def problem(name: str, said: str, image: str) -> SandboxError:
    """What a build or a start complained about, in plain words, with what helps."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in said.splitlines()]
    told = [line for line in lines if re.match(r"(FATAL|ERROR|Error)", line)] or lines[-5:]
    detail = "\n".join(told[-5:]) or "it did not say why"
    for sign, what in _PROBLEMS:
        if re.search(sign, detail, re.IGNORECASE):
            return SandboxError(f"{name}: {what.format(image=image)}\n{detail}")
    return SandboxError(f"{name}: no instance could be started\n{detail}")


_PROBLEMS = (
    (
        r"bash.*no such file|env: .*bash|startscript failed|actions/start failed",
        "the image {image} has no bash. Set apptainer.image to one that has, 4.4 or newer",
    ),
    (
        r"squashfuse|/dev/fuse|image driver",
        "this account cannot mount the image {image}. Use a root folder as apptainer.image, or ask the "
        "administrator for FUSE or a setuid installation",
    ),
    (
        r"cgroup|resource limits",
        "this machine lets it set no limits. Leave apptainer.memory and apptainer.cpus empty, or ask its "
        "administrator for cgroups (with systemd: Delegate=yes)",
    ),
    (
        r"network|CNI|netns",
        "it cannot take the network away on this machine. Ask its administrator to allow network namespaces, "
        "or set terminal.network to true",
    ),
    (
        r"unauthorized|manifest unknown|not found|name unknown|no such host|dial tcp|requested access",
        "the image {image} cannot be had. Set apptainer.image to one that exists, and check the network",
    ),
    (
        r"no space left",
        "there is no room left for the image or its cache",
    ),
    (
        r"user namespace|setuid|operation not permitted|permission denied",
        "this account may not start it here. Ask the administrator for user namespaces or a setuid "
        "installation",
    ),
)
