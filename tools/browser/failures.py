"""What goes wrong with a browser, told as the model and the person read it."""

from __future__ import annotations

STALE = "the page is another than the one you saw: its refs no longer hold. Call browser_snapshot"


class BrowserError(Exception):
    """A step failed; the browser goes on. `str` is what happened and what to do next."""


class BrowserGone(BrowserError):
    """The browser, or what drives it, has ended or hangs: it is of no use any more."""
