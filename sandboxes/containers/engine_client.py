"""The command line of a container engine, docker's or podman's, and what its complaints mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias

from sandboxes.child_environment import child_environment
from sandboxes.containers.client_call import Answer, call_client
from sandboxes.sandbox import SandboxError

EngineName: TypeAlias = Literal["docker", "podman"]
SECONDS = 60.0
_OF_CLIENTS = ("DOCKER_*", "CONTAINER_*", "CONTAINERS_*", "SSH_AUTH_SOCK", "REGISTRY_AUTH_FILE")
"""Variables that say which engine is meant and how to reach it."""


class EngineClient:
    """Runs the client. Nothing is kept between calls.

    Args:
        host: where the engine listens; "" as the client decides.
        environ: of hermes; the client gets what it needs of it, and no key.

    Attributes:
        argv: begins every command line.
        environment: of the client.
    """

    def __init__(self, name: EngineName, host: str, environ: Mapping[str, str]) -> None:
        self.name = name
        self.environment = child_environment(environ, _OF_CLIENTS)
        self.argv: list[str] = [name]
        if host and name == "docker":
            self.environment["DOCKER_HOST"] = host
            self.environment.pop("DOCKER_CONTEXT", None)
        elif host:
            self.argv += ["--url", host]
        self.host = host or environ.get("DOCKER_HOST" if name == "docker" else "CONTAINER_HOST", "")

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
            self.name, [*self.argv, *arguments], {**self.environment, **variables}, marker=marker,
            timeout=timeout, missing=f"the program {self.name} is not installed. Install it, or set "
            "terminal.backend to another place",
        )  # fmt: skip

    def problem(self, said: str, image: str) -> SandboxError:
        """What `run` or `pull` complained about, in plain words, with what helps."""
        said = _in_short(said)
        for sign, told in _PROBLEMS:
            if re.search(sign, said, re.IGNORECASE):
                where = f" at {self.host}" if self.host else ""
                what = told.format(name=self.name, image=image, where=where)
                return SandboxError(f"{self.name}: {what}\n{said}")
        return SandboxError(f"{self.name}: no container could be started\n{said or 'it did not say why'}")


def image_is_missing(said: str) -> bool:
    return bool(re.search(r"no such image|unable to find image|image not known", said, re.IGNORECASE))


def _in_short(said: str) -> str:
    """Without the program's name, hints at its manual and empty lines; at most ten lines."""
    lines = [line for line in said.splitlines() if line.strip() and not re.match(r"(See|Run) '\w+ ", line)]
    text = "\n".join(lines[-10:])
    return re.sub(r"\A(?:\w+: )?(?:Error response from daemon: |Error: )", "", text)


_PROBLEMS = (
    (
        r"permission denied .*(socket|daemon|API)",
        "this account may not use the engine{where}. Join its group (sudo usermod -aG docker NAME, then log "
        "in again) or run the engine rootless",
    ),
    (
        r"cannot connect to the docker daemon|is the docker daemon running|unable to connect to podman|"
        r"cannot connect to podman|failed to connect to the docker API|error during connect|dial unix",
        "the engine does not answer{where}. Start it (sudo systemctl start docker), or set docker.host to "
        "where it listens",
    ),
    (
        r"exec: \\?\"bash\\?\"|executable file .?bash.? not found",
        "the image {image} has no bash. Set docker.image to one that has, 4.4 or newer",
    ),
    (
        r"pull access denied|manifest unknown|manifest for .* not found|not found: manifest|"
        r"repository .* not found|short-name|failed to resolve reference",
        "there is no image {image}. Set docker.image to one that exists, or build it",
    ),
    (
        r"dial tcp|no such host|i/o timeout|tls handshake|proxyconnect|pinging container registry|lookup ",
        "the image {image} is not here, and its registry cannot be reached. Fetch it with "
        "`{name} pull {image}` where there is a network, or set docker.image to one that `{name} images` "
        "shows",
    ),
    (
        r"bind source path does not exist|mounts denied|invalid mount|statfs .*: no such file",
        "the working folder cannot be mounted{where}. The engine must be able to see it: share it with its "
        "virtual machine, or set docker.mount to none",
    ),
    (
        r"storage-opt|--?[a-z-]+.*(unknown|not supported|requires)|unknown flag|invalid argument|"
        r"conflicting options",
        "an option is not accepted; see docker.options and the other settings of docker",
    ),
)
