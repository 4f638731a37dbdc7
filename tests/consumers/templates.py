"""Real chat templates: those that installed libraries ship, and the `*.jinja` files of a folder of one's own.

HERMES_CHAT_TEMPLATES=DIR .ci/consumers
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

FOLDER_VARIABLE = "HERMES_CHAT_TEMPLATES"
BOS, EOS = "<BOS>", "<EOS>"


class Template(NamedTuple):
    name: str
    source: str


class Refused(Exception):
    """The template does not take this conversation; the text is its own."""


def all_templates() -> list[Template]:
    """Sorted by name. Those of the folder named by `HERMES_CHAT_TEMPLATES` take the place of a library's."""
    own = os.environ.get(FOLDER_VARIABLE, "")
    if own:
        return [_read(path, path.stem) for path in sorted(Path(own).glob("*.jinja"))]
    import trl

    folder = Path(trl.__file__).parent / "chat_templates"
    return [_read(path, f"trl__{path.stem}") for path in sorted(folder.glob("*.jinja"))]


def _read(path: Path, name: str) -> Template:
    return Template(name, path.read_text(encoding="utf-8"))


def render(template: Template, messages: list[Any], tools: list[Any], **more: Any) -> str:
    """The text as transformers renders it. Raises Refused."""
    from jinja2.exceptions import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    try:
        texts, _ = render_jinja_template(
            conversations=[messages],
            tools=tools,
            chat_template=template.source,
            bos_token=BOS,
            eos_token=EOS,
            pad_token="<PAD>",
            unk_token="<UNK>",
            date_string="26 Jul 2024",
            **more,
        )
    except (TemplateError, TypeError, ValueError) as error:
        raise Refused(f"{type(error).__name__}: {error}") from error
    return str(texts[0])
