"""Settings of the places where commands run. They are sections of `settings.Settings`."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

BackendName: TypeAlias = Literal[
    "local", "docker", "podman", "apptainer", "singularity", "ssh", "modal", "nomad"
]
BACKENDS: tuple[str, ...] = (
    "local", "docker", "podman", "apptainer", "singularity", "ssh", "modal", "nomad"
)  # fmt: skip
Cores: TypeAlias = Annotated[float, Meta(gt=0)]
Port: TypeAlias = Annotated[int, Meta(ge=1, le=65535)]
MountMode: TypeAlias = Literal["write", "read", "none"]


class DockerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """For the backends docker and podman."""

    image: Annotated[str, Meta(description="The image to run; it needs bash 4.4 or newer.")] = (
        "debian:12-slim"
    )
    mount: Annotated[
        MountMode,
        Meta(description="The working folder inside the container, at the same path: write, read, none."),
    ] = "write"
    user: Annotated[str, Meta(description="UID:GID inside; empty: yours.")] = ""
    memory: Annotated[str, Meta(description="Memory limit, e.g. 2g; empty: none.")] = "4g"
    cpus: Annotated[Cores | None, Meta(description="Processor cores; empty: all.")] = None
    pids: Annotated[int, Meta(ge=1, description="The most processes at once.")] = 512
    host: Annotated[
        str, Meta(description="Where the engine listens; empty: as the docker client decides.")
    ] = ""
    options: Annotated[list[str], Meta(description="More options for `docker run`, e.g. --gpus=all.")] = []


class ApptainerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """For the backends apptainer and singularity."""

    image: Annotated[
        str, Meta(description="A .sif file, a root folder, or docker://NAME, which is built once and cached.")
    ] = "docker://debian:12-slim"
    mount: Annotated[
        MountMode, Meta(description="The working folder inside, at the same path: write, read, none.")
    ] = "write"
    overlay: Annotated[
        str, Meta(description="A folder that keeps changes to the image; empty: they are in memory and pass.")
    ] = ""
    memory: Annotated[str, Meta(description="Memory limit, e.g. 2G; empty: none.")] = ""
    cpus: Annotated[Cores | None, Meta(description="Processor cores; empty: all.")] = None
    options: Annotated[list[str], Meta(description="More options for the instance, e.g. --nv.")] = []


class SshSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """For the backend ssh. Anything else is as your ~/.ssh/config says."""

    host: Annotated[str, Meta(description="The host, or its name in ~/.ssh/config.")] = ""
    user: Annotated[str, Meta(description="The login there; empty: as ssh decides.")] = ""
    port: Annotated[Port | None, Meta(description="The port; empty: as ssh decides.")] = None
    identity_file: Annotated[str, Meta(description="The private key file; empty: as ssh decides.")] = ""
    known_hosts: Annotated[
        Literal["strict", "accept-new"],
        Meta(description="strict: only hosts in known_hosts; accept-new: also one never seen before."),
    ] = "strict"
    cwd: Annotated[str, Meta(description="Where commands start there; empty: the login's home.")] = ""
    options: Annotated[list[str], Meta(description="More ssh options, e.g. ProxyJump=gate.example.org.")] = []


class ModalProfile(Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of sandbox at Modal. Empty values are taken from the section `modal`."""

    image: str = ""
    gpu: str = ""
    cpu: float | None = None
    memory: int | None = None
    secrets: list[str] = []


class ModalSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """For the backend modal. Its tokens: MODAL_TOKEN_ID and MODAL_TOKEN_SECRET, or ~/.modal.toml."""

    app: Annotated[str, Meta(description="The app that holds the sandboxes.")] = "hermes-agent"
    image: Annotated[str, Meta(description="The registry image; it needs bash.")] = "python:3.11-slim"
    gpu: Annotated[str, Meta(description="A GPU, e.g. T4 or H100:2; empty: none.")] = ""
    cpu: Annotated[Cores | None, Meta(description="Processor cores.")] = None
    memory: Annotated[int | None, Meta(description="Memory in MiB.")] = None
    secrets: Annotated[list[str], Meta(description="Names of Modal secrets that commands see.")] = []
    max_lifetime: Annotated[int, Meta(ge=60, le=86_400, description="Seconds a sandbox may live.")] = 3600
    profile: Annotated[str, Meta(description="The profile to use; empty: the values above.")] = ""
    profiles: Annotated[
        dict[str, ModalProfile],
        Meta(description="Your own: NAME: {image, gpu, cpu, memory, secrets}."),
    ] = {}


class NomadSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """For the backend nomad. Its token is read from NOMAD_TOKEN."""

    address: Annotated[str, Meta(description="The HTTP API of the cluster.")] = "http://127.0.0.1:4646"
    namespace: Annotated[str, Meta(description="The namespace of the job.")] = "default"
    region: Annotated[str, Meta(description="The region; empty: the server's.")] = ""
    datacenters: Annotated[list[str], Meta(description="Where the job may run.")] = field(
        default_factory=lambda: ["dc1"]
    )
    driver: Annotated[
        Literal["docker", "singularity"], Meta(description="What runs the sandbox on the node.")
    ] = "docker"
    image: Annotated[str, Meta(description="An image with bash, python3 and bubblewrap.")] = ""
    slots: Annotated[int, Meta(ge=1, description="Tasks that share one sandbox.")] = 10
    minimum: Annotated[int, Meta(ge=0, description="Sandboxes that are always there.")] = 1
    maximum: Annotated[int, Meta(ge=1, description="The most sandboxes.")] = 10
    cpu: Annotated[int, Meta(ge=1, description="MHz for each sandbox.")] = 500
    memory: Annotated[int, Meta(ge=1, description="MB for each sandbox.")] = 512
