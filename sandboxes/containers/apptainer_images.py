"""Images for Apptainer: files and folders as they are, anything else built once and kept."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from sandboxes.containers.apptainer_client import ApptainerClient, problem
from sandboxes.sandbox import SandboxError

_TO_BUILD = re.compile(
    r"(docker|oras|library|shub|https?)://|(docker-archive|docker-daemon|oci|oci-archive):"
)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """$XDG_CACHE_HOME/hermes/apptainer; see the XDG Base Directory Specification."""
    base = environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if os.path.isabs(base) else Path(environ.get("HOME") or Path.home()) / ".cache"
    return root / "hermes" / "apptainer"


async def ready_image(client: ApptainerClient, image: str, cache: Path, marker: str) -> Path:
    """The file or folder that `image` means, built if it has to be. Raises SandboxError.

    A built one is kept under a hash of its name, so a name without a digest (`@sha256:…`) means what it
    meant when it was built; remove the file to have it built anew.
    """
    if not _TO_BUILD.match(image):
        path = Path(os.path.abspath(os.path.expanduser(image)))
        if not path.exists():
            raise SandboxError(f"{client.name}: there is no image {path}; set apptainer.image")
        return path
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", image.partition("@")[0])[-60:].strip("-")
    path = cache / f"{plain}-{hashlib.sha256(image.encode()).hexdigest()[:16]}.sif"
    if path.exists():
        return path
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with _alone(path.with_suffix(".lock")):
            if not path.exists():  # another hermes may have built it in the meantime
                await _build(client, image, path, marker)
    except OSError as error:
        raise SandboxError(f"{client.name}: no image can be kept in {cache}: {error.strerror}") from error
    return path


async def _build(client: ApptainerClient, image: str, path: Path, marker: str) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        answer = await client.call("build", "--force", str(part), image, marker=marker, timeout=None)
        if answer.code != 0:
            raise problem(client.name, answer.said, image)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def _alone(lock: Path) -> AsyncIterator[None]:
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        await asyncio.to_thread(fcntl.flock, descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
