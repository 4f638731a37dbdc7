"""The place where commands run: whether it can be had as it is set."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from commands.checks.finding import Finding, Scene, by_settings, off, ok, problem, warning

SECONDS = 3.0


@by_settings("place")
def check_place(scene: Scene) -> Iterator[Finding]:
    terminal = scene.settings.terminal
    if terminal.cwd and not Path(terminal.cwd).expanduser().is_dir() and terminal.backend == "local":
        text = f"terminal.cwd: there is no folder {terminal.cwd}"
        yield problem("folder", text, "make it, or unset terminal.cwd")
    match terminal.backend:
        case "local":
            yield _local(scene)
        case "docker" | "podman":
            yield from _containers(scene)
        case "apptainer" | "singularity":
            yield from _apptainer(scene)
        case "ssh":
            yield _ssh(scene)
        case "modal":
            yield _modal(scene)
        case "nomad":
            yield _nomad(scene)


def _local(scene: Scene) -> Finding:
    from sandboxes.confinement.confined import confinement_problem

    wanted = scene.settings.terminal.sandbox
    if wanted == "off":
        return off("local", "commands run as you; nothing confines them (terminal.sandbox: off)")
    told = confinement_problem()
    if not told:
        when = "always" if wanted == "required" else "where nobody can be asked"
        return ok("local", f"commands can be confined, and are {when}")
    what, _, fix = told.partition(";") if ";" in told else (told, "", "")
    fix = fix.strip() or "install bubblewrap, or set terminal.backend: docker"
    if wanted == "required":
        return problem("local", f"commands cannot be confined, so none runs: {what}", fix)
    return warning("local", f"commands cannot be confined here: {what}", fix)


def _containers(scene: Scene) -> Iterator[Finding]:
    from sandboxes.containers.engine_client import EngineClient, EngineName
    from sandboxes.sandbox import SandboxError

    backend, docker = scene.settings.terminal.backend, scene.settings.docker
    name: EngineName = "podman" if backend == "podman" else "docker"
    client = EngineClient(name, docker.host, scene.environ)
    if client.host and not client.host.startswith("unix:") and scene.offline:
        yield off(name, f"{client.host}: not asked (--offline)")
        return
    try:
        answer = asyncio.run(client.call("version", "--format", "{{.Server.Version}}", timeout=SECONDS))
        if answer.code != 0:
            told = str(client.problem(answer.said, docker.image)) if answer.code else "it does not answer"
            yield _broken(name, told, f"start {name}, or set terminal.backend")
            return
        yield ok(name, f"version {answer.output} answers")
        answer = asyncio.run(
            client.call("image", "inspect", "--format", "{{.Id}}", docker.image, timeout=SECONDS)
        )
    except SandboxError as error:
        yield _broken(name, str(error), f"install {name}, or set terminal.backend")
        return
    if answer.code == 0:
        yield ok("image", docker.image)
    else:
        yield warning(
            "image",
            f"{docker.image} is not here yet; the first command waits for it",
            f"{name} pull {docker.image}",
        )


def _apptainer(scene: Scene) -> Iterator[Finding]:
    from sandboxes.containers.apptainer_client import ApptainerClient
    from sandboxes.sandbox import SandboxError

    client = ApptainerClient(scene.settings.terminal.backend, scene.environ)
    try:
        answer = asyncio.run(client.call("--version", timeout=SECONDS))
    except SandboxError as error:
        yield _broken(client.name, str(error), "install apptainer, or set terminal.backend")
        return
    if answer.code == 0:
        yield ok(client.program, answer.output)
    else:
        yield problem(client.program, answer.said or "it does not answer", "install it anew")
    image = scene.settings.apptainer.image
    if "://" in image:
        yield ok("image", f"{image}, built at first use and kept")
    elif Path(image).expanduser().exists():
        yield ok("image", image)
    else:
        yield problem("image", f"there is no {image}", "set apptainer.image")


def _ssh(scene: Scene) -> Finding:
    """As a session does it: with the same options, without any question."""
    from sandboxes.sandbox import SandboxError
    from sandboxes.ssh.ssh_host import make_ssh_host

    host = scene.settings.ssh.host
    if host and scene.offline:
        return off("ssh", f"{host}: not asked (--offline)")

    async def connect() -> None:
        place = make_ssh_host(scene.settings, "doctor", scene.environ)
        try:
            async with asyncio.timeout(SECONDS):
                await place.start("doctor.")
        finally:
            await place.stop()

    try:
        asyncio.run(connect())
    except TimeoutError:
        return problem(
            "ssh", f"{host} does not answer within {SECONDS:g} s", f"try: ssh -o BatchMode=yes {host} true"
        )
    except SandboxError as error:
        return _broken("ssh", str(error), f"try: ssh -o BatchMode=yes {host or 'HOST'} true")
    return ok("ssh", f"{host} lets us in")


def _modal(scene: Scene) -> Finding:
    if find_spec("modal") is None:
        return problem("modal", "its client is not installed", "pip install 'hermes-agent[modal]'")
    environ = scene.environ
    config = Path(
        environ.get("MODAL_CONFIG_PATH")
        or Path(environ.get("HOME") or os.path.expanduser("~"), ".modal.toml")
    )
    if (environ.get("MODAL_TOKEN_ID") and environ.get("MODAL_TOKEN_SECRET")) or config.exists():
        return ok("modal", "its client is installed and has a token")
    return problem("modal", "there is no token", "modal token new")


def _nomad(scene: Scene) -> Finding:
    from sandboxes.pools.nomad_client import NomadClient
    from sandboxes.sandbox import SandboxError

    nomad = scene.settings.nomad
    if not nomad.image:
        return problem("nomad", "no image is set", "set nomad.image to one with bash, python3 and bubblewrap")
    if scene.offline:
        return off("nomad", f"{nomad.address}: not asked (--offline)")

    async def leader() -> str:
        client = NomadClient(nomad.address, scene.environ.get("NOMAD_TOKEN", ""), namespace=nomad.namespace)
        try:
            async with asyncio.timeout(SECONDS):
                return await client.leader()
        finally:
            await client.close()

    try:
        found = asyncio.run(leader())
    except (SandboxError, TimeoutError) as error:
        told = str(error) or f"{nomad.address} does not answer within {SECONDS:g} s"
        return problem("nomad", told, "check nomad.address and NOMAD_TOKEN")
    return (
        ok("nomad", f"{nomad.address}, led by {found}")
        if found
        else problem("nomad", f"{nomad.address} has no leader", "ask who runs the cluster")
    )


def _broken(name: str, told: str, fix: str) -> Finding:
    """`told` begins with the backend's name."""
    return problem(name, " ".join(told.removeprefix(f"{name}: ").split()), fix)
