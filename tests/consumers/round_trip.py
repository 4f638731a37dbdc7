"""Export → chat template → the family's parser: are the calls the same?

python -m tests.consumers.round_trip        prints the table of docs/consumers.md
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tests.consumers.conversations import CASES, CallCase, case_session
from tests.consumers.templates import EOS, Refused, Template, all_templates, render
from tool_call_parsers import get_parser
from trajectories.openai_messages import openai_row

# Which parser reads what a template writes. The first that is found in the template's name counts.
_FAMILIES = (
    (
        "hermes-2|hermes-3|hermes|qwq|qwen-qwen2|qwen2_5|qwen3-0|qwen3_instruct|qwen3_vl|qwen3$|qwen3_training",
        "hermes",
    ),
    ("qwen3-coder|qwen3coder|qwen3[._][568]", "qwen3_coder"),
    ("llama4_pythonic", "llama4_pythonic"),
    ("llama3.2_pythonic|gemma3_pythonic|toolace", "pythonic"),
    ("xlam", "xlam"),
    ("llama4_json", "llama4_json"),
    ("deepseek-?v3.?1$", "deepseek_v31"),
    ("deepseek-v3.2", "deepseek_v32"),
    ("deepseek-v4", "deepseek_v4"),
    ("deepseek", "deepseek_v3"),
    ("llama-3|llama3", "llama3_json"),
    ("ministral-3|devstral", "mistral_v11"),
    ("mistral", "mistral"),
    ("kimi-k3", "kimi_k3"),
    ("kimi", "kimi_k2"),
    ("glm-4.7", "glm47"),
    ("glm", "glm45"),
    ("gpt-?oss", "gpt_oss"),
    ("granite-4|granite4", "granite4"),
    ("granite_20b", "granite_20b_fc"),
    ("granite", "granite"),
    ("minimax-m3", "minimax_m3"),
    ("minimax", "minimax_m2"),
    ("seed-oss", "seed_oss"),
    ("nemotron-nano-v2", ""),
    ("nemotron", "nemotron_v3"),
    ("functiongemma", "functiongemma"),
    ("gemma-?4", "gemma4"),
    ("lfm2", "lfm2"),
    ("apertus", "apertus"),
    ("hy3", "hy_v3"),
    ("hunyuan", "hunyuan_a13b"),
    ("internlm", "internlm2"),
    ("muse_glimmer", "muse_glimmer"),
    ("phi4", "phi4_mini_json"),
    ("cohere", "cohere_command4"),
)


class Verdict(NamedTuple):
    """`kind`: same, refused (by the template), dropped (the template shows no such call), differs."""

    kind: str
    note: str = ""


def family_of(template: Template) -> str | None:
    """The parser's name; None for a template of a model without calls."""
    name = template.name.lower()
    return next((family or None for pattern, family in _FAMILIES if re.search(pattern, name)), None)


def template_messages(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The row's messages with `arguments` as objects, as chat templates want them."""
    messages: list[dict[str, Any]] = json.loads(json.dumps(row["messages"]))
    for message in messages:
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return messages


def generated_text(template: Template, row: dict[str, Any]) -> str:
    """What the model would have written for its first answer. Raises Refused."""
    messages = template_messages(row)
    tools = row["tools"]
    at = next(index for index, message in enumerate(messages) if message["role"] == "assistant")
    asked = render(template, messages[:at], tools, add_generation_prompt=True)
    answered = render(template, messages[: at + 1], tools, add_generation_prompt=False)
    shared = _shared_start(asked, answered)
    begun = shared.rfind("<")  # both may begin with a mark, each with another one
    return answered[begun if begun > shared.rfind(">") else len(shared) :]


def verdict(template: Template, case: CallCase, row: dict[str, Any]) -> Verdict:
    family = family_of(template)
    if family is None:
        return Verdict("no calls")
    try:
        text = generated_text(template, row)
    except Refused as refused:
        return Verdict("refused", str(refused))
    parsed = get_parser(family).parse(text.removesuffix(EOS), row["tools"])
    wanted = [(name, arguments) for name, arguments in case.calls]
    got = [(call["function"]["name"], _loads(call["function"]["arguments"])) for call in parsed.tool_calls]
    if _exact(got) == _exact(wanted):
        return Verdict("same")
    if not any(name in text for name, _ in case.calls):
        return Verdict("dropped", repr(text))
    return Verdict("differs", f"{text!r} → {got!r}")


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _exact(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _shared_start(one: str, other: str) -> str:
    size = next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    return one[:size]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = {case.name: openai_row(case_session(Path(folder), case)) for case in CASES}
    for template in all_templates():
        verdicts = {case.name: verdict(template, case, rows[case.name]) for case in CASES}
        print(template.name, family_of(template), {v.kind for v in verdicts.values()})
        for name, found in verdicts.items():
            if found.kind not in ("same", "no calls"):
                print("   ", name, found.kind, found.note[:400])


if __name__ == "__main__":
    main()
