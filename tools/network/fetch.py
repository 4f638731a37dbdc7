"""One page of the web: asked for, followed over redirects, read up to a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tools.network.failures import FetchError
from tools.network.guard import Guard

__all__ = ["FetchError", "Fetched", "Limits", "fetch"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one fetch may take, all redirects together.

    Seconds: `timeout` from beginning to end, `first_byte` until the head of an answer is complete, `stall`
    within which at least `PROGRESS` bytes of a body have to come. `max_bytes`: of a body, unpacked.
    """

    max_bytes: int = 10_000_000
    timeout: float = 30.0
    first_byte: float = 15.0
    stall: float = 10.0
    redirects: int = 10


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. `url` is where it came from in the end, `redirects` the addresses before that.

    `headers` have lower-case names. `body` is unpacked; `cut` says why it ends early, "" where it is whole.
    `downgraded`: a redirect led from https to http.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: str = ""
    redirects: list[str] = field(default_factory=list)
    downgraded: bool = False

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")

    @property
    def truncated(self) -> bool:
        return bool(self.cut)


async def fetch(
    url: str,
    *,
    guard: Guard,
    limits: Limits = Limits(),
    method: Literal["GET", "HEAD"] = "GET",
    headers: Mapping[str, str] | None = None,
    whole: bool = False,
) -> Fetched:
    raise NotImplementedError
