"""The text of a PDF. Runs in a child process (`tools.web.child`)."""

from __future__ import annotations

import io
import logging
import time
from typing import TYPE_CHECKING, Any

from tools.web.plain import one_line, plain

if TYPE_CHECKING:
    from pypdf import PdfReader

MOST_PAGES = 500
MOST_CHARACTERS = 2_000_000


def pdf_text(body: bytes, seconds: float) -> dict[str, Any]:
    """`title`, `markdown` with a heading for each page, `note`; or `problem`: why it cannot be read."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    until = time.monotonic() + seconds
    if b"%PDF-" not in body[:1024]:
        return {"problem": "it is sent as a PDF but is not one"}
    try:
        reader = PdfReader(io.BytesIO(body))
        if reader.is_encrypted and not reader.decrypt(""):
            return {"problem": "the PDF is locked with a password"}
        total = len(reader.pages)
        parts, broken = _pages(reader, min(total, MOST_PAGES), until)
        title = one_line(str(reader.metadata.title or "") if reader.metadata else "")
    except (PyPdfError, RecursionError, ValueError, KeyError, TypeError, AttributeError) as error:
        return {"problem": f"the PDF is damaged ({one_line(str(error), 200) or type(error).__name__})"}
    notes = []
    if len(parts) < total:
        notes.append(f"pages 1 to {len(parts)} of {total} were read")
    if broken:
        notes.append(f"no text could be had of {broken} damaged pages")
    if not any(parts):
        notes.append("its pages hold no text; they may be pictures")
    text = "\n\n".join(f"## Page {number}\n\n{part}" for number, part in enumerate(parts, 1) if part)
    return {"title": title, "markdown": text, "note": "; ".join(notes), "links": []}


def _pages(reader: PdfReader, most: int, until: float) -> tuple[list[str], int]:
    """The texts of the first pages, as many as there is time for, and how many of them are damaged."""
    parts: list[str] = []
    broken = characters = 0
    for page in reader.pages:
        if len(parts) >= most or characters > MOST_CHARACTERS or (parts and time.monotonic() > until):
            break
        try:
            parts.append(plain(page.extract_text()))
        except Exception:  # noqa: BLE001 - pypdf fails in many ways on one page and reads the next
            parts.append("")
            broken += 1
        characters += len(parts[-1])
    return parts, broken
