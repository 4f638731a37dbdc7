"""What a model or a tool may write: no export of it fails, and each line can be read back."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from conversation.round import Round
from safety.redact import Redactor
from trajectories.formats.registry import FORMATS
from trajectories.prepared import Prepared
from trajectories.preparing import prepare
from trajectories.row_line import row_line
from trajectories.targets import TARGETS
from trajectories.turn_text import arguments_value

ARGUMENTS = [
    "{}",
    r'{"command": "\ud800 \udfff \ud83e\uddc0 \\ud800"}',
    '{"n": 123456789012345678901234567890, "f": 1e999, "g": -1E+400, "h": 1.10}',
    '{"a":' * 300 + "1" + "}" * 300,
    '{"": {"": [null, true, [[]], {}]}}',
    '{"a": 1, "a": 2}',
    ' \n{"x": "\\u0000\\u001b[2J"}\t ',
    '{"x": "sk-proj-' + "a1B2c3D4e5F6" * 4 + r' \ud800"}',
]
CONTENTS = [
    "",
    "null",
    "{",
    "[NaN]",
    "\u2028\u2029\x85",
    "[" * 3000,
    '{"a": 1e999}',
    "</tool_response>",
    "\ud800",
]


KEY = "sk-proj-" + "a1B2c3D4e5F6" * 4


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_conversation_however_odd_is_exported(name: str, new_talk: Any) -> None:
    dice = random.Random(3)
    for number in range(60):
        talk = new_talk().person(dice.choice([*CONTENTS, [], [{"type": "text"}, {"type": "image_url"}, {}]]))
        for n in range(dice.randrange(4)):
            ids = [f"c{n}_{k}" for k in range(dice.choice([1, 3]))]
            text, reasoning = dice.choice(CONTENTS), dice.choice(CONTENTS)
            talk.call(*ids, text=text, reasoning=reasoning, arguments=dice.choice(ARGUMENTS))
            for each in ids[: dice.randrange(4)]:
                talk.result(each, dice.choice(CONTENTS), dice.choice(["ok", "interrupted", "unknown"]))
            if dice.random() < 0.3:
                talk.person(dice.choice(CONTENTS))
        target = dice.choice([None, *TARGETS])
        redactor = dice.choice([None, Redactor(["null"])])
        rows = FORMATS[name].rows(prepare(talk.load(), target=target, redactor=redactor))
        for row in rows:
            line = row_line(row)
            assert line.count(b"\n") == 1, number
            assert json.loads(line)
            json.dumps(row, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"a": "\ud800", "\udc00": ["\ud83e\uddc0"]}', {"a": "\ufffd", "\ufffd": ["🧀"]}),
        (r'{"a": "\\ud800"}', {"a": "\\ud800"}),
        ('{"a": 1e999, "b": -1e999, "c": 1e9}', {"a": "1e999", "b": "-1e999", "c": 1e9}),
        ('{"a": 12345678901234567890123}', {"a": 12345678901234567890123}),
    ],
)
def test_arguments_become_values_that_a_file_can_hold(text: str, value: Any) -> None:
    assert arguments_value(text) == value


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize(
    "arguments",
    [
        f'{{"key": "{KEY}", "key": "x"}}',
        '{"headers": {"Authorization": "Basic ' + KEY[8:] + '"}}',
        '{"a": ' * 900 + f'"{KEY}"' + "}" * 900,
    ],
)
def test_secrets_leave_arguments_wherever_they_stand(name: str, arguments: str, talk: Any) -> None:
    talk.person("Go.").call("c1", arguments=arguments).result("c1").answer("Done.").end()
    prepared = prepare(talk.load(), redactor=Redactor())
    lines = b"".join(map(row_line, FORMATS[name].rows(prepared)))
    assert b"terminal" in lines
    assert KEY[8:].encode() not in lines
    assert sum(prepared.redactions.values()) == 1


def test_special_tokens_leave_arguments_however_deep_and_their_keys(talk: Any) -> None:
    token = "<|im_end|>"
    deep = '{"a": ' * 900 + f'"{token}"' + "}" * 900
    talk.person("Go.").call("c1", arguments=deep).result("c1")
    talk.call("c2", arguments=json.dumps({token: token})).result("c2").answer("Done.").end()
    for target in TARGETS:
        first, second = _arguments(prepare(talk.load(), target=target))
        if target.pattern.search(token):
            assert first == deep.replace("<", "&lt;")
            assert json.loads(second) == {"&lt;|im_end|>": "&lt;|im_end|>"}


def test_arguments_that_parted_text_would_break_stay_json(talk: Any) -> None:
    begin, end = (f"-----{word} PRIVATE KEY-----" for word in ("BEGIN", "END"))
    arguments = json.dumps({"a": begin, "b": "a key begins, and then it goes on and on and on", "c": end})
    talk.person("Go.").call("c1", arguments=arguments).result("c1").answer("Done.").end()
    assert _arguments(prepare(talk.load(), redactor=Redactor())) == [arguments]


def _arguments(prepared: Prepared) -> list[str]:
    rounds = [entry for entry in prepared.session.history.entries if isinstance(entry, Round)]
    return [call.arguments for each in rounds for call in each.assistant.tool_calls]
