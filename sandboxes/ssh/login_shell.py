"""Command lines for a login shell that may be any: bash, zsh, dash, ksh, fish, csh.

What they have in common is `exec`, `;` and text between single quotes. They differ in what a backslash, a
quote, an exclamation mark and a line end mean there, so these never come.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

_PLAIN = re.compile(r"[A-Za-z0-9_./:=,+@%-]+")
_UNLIKE = re.compile(r"[\\'!\x00-\x1f\x7f\ud800-\udfff]")
_DECODE = 'printf -v line %b "$0"; eval "$line"'


def command_text(argv: Sequence[str]) -> str:
    """Text that makes any login shell replace itself by `argv`."""
    if any(_UNLIKE.search(each) for each in argv):
        argv = ["bash", "--noprofile", "--norc", "-c", _DECODE, _encoded("exec " + shlex.join(argv))]
    return "exec " + " ".join(each if _PLAIN.fullmatch(each) else f"'{each}'" for each in argv)


def _encoded(text: str) -> str:
    """For `printf %b` of bash; of backslashes there are only single ones, which every shell lets be."""
    return "".join(
        chr(byte)
        if chr(byte).isascii() and (chr(byte).isalnum() or byte in b' _./:=,+@%-"$')
        else f"\\0{byte:03o}"
        for byte in text.encode("utf-8", "surrogateescape")
    )
