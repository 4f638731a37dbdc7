"""A page as a model reads it: the accessibility tree, without the nodes that say nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from safety.terminal_text import strip_controls, without_hostile

_LINE = re.compile(r"(?P<indent> *)- (?P<role>[\w-]+)(?P<rest>.*)")
_PURE_STRUCTURE = frozenset(
    {
        "generic",
        "paragraph",
        "LabelText",
        "MenuListPopup",
        "none",
        "presentation",
        "Section",
        "group",
        "section",
    }
)
_MOST_LINE = 1_000
_MOST_TREE = 4_000_000
"""Characters of a tree that are read: a page may be as long as it likes."""


@dataclass(slots=True)
class _Node:
    text: str
    role: str = ""
    says: bool = True
    children: list[_Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """`text` fits the limit. `left_out` says what does not, "" if all is there."""

    text: str
    left_out: str = ""


def compact(tree: str) -> str:
    """`tree`, as agent-browser prints it, with what only nests taken out and text standing for itself."""
    root = _Node("")
    path: list[tuple[int, _Node]] = [(-1, root)]
    for line in _clean(tree).split("\n"):
        node, depth = _read_line(line)
        while path[-1][0] >= depth:
            path.pop()
        path[-1][1].children.append(node)
        path.append((depth, node))
    lines: list[str] = []
    _write(root.children, 0, lines)
    return "\n".join(lines)


def plain(tree: str) -> str:
    """`tree` as it is, harmless to read."""
    return _clean(tree)


def excerpt(text: str, limit: int) -> Excerpt:
    """The first lines of `text` that have at most `limit` characters together."""
    if len(text) <= limit:
        return Excerpt(text)
    cut = text.rfind("\n", 0, limit)
    shown = text[: cut if cut > 0 else limit]
    rest = text[len(shown) :]
    refs = len(re.findall(r"\[(?:[^\]]*, )?ref=e\d+", rest))
    return Excerpt(shown, f"{rest.count(chr(10)) or 1} more lines with {refs} refs")


def framed_refs(tree: str) -> set[str]:
    """The refs of all that stands in a frame. Text of a page stands no further left than the page itself."""
    found: set[str] = set()
    frame = -1
    for line in tree.split("\n"):
        depth = len(line) - len(line.lstrip(" "))
        if 0 <= frame < depth:
            found.update(re.findall(r"\bref=(e\d+)", line))
        elif line.strip():
            frame = depth if line.lstrip(" ").lower().startswith("- iframe") else -1
    return found


def clean_text(text: str) -> str:
    """A stranger's text in one line."""
    return " ".join(without_hostile(strip_controls(text)).split())


def _clean(tree: str) -> str:
    return without_hostile(strip_controls(tree[:_MOST_TREE]))


def _read_line(line: str) -> tuple[_Node, int]:
    found = _LINE.fullmatch(line)
    if found is None:
        return _Node(line.strip()), len(line) - len(line.lstrip(" "))
    role, rest, depth = found["role"], found["rest"], len(found["indent"])
    if role == "StaticText":
        return _Node(rest.strip(), role), depth
    bare = not rest.strip()
    if bare and role in _PURE_STRUCTURE:
        return _Node("", role, says=False), depth
    return _Node(f"{role}{rest}", role, says=not bare), depth


def _write(nodes: list[_Node], depth: int, lines: list[str]) -> None:
    """Not by recursion into each level: a hostile page nests thousands."""
    waiting = [(node, depth) for node in reversed(nodes)]
    while waiting:
        node, level = waiting.pop()
        # What has neither name nor ref, and holds one thing or none, adds nothing to that thing.
        silent = not node.says and (not node.text or len(node.children) <= 1)
        if not silent and node.text:
            text = node.text if len(node.text) <= _MOST_LINE else node.text[:_MOST_LINE] + "…"
            lines.append(f"{'  ' * min(level, 12)}- {text}")
            level += 1
        waiting.extend((child, level) for child in reversed(node.children))
