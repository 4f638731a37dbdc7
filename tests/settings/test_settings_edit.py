"""A value changed in place leaves every other byte as it was."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from configuration.home import SettingsError
from configuration.settings_edit import flow_text, with_value, without_value
from configuration.settings_file import SettingsFile, parse_settings


def read(text: str) -> SettingsFile:
    return parse_settings(text, Path("/somewhere/config.yaml"))


@pytest.mark.parametrize(
    ("before", "key", "value", "after"),
    [
        ("m:\n  a: x # why\n  b: 1\n", "m.a", "y", "m:\n  a: y # why\n  b: 1\n"),
        ("m:\n  a: x\n", "m.a", "y: # z", "m:\n  a: 'y: # z'\n"),
        ("m:\n  a: 'x'   # c\n", "m.a", "123", "m:\n  a: '123'   # c\n"),
        ("m:\n  a: two\n    lines # c\n  b: 1\n", "m.a", 5, "m:\n  a: 5 # c\n  b: 1\n"),
        ("m:\n  a: # c\n  b: 1\n", "m.a", 5, "m:\n  a: 5 # c\n  b: 1\n"),
        ("m:\n  a:", "m.a", 5, "m:\n  a: 5"),
        ("m:\n  a: |\n    x\n    y\n\n# c\nn: 1\n", "m.a", "p\nq", 'm:\n  a: "p\\nq"\n\n# c\nn: 1\n'),
        (
            "m:\n  a: # texts\n    - x # 1\n    - y\n  # after\n  b: 1\n",
            "m.a",
            ["q"],
            "m:\n  a: [q] # texts\n  # after\n  b: 1\n",
        ),
        ("m:\n  a:\n  - x\n\n  b: 1\n", "m.a", [], "m:\n  a: []\n\n  b: 1\n"),
        ("m:\n  a: [x,  y] # c\n", "m.a", ["z"], "m:\n  a: [z] # c\n"),
        ("m: {a: 1,  b: 2} # c\n", "m.b", 3, "m: {a: 1,  b: 3} # c\n"),
        ("'m' :\n    \"a\" : 1\n", "m.a", 2, "'m' :\n    \"a\" : 2\n"),
        ("m:\r\n  é: '😀' # ü\r\n  b: 2\r\n", "m.b", 3, "m:\r\n  é: '😀' # ü\r\n  b: 3\r\n"),
        ("m:\n  - x\n", "m", 1, "m: 1\n"),
    ],
)
def test_a_value_that_stands_in_the_file_is_replaced(before: str, key: str, value: Any, after: str) -> None:
    assert with_value(read(before), key.split("."), value) == after


@pytest.mark.parametrize(
    ("before", "key", "after"),
    [
        ("", "m.a", "m:\n  a: 1\n"),
        ("# only words", "m.a", "# only words\nm:\n  a: 1\n"),
        ("x: 1\n", "m.a", "x: 1\nm:\n  a: 1\n"),
        ("---\nx: 1\n", "p.q.a", "---\nx: 1\np:\n  q:\n    a: 1\n"),
        ("m:\n    b: 1 # c\n    # d\nx: 1\n", "m.a", "m:\n    b: 1 # c\n    a: 1\n    # d\nx: 1\n"),
        ("m:\n  b:\n    - 1\n\n# d\nx: 1\n", "m.a", "m:\n  b:\n    - 1\n  a: 1\n\n# d\nx: 1\n"),
        ("m:\n  b: |\n    t\n\nx: 1\n", "m.a", "m:\n  b: |\n    t\n  a: 1\n\nx: 1\n"),
        ("m: # c\nx: 1\n", "m.a", "m: # c\n  a: 1\nx: 1\n"),
        ("m: ~ # c\n", "m.a", "m: {a: 1} # c\n"),
        ("m: {} # c\n", "m.a", "m: {a: 1} # c\n"),
        ("m: {b: 2} # c\n", "m.a", "m: {b: 2, a: 1} # c\n"),
        ("{m: {b: 2}}", "n.a", "{m: {b: 2}, n: {a: 1}}"),
        ("m:\n  b: 2", "m.a", "m:\n  b: 2\n  a: 1"),
        ("m:\r\n  b: 2\r\n", "m.a", "m:\r\n  b: 2\r\n  a: 1\r\n"),
    ],
)
def test_a_value_that_is_not_there_yet_is_added_in_its_section(before: str, key: str, after: str) -> None:
    assert with_value(read(before), key.split("."), 1) == after


@pytest.mark.parametrize(
    ("before", "key", "after"),
    [
        ("m:\n  a: 1 # c\n  b: 2\n", "m.a", "m:\n  b: 2\n"),
        ("m:\n  a: 1\nx: 1\n", "m.a", "x: 1\n"),
        ("# mine\nm:\n  a: 1\n\n# other\nx: 1\n", "m.a", "# mine\n\n# other\nx: 1\n"),
        ("m: # why\n  a: 1\nx: 1\n", "m.a", "m: # why\nx: 1\n"),
        ("m:\n  # why\n  a: 1\nx: 1\n", "m.a", "m:\n  # why\nx: 1\n"),
        ("m:\n  a: 1\n\n  # b: 2\nx: 1\n", "m.a", "m:\n\n  # b: 2\nx: 1\n"),
        ("m:\n  n:\n    a: 1\nx: 1\n", "m.n.a", "m:\n  n:\nx: 1\n"),
        ("{m: {a: 1}, x: 1}\n", "m.a", "{m: {}, x: 1}\n"),
        ("m: {a: 1, b: 2}\n", "m.a", "m: {b: 2}\n"),
        ("m: {b: 2, a: 1}\n", "m.a", "m: {b: 2}\n"),
        ("m: {a: 1}\n", "m.a", ""),
        ("m:\n  a:\n    - 1\n    # c\n    - 2\n\n  # d\n  b: 2\n", "m.a", "m:\n\n  # d\n  b: 2\n"),
        ("m:\n  a: 1\n# d\nx: 1", "m", "# d\nx: 1"),
    ],
)
def test_a_value_is_taken_out_with_its_line_alone(before: str, key: str, after: str) -> None:
    assert without_value(read(before), key.split(".")) == after


def test_taking_out_what_is_not_there_says_so() -> None:
    assert without_value(read("m: {a: 1}\n"), ["m", "b"]) is None
    assert without_value(read(""), ["m", "b"]) is None


@pytest.mark.parametrize(
    ("before", "key"),
    [
        ("a: &x 1\nb: *x\n", "b"),
        ("a: &x 1\nb: *x\n", "a"),
        ("a: 1\n...\n", "b"),
        ("a: &x {c: 1}\nb: *x\n", "b.c"),
    ],
)
def test_a_layout_that_cannot_be_changed_safely_is_refused(before: str, key: str) -> None:
    with pytest.raises(SettingsError, match="hermes config edit"):
        with_value(read(before), key.split("."), 5)


def test_a_value_below_something_that_is_no_section_is_refused_with_its_line() -> None:
    with pytest.raises(SettingsError, match=r"config\.yaml:2: m\.a is not a section"):
        with_value(read("m:\n  a: 5\n"), ["m", "a", "b"], 1)


STRINGS = [
    "yes",
    "1",
    "1e3",
    "null",
    "",
    "~",
    "=",
    "<<",
    "- x",
    "#x",
    "x: y",
    " x ",
    "[x",
    "it's",
    "2024-01-01",
]
MARKS = ["!x", "&x", "*x", "%x", "@x", "`x", "a, b}", "\t", "\x1b[1m"]
BREAKS = ["a\nb\n", "\n", "\u2028", "\x85", "a\r\nb", '"q"', "é" * 300, "😀"]
OTHERS = [
    1,
    -1,
    1.5,
    1e-5,
    1e300,
    float("inf"),
    True,
    None,
    [],
    {},
    ["a", ["b"]],
    {"a b": {"c: d": [1, "2"]}},
]


@pytest.mark.parametrize("value", [*STRINGS, *MARKS, *BREAKS, *OTHERS])
def test_any_plain_value_survives_being_written(value: Any) -> None:
    text = flow_text(value)
    assert "\n" not in text
    assert read(f"a: {text} # c\n").data == {"a": value}
    assert read(f"a: [{text}]\n").data == {"a": [value]}


SHAPES = [  # how an entry k may look, and how it looks when its value is `new`
    (["  k: x"], ["  k: new"]),
    (["  k:   'y' # c"], ["  k:   new # c"]),
    (["  k: [1, {a: 2}] # é"], ["  k: new # é"]),
    (["  k: # list", "    - a # 1", "    # inside", "    - {b: 1}"], ["  k: new # list"]),
    (["  k:", "  - a", "  - - b", "    - c"], ["  k: new"]),
    (["  k: # below", "    a: 1", "    b:", "      - 1"], ["  k: new # below"]),
    (["  k: >-", "    one", "", "    two"], ["  k: new"]),
    (['  k: "one', '    two" # c'], ["  k: new # c"]),
]
BETWEEN = [[], [""], ["  # a comment", ""], ["# at the margin"], ["", "      # far in"]]


@pytest.mark.parametrize("seed", range(60))
def test_in_a_file_of_any_shape_everything_but_the_value_stays(seed: int) -> None:
    dice = random.Random(seed)
    entries = [(section, number) for section in range(3) for number in range(dice.randint(1, 4))]
    target = dice.choice(entries)
    before: list[str] = ["# head"]
    after: list[str] = ["# head"]
    for section, number in entries:
        old, new = dice.choice(SHAPES)
        about = [f"s{section}: # section"] if number == 0 else []
        between = dice.choice(BETWEEN)
        chosen = new if (section, number) == target else old
        for lines, shape in ((before, old), (after, chosen)):
            lines += [*about, *(line.replace("  k:", f"  k{number}:") for line in shape), *between]
    end = dice.choice(["", "\n", "\n\n# end\n"])
    eol = dice.choice(["\n", "\r\n"])
    text, expected = (eol.join(lines) + end.replace("\n", eol) for lines in (before, after))
    assert with_value(read(text), [f"s{target[0]}", f"k{target[1]}"], "new") == expected
