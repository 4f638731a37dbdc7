"""`cli-config.yaml`: every setting with its default and one line of explanation."""

from __future__ import annotations

from itertools import takewhile
from typing import Literal, get_args, get_origin

from configuration import settings_schema
from configuration.settings_edit import flow_text
from configuration.settings_schema import Setting
from settings import Settings

_HEAD = """\
# Every setting of hermes with its default, as `hermes config template` prints it (made from settings.py).
# Yours go into the file that `hermes config path` names; write only what you change.
"""


def config_template() -> str:
    """The whole file. Read as settings it gives the defaults."""
    lines: list[str] = []
    above: list[str] = []
    for setting in settings_schema.settings_in(Settings):
        *sections, name = setting.key.split(".")
        if sections != above or not sections:
            pairs = zip(sections, above, strict=False)
            same = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
            lines += [""] if same == 0 else []
            lines += [f"{'  ' * depth}{sections[depth]}:" for depth in range(same, len(sections))]
            above = sections
        indent = "  " * len(sections)
        lines.append(f"{indent}# {explanation(setting)}")
        lines.append(f"{indent}{name}: {flow_text(setting.default)}")
    return _HEAD + "\n".join(lines) + "\n"


def explanation(setting: Setting) -> str:
    """One line: what the setting does, and the values it may have where they are few."""
    kind = get_args(setting.kind)[0] if get_args(setting.kind) else setting.kind
    if get_origin(kind) is not Literal:
        return setting.description
    words = settings_schema.expected(setting.kind)
    return f"{setting.description} {words[0].upper()}{words[1:]}."
