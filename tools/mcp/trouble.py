"""What goes wrong with a server, in words for the model and the person."""

from __future__ import annotations


class ServerError(Exception):
    """A server that cannot be used or did not answer; the text names it and says what to do."""
