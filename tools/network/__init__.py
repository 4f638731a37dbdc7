"""The way to the web that all tools share: what may be reached is decided here, on every connection."""
