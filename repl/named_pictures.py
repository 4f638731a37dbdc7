"""Pictures that a message names: `@shot.png`, or a path as terminals paste and drop them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp")

_NAME = re.compile(
    r"""(?:^|(?<=\s))(?P<at>@?)(?:"(?P<double>[^"\n]+)"|'(?P<single>[^'\n]+)'|(?P<plain>(?:\\.|[^\s\\"'])+))""",
    re.MULTILINE,
)
_AFTER = ".,;:!?)]}"


def named_pictures(text: str) -> list[str]:
    """Paths of pictures, in order, none twice. They need not be there.

    A bare name counts with an `@` before it alone; a path does where it is absolute, or begins with `~`, as
    what is dragged into a terminal does, in quotes, with backslashes before blanks, or as a file URL.
    """
    whole = text.strip()
    if "\n" not in whole and _is_path(whole) and os.path.isfile(os.path.expanduser(whole)):
        return [os.path.expanduser(whole)]  # pasted as it is, blanks and all
    return list(dict.fromkeys(_named(text)))


def marked_pictures(text: str) -> list[str]:
    """Of the pictures that `text` names, those with an `@` before them that are there."""
    marked = (name for name in _named(text, marked=True) if os.path.isfile(name))
    return list(dict.fromkeys(marked))


def _named(text: str, *, marked: bool = False) -> Iterator[str]:
    for match in _NAME.finditer(text):
        name = match["double"] or match["single"] or re.sub(r"\\(.)", r"\1", match["plain"].rstrip(_AFTER))
        if name.lower().startswith("file://"):
            name = unquote(urlsplit(name).path)
        if (_is_path(name) and not marked) or (match["at"] and name.lower().endswith(SUFFIXES)):
            yield os.path.expanduser(name)


def _is_path(name: str) -> bool:
    return name.startswith(("/", "~/")) and name.lower().endswith(SUFFIXES)
