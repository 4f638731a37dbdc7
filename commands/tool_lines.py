"""How lists of tools are laid out: aligned, and folded where a terminal shows them."""

from __future__ import annotations

import sys
import textwrap

from safety.terminal_text import neutralize

NAME = 24
_UNFOLDED = 1_000_000
"""Columns where no terminal is: one line for each thing, for grep."""


def columns() -> int:
    import shutil

    return max(40, shutil.get_terminal_size().columns) if sys.stdout.isatty() else _UNFOLDED


def head(title: str) -> str:
    return f"{title:<{NAME}}  STATE   TOKENS"


def line(name: str, state: str, tokens: int, text: str = "", indent: int = 0) -> str:
    """One thing on one line; what does not fit is cut."""
    full = f"{' ' * indent + one_line(name):<{NAME}}  {state:<6}{tokens or '?':>8}  {one_line(text)}".rstrip()
    width = columns()
    return full if len(full) <= width else full[: width - 1] + "…"


def folded(text: str, indent: int, width: int = 0) -> list[str]:
    """`text` in lines that begin with `indent` blanks; none if there is no text."""
    margin = " " * indent
    return textwrap.wrap(
        one_line(text), min(columns(), width or _UNFOLDED), initial_indent=margin, subsequent_indent=margin,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def one_line(text: str) -> str:
    return " ".join(neutralize(text).split())
