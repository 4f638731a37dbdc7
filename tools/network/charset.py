"""From the bytes of a page to its text."""

from __future__ import annotations


def decode_text(body: bytes, content_type: str = "") -> str:
    """The text of `body`; `content_type` is the header's value. Never raises."""
    return body.decode("utf-8", "replace")
