"""Hosts of our own engines, as the settings make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from configuration.sandbox_settings import DockerSettings
from sandboxes.containers.docker_host import DockerHost, make_docker_host
from settings import Settings, TerminalSettings
from tests.sandboxes.engine import Engine


def container_host(
    engine: Engine,
    folder: Path,
    *,
    hidden: list[str] | None = None,
    environ: dict[str, str] | None = None,
    terminal: dict[str, Any] | None = None,
    **docker: Any,
) -> DockerHost:
    """`docker`: settings of that section; `terminal`: of that one; `environ`: more variables of hermes."""
    settings = Settings(
        terminal=TerminalSettings(backend=engine.name, **(terminal or {})),
        docker=DockerSettings(**{"image": engine.image, "host": engine.host, **docker}),
    )
    return make_docker_host(
        settings, "task", str(folder), {**engine.environ, **(environ or {})}, hidden or []
    )
