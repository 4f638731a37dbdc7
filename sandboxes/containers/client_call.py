"""One call of a container program's client, to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sandboxes.bounded_output import OutputCapture
from sandboxes.reports import Reports
from sandboxes.running_command import RunningCommand
from sandboxes.sandbox import SandboxError

_MOST = 1_000_000


class Answer(NamedTuple):
    """`code` is None where it took too long; `output` and `said` are stdout and stderr."""

    code: int | None
    output: str
    said: str


async def call_client(
    name: str,
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    missing: str,
    marker: str,
    timeout: float | None,
) -> Answer:
    """Run the client; it is killed after `timeout` seconds and when this is cancelled.

    Args:
        name: of the backend, for messages.
        missing: what to say where there is no such program.
        marker: see process_tree.MARKER.

    Raises SandboxError if it could not be started.
    """
    capture, reports = OutputCapture(None, _MOST), Reports()
    try:
        client = RunningCommand(
            argv, env=environment, cwd="/", marker=marker, capture=capture, reports=reports
        )
    except FileNotFoundError as error:
        raise SandboxError(f"{name}: {missing}") from error
    except OSError as error:
        raise SandboxError(f"{name}: {error.strerror or error}") from error
    try:
        code = await client.wait(timeout)
    finally:
        client.kill()
    return Answer(code, capture.head.decode("utf-8", "replace").strip(), reports.other)
