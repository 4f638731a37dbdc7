"""Export → chat template → the family's parser: are the calls the same?

    python -m tests.consumers.round_trip [-v]

prints the table of docs/consumers.md; with -v also each text that was read otherwise.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.consumers.conversations import CASES, case_session
from tests.consumers.templates import EOS, Refused, Template, all_templates, render
from tool_call_parsers import get_parser
from trajectories.formats.registry import FORMATS
from trajectories.preparing import prepare
from trajectories.session_load import Session
from trajectories.targets import TARGETS, Target

Calls = list[tuple[str, Any]]

FAMILIES: list[dict[str, str]] = yaml.safe_load(Path(__file__).with_name("families.yaml").read_text())
LOSSES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("losses.yaml").read_text())

GROUPS = {
    "a call": ("single", "text", "no arguments"),
    "parallel": ("parallel", "three parallel"),
    "reasoning": ("reasoning", "text and reasoning"),
    "arguments": tuple(case.name for case in CASES[6:] if case.name != "no arguments"),
}


class Verdict(NamedTuple):
    """`kind`: same, target (the same in rows for `--target`), refused (by the template), dropped (by the
    template) or differs."""

    kind: str
    note: str = ""


def parser_of(template: Template) -> str | None:
    """The parser's name; None for a template of a model without calls."""
    name = template.name.lower()
    return next((each["parser"] or None for each in FAMILIES if re.search(each["template"], name)), None)


def loss_of(template: Template, case: str) -> str:
    """Why the calls of a case are known not to come back as they were; "" if they should."""
    name = template.name.lower()
    for each in LOSSES:
        if re.search(each["template"], name) and ("cases" not in each or case in each["cases"]):
            return str(each["why"])
    return ""


def verdict(template: Template, parser: str, session: Session) -> Verdict:
    """Of the rows as they are, else of those for the family's target."""
    plain = _verdict(template, parser, session, None)
    target = _target(parser)
    if plain.kind == "same" or target is None:
        return plain
    shaped = _verdict(template, parser, session, target)
    if shaped.kind == "same":
        return Verdict("target", target.name)
    return shaped if plain.kind == "refused" else plain


def _verdict(template: Template, parser: str, session: Session, target: Target | None) -> Verdict:
    (row,) = FORMATS["trl"].rows(prepare(session, target=target))
    tools = json.loads(row["tools"])
    for at, message in enumerate(row["messages"]):
        wanted = [
            (call["function"]["name"], call["function"]["arguments"])
            for call in message.get("tool_calls", [])
        ]
        if not wanted:
            continue
        try:
            text = generated_text(template, row["messages"][:at], message, tools)
        except Refused as refused:
            return Verdict("refused", str(refused))
        got = _calls(get_parser(parser).parse(text.removesuffix(EOS), tools).tool_calls)
        if _exact(got) != _exact(wanted):
            shown = any(name in text for name, _ in wanted)
            return Verdict("differs" if shown else "dropped", f"{text!r} → {got!r}")
    return Verdict("same")


def generated_text(template: Template, before: list[Any], answer: Any, tools: list[Any]) -> str:
    """What a model would have written for `answer`. Raises Refused."""
    asked = render(template, before, tools, add_generation_prompt=True)
    answered = render(template, [*before, answer], tools, add_generation_prompt=False)
    pairs = zip(asked, answered, strict=False)
    size = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(asked), len(answered)))
    begun = asked.rfind("<", 0, size)  # both may go on with a mark, each with another one
    return answered[begun if begun > asked.rfind(">", 0, size) else size :]


def _target(parser: str) -> Target | None:
    names = {name: target for target in TARGETS for name in (target.name, *target.also)}
    return names.get(parser) or names.get(parser.partition("_")[0])


def _calls(found: list[Any]) -> Calls:
    calls: Calls = []
    for call in found:
        try:
            calls.append((call["function"]["name"], json.loads(call["function"]["arguments"])))
        except ValueError:
            calls.append((call["function"]["name"], call["function"]["arguments"]))
    return calls


def _exact(value: Any) -> str:
    """Equal for equal JSON alone: true is not 1, nor 1 1.0."""
    return json.dumps(value, sort_keys=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sessions = {case.name: case_session(Path(folder), case) for case in CASES}
    tell = sys.stdout.write
    tell(f"| template | parser | {' | '.join(GROUPS)} |\n|---|---|{'---|' * len(GROUPS)}\n")
    for template in all_templates():
        parser = parser_of(template)
        if parser is None:
            why = loss_of(template, "") or "a model without calls"
            tell(f"| {template.name} | none: {why} |{' |' * len(GROUPS)}\n")
            continue
        found = {name: verdict(template, parser, session) for name, session in sessions.items()}
        cells = " | ".join(_cell({name: found[name] for name in names}) for names in GROUPS.values())
        tell(f"| {template.name} | {parser} | {cells} |\n")
        for name, each in found.items():
            if "-v" in sys.argv and each.kind not in ("same", "target"):
                tell(f"    {name}: {each.kind}: {each.note}\n")


def _cell(found: dict[str, Verdict]) -> str:
    kinds = {each.kind for each in found.values()}
    if kinds == {"same"}:
        return "✓"
    if kinds <= {"same", "target"}:
        return "✓ `--target`" if kinds == {"target"} else "✓ `--target` for " + _names(found, "target")
    if len(kinds) == 1:
        return next(iter(kinds))
    parts = [f"{kind}: {_names(found, kind)}" for kind in ("refused", "dropped", "differs") if kind in kinds]
    return "; ".join(parts)


def _names(found: dict[str, Verdict], kind: str) -> str:
    return ", ".join(name for name, each in found.items() if each.kind == kind)


if __name__ == "__main__":
    main()
