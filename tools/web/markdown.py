"""Markdown as a model reads it: few marks, addresses whole. Imported in the child process alone."""

from __future__ import annotations

import re
from typing import Any

from markdownify import MarkdownConverter

_LANGUAGE = re.compile(r"(?:language|highlight-source|lang|brush:)-?\s*([\w+#-]{1,20})")


class Converter(MarkdownConverter):
    """As markdownify converts, with ATX headings and nothing escaped."""

    def __init__(self) -> None:
        super().__init__(
            heading_style="ATX", bullets="-", escape_asterisks=False, escape_underscores=False,
            code_language_callback=_language,
        )  # fmt: skip

    def convert_a(self, el: Any, text: str, parent_tags: set[str]) -> str:
        """A blank ends each link: the address of a second one would seem to belong to the first."""
        shown, href = " ".join(text.split()), el.get("href")
        if not shown or not href or "_noformat" in parent_tags:
            return text
        before = " " if text[:1].isspace() else ""
        after = " " if text[-1:].isspace() or getattr(el.next_sibling, "name", "") == "a" else ""
        return f"{before}[{shown}]({href}){after}" if shown != href else f"{before}<{href}>{after}"

    def convert_img(self, el: Any, text: str, parent_tags: set[str]) -> str:
        """Only what has a description is worth its tokens; in a link, the description is what matters."""
        alt = " ".join((el.get("alt") or "").split())
        formula = "math" in " ".join(el.get("class") or [])
        if not alt or formula or parent_tags & {"a", "_inline"} or not el.get("src"):
            return alt
        return f"![{alt}]({el['src']})"

    def convert_li(self, el: Any, text: str, parent_tags: set[str]) -> str:
        """Numbers are counted beforehand: markdownify counts all items before each."""
        text = text.strip()
        if not text:
            return "\n"
        bullet = "- "
        if el.parent is not None and el.parent.name == "ol":
            start = str(el.parent.get("start") or "1")
            first = int(start) if start.isascii() and start.isdigit() and len(start) < 10 else 1
            bullet = f"{first + int(el.get('number') or 0)}. "
        indent = " " * len(bullet)
        return (
            bullet
            + "\n".join(indent + line if line else "" for line in text.split("\n"))[len(indent) :]
            + "\n"
        )


def _language(element: Any) -> str:
    """The language that highlighters note in the classes of a block of code."""
    for each in (element, element.find("code"), element.parent):
        classes = " ".join(each.get("class") or []) if each is not None else ""
        if found := _LANGUAGE.search(classes):
            return found[1]
    return ""
