"""What is known about a model from its name: its context window, its maker's prices, whether it sees."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from models.providers import LOCAL_PROVIDERS, Endpoint


class KnownModel(Struct, frozen=True):
    """`context_window` in tokens, `prices` in dollars per million prompt and completion tokens."""

    context_window: int | None = None
    prices: tuple[float, float] | None = None


def known_model(name: str, endpoint: Endpoint) -> KnownModel:
    """None for what is not known. Prices are given only for the maker's own API.

    A server on this machine sets its window itself, so none is assumed. The known kinds cost nothing;
    any other may be a proxy to something that does.
    """
    if endpoint.is_loopback:
        return KnownModel(None, (0.0, 0.0) if endpoint.name in LOCAL_PROVIDERS else None)
    found = _line_of(name)
    if not found:
        return KnownModel()
    _, window, prompt, completion, _ = found
    prices = None if "-" in (prompt, completion) else (float(prompt), float(completion))
    return KnownModel(None if window == "-" else int(window), prices if endpoint.is_openai else None)


def sees_images(name: str) -> bool | None:
    """Whether the model of that name can look at pictures; None if it is not known."""
    found = _line_of(name)
    return found[-1] == "sees" if found else None


def _line_of(name: str) -> list[str]:
    return next((line for line in _table() if line[0] in name.lower()), [])


def _table() -> list[list[str]]:
    lines = Path(__file__).with_name("known_models.txt").read_text(encoding="utf-8").splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]
