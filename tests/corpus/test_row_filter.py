"""Expressions that choose rows, over rows of every format."""

from __future__ import annotations

import random
from typing import Any

import pytest

from corpus.reading import Row, read_rows
from corpus.row_filter import FACTS, FilterError, parse_filter
from tests.corpus.every_format import lines_of_formats, write_rows, write_session

NAMES = ["both", "sharegpt", "openai", "trl", "llamafactory", "axolotl", "nemo", "atif", "hf"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The same conversation as a row of every format."""
    folder = tmp_path_factory.mktemp("rows")
    found = {}
    for name, lines in lines_of_formats(write_session(folder / "sessions")).items():
        (row,) = read_rows(write_rows(folder / name, *lines))
        assert isinstance(row, Row)
        found[name] = row.value
    return found


def accepts(text: str, row: dict[str, Any]) -> bool:
    return parse_filter(text).accepts(row)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    [
        "outcome=done",
        "turns=2 and turns>=2 and turns<3 and turns!=3",
        "tool=terminal and not tool=web_search",
        "tool_failed=terminal",
        "calls=2 and failures=1",
        "answers=3",
        "model=test-model",
        "prompt='list the files'",
        'answer~"WELCOME"',
        "text~a.txt and text~'not found' and text~ls",
        "reasoning and reasoning<0.5",
        "tokens>10 and tokens<1000 and characters>tokens or characters>50",
        "outcome=done and turns>=2 and tool=terminal and not flag=flawed",
        "system~'be kind'",
    ],
)
def test_the_same_expression_holds_for_every_format(
    rows: dict[str, dict[str, Any]], name: str, text: str
) -> None:
    assert accepts(text, rows[name])
    assert not accepts(f"not ({text})", rows[name])


BATCH = {
    "prompt_index": 7,
    "conversations": [
        {"from": "human", "value": "hi"},
        {"from": "gpt", "value": "<think>\n</think>\nhello"},
    ],
    "metadata": {"model": "m/1", "difficulty": 3, "tags": ["a", "b"]},
    "completed": False,
    "partial": True,
    "toolsets_used": ["web", "terminal"],
    "tool_stats": {
        "terminal": {"count": 3, "success": 2, "failure": 1},
        "web_search": {"count": 0, "success": 0, "failure": 0},
    },
    "tool_error_counts": {"terminal": 1},
    "nothing": None,
    "sampling": '{"temperature": 0.5}',
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tool=terminal", True),
        ("tool=web_search", False),
        ("tool!=web_search", True),
        ("tool_failed=terminal and failures=1 and calls=3", True),
        ("outcome=partial", True),
        ("model=m/1 and metadata.model=m/1", True),
        ("metadata.difficulty>=3", True),
        ("metadata.difficulty>10", False),
        ("metadata.tags=b", True),
        ("metadata.tags!=b", False),
        ("toolsets_used=web", True),
        ("tool_stats.terminal.success=2", True),
        ("sampling.temperature=0.5 and sampling.temperature<1", True),
        ("prompt_index=7 and id=7", True),
        ("completed=false and partial=true", True),
        ("completed", False),
        ("partial and not completed", True),
        ("nothing=null", True),
        ("nothing", False),
        ("reasoning", False),
        ("metadata.model~M/", True),
        ("metadata.model<n and metadata.model>a", True),
        ("metadata.model<5", False),
        ("turns=1 or nonsense=1", True),
        ("not turns=1 or turns=1", True),
        ("turns=1 or turns=2 and turns=3", True),
        ("(turns=1 or turns=2) and turns=3", False),
        ("NOT turns=1", False),
        ("id='7'", True),
        ("conversations.from=gpt", True),
    ],
)
def test_what_an_expression_says_of_a_batch_row(text: str, expected: bool) -> None:
    assert accepts(text, BATCH) is expected


@pytest.mark.parametrize("operator", ["=", "!=", "<", "<=", ">", ">=", "~"])
def test_a_comparison_with_a_field_a_row_lacks_is_false_and_counted(operator: str) -> None:
    chosen = parse_filter(f"metadata.nope {operator} 1 or turns=5")
    assert not any(chosen.accepts(BATCH) for _ in range(3))
    assert chosen.unknown == {"metadata.nope": 3}


def test_keys_of_facts_are_never_missing() -> None:
    chosen = parse_filter(" and ".join(FACTS))
    chosen.accepts({})
    assert not chosen.unknown


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("", "empty", 0),
        ("turns>", "expected a value after >", 6),
        ("(turns=1", "not closed", 0),
        ("turns=1)", "expected and, or, or the end", 7),
        ("turns=1 outcome=done", "expected and, or, or the end", 8),
        ("and turns=1", "expected a key", 0),
        ("turns=1 and", "expected a key", 11),
        ("prompt='open", "quote is not closed", 7),
        ("a ! b", "cannot read '!'", 2),
        ("turns==1", "expected a value after =", 6),
        ("not " * 60 + "turns", "in one another", 200),
    ],
)
def test_an_expression_that_cannot_be_read_points_at_the_place(text: str, message: str, place: int) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    what, _, mark = str(caught.value).splitlines()
    assert message in what
    assert mark.index("^") - 2 == place


def test_words_that_mean_something_may_be_values_and_quoted_keys() -> None:
    assert accepts("x=and and x=or and x=not", {"x": ["and", "or", "not"]})
    assert accepts("'a b'='c \\' d'", {"a b": "c ' d"})


HOSTILE_ROWS: list[dict[str, Any]] = [
    {},
    {"conversations": None, "messages": 5, "steps": {}},
    {
        "conversations": [
            None,
            1,
            "x",
            {},
            {"from": 1, "value": 2},
            {"from": "gpt"},
            {"from": "gpt", "value": None},
        ]
    },
    {"conversations": [{"from": "gpt", "value": "<tool_call>" * 1000}], "tool_stats": [1, None, {}]},
    {
        "messages": [
            None,
            {},
            {"role": "assistant", "tool_calls": [1, {}, {"function": 3}], "content": {"a": 1}},
        ]
    },
    {"messages": [{"role": "tool", "content": [1]}], "flags": "x", "usage": [], "turns": 10**400},
    {"steps": [None, {"source": "agent", "observation": {"results": [None, 3]}, "tool_calls": 7}]},
    {"prompt": 3, "completion": [1]},
    {"tool_stats": '{"a": 1}', "facts": "no json", "extra": 3, "turns": -5, "outcome": 7, "model": []},
    {"tool_stats": {"a": 1, "b": {"count": True}}, "usage": {"cost": "x", "prompt_tokens": 10**300}},
]


@pytest.mark.parametrize("row", HOSTILE_ROWS, ids=range(len(HOSTILE_ROWS)))
def test_no_row_makes_an_expression_fail(row: dict[str, Any]) -> None:
    for key in (*FACTS, "messages.role", "usage.cost", "tool_stats.a"):
        for rest in ("", "=1", "!=1", "<1", ">=a", "~x"):
            assert parse_filter(key + rest).accepts(row) in (True, False)


def test_any_text_is_read_or_refused_with_a_place() -> None:
    source = random.Random(2)
    pieces = [
        "a",
        "b.c",
        "=",
        "!=",
        "<",
        "~",
        "(",
        ")",
        " and ",
        " or ",
        " not ",
        "'",
        '"',
        "1",
        " ",
        "\\",
        "!",
        "\n",
    ]
    for _ in range(3000):
        text = "".join(source.choice(pieces) for _ in range(source.randrange(12)))
        try:
            parse_filter(text).accepts(BATCH)
        except FilterError as error:
            assert "^" in str(error)
