"""How a connection or a fetch can fail."""

from __future__ import annotations

from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["refused", "dns", "connect", "tls", "timeout", "too_large", "redirects", "protocol"]


class FetchError(Exception):
    """Nothing usable came. The text is one sentence for the model; `kind` says in whose part it failed.

    `refused`: the address must not be reached; `dns`: its name was not found; `connect`: nobody answers, or
    the connection broke before an answer; `tls`: the certificate or the handshake; `timeout`: too slow;
    `too_large`; `redirects`: too many, in a circle or to nowhere; `protocol`: what came is not HTTP, or was
    cut short.
    """

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind
