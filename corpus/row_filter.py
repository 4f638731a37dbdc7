"""The expressions that choose rows: `outcome=done and turns>=2 and tool=terminal and not flag=flawed`.

    expression  = all {"or" all}
    all         = one {"and" one}
    one         = "not" one | "(" expression ")" | key [operator value]
    operator    = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~"
    key         = a fact of `FACTS`, or the path of a field of the row: metadata.model
    value       = a word, or text in quotes

A key alone asks whether there is something: not false, empty or zero. `~` means contains, whatever the case.
Of a key with several values (`tool`) one has to match; `!=` says that none is equal.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from corpus.row_content import as_text, json_value
from corpus.row_facts import RowFacts

FACTS: dict[str, Callable[[RowFacts], Any]] = {
    "id": lambda facts: facts.id,
    "model": lambda facts: facts.model,
    "outcome": lambda facts: facts.outcome,
    "turns": lambda facts: facts.turns,
    "messages": lambda facts: len(facts.content),
    "answers": lambda facts: len(facts.answers),
    "calls": lambda facts: sum(use.calls for use in facts.tools.values()),
    "failures": lambda facts: sum(use.failed for use in facts.tools.values()),
    "tool": lambda facts: list(facts.tools),
    "tool_failed": lambda facts: [name for name, use in facts.tools.items() if use.failed],
    "flag": lambda facts: list(facts.flags),
    "reasoning": lambda facts: facts.reasoning,
    "tokens": lambda facts: facts.tokens,
    "characters": lambda facts: facts.characters,
    "prompt": lambda facts: facts.prompt,
    "answer": lambda facts: facts.answer,
    "system": lambda facts: facts.system,
    "text": lambda facts: facts.text,
}
"""Keys that every row has, whatever its format. They go before a field of the same name."""

DEPTH = 50
"""How deep parentheses and `not` may stand in one another."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<sign>!=|<=|>=|=|<|>|~|\(|\))|"(?P<double>[^"\\]*(?:\\.[^"\\]*)*)"|'(?P<single>[^'\\]*(?:\\.[^'\\]*)*)'"""
    r"""|(?P<word>[^\s()=!<>~"']+))""",
    re.DOTALL,
)
_SIGNS = ("=", "!=", "<", "<=", ">", ">=", "~")

_Test = Callable[[RowFacts, Counter[str]], bool]


class FilterError(ValueError):
    """An expression that cannot be read. The text ends with the expression and a mark below the place."""


class RowFilter:
    """`text` is the expression. `unknown` counts, for each key, the rows that had no such field."""

    def __init__(self, text: str, test: _Test) -> None:
        self.text = text
        self.unknown: Counter[str] = Counter()
        self._test = test

    def accepts(self, row: Mapping[str, Any]) -> bool:
        """Whether the row is wanted. A comparison with a field the row lacks is false. Never raises."""
        missing: Counter[str] = Counter()
        accepted = self._test(RowFacts(row), missing)
        self.unknown.update(missing.keys())
        return accepted


def parse_filter(text: str) -> RowFilter:
    """Raises FilterError."""
    return RowFilter(text, _Parser(text).whole())


def field_values(row: Any, path: str) -> list[Any]:
    """The values at a dotted path; of a list, those of each element. [] where there is no such field.

    JSON text on the way (`sampling`) is looked into.
    """
    if isinstance(row, Mapping) and path in row:
        return _spread(row[path])
    values = [row]
    for part in path.split("."):
        following: list[Any] = []
        for value in values:
            if isinstance(value, str) and value[:1] in ("{", "["):
                value = json_value(value)
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, Mapping) and part in each:
                    following.append(each[part])
        values = following
    return [each for value in values for each in _spread(value)]


def key_values(facts: RowFacts, key: str) -> list[Any] | None:
    """The values of a fact or a field; None where the row has no such field."""
    known = FACTS.get(key)
    if known is not None:
        value = known(facts)
        return value if isinstance(value, list) else [value]
    return field_values(facts.said, key) or None


def _spread(value: Any) -> list[Any]:
    """An empty list is a field that is there, and holds nothing."""
    return value or [None] if isinstance(value, list) else [value]


class _Token(NamedTuple):
    kind: str
    text: str
    place: int


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._scan())
        self._next = 0
        self._depth = 0

    def whole(self) -> _Test:
        if self._peek().kind == "end":
            raise self._error("the expression is empty", 0)
        test = self._any()
        token = self._peek()
        if token.kind != "end":
            raise self._error(f"expected and, or, or the end before {token.text!r}", token.place)
        return test

    def _scan(self) -> Iterator[_Token]:
        place = 0
        while match := _TOKEN.match(self._text, place):
            kind = str(match.lastgroup)
            text = match[kind]
            quoted = kind in ("double", "single")
            if quoted:
                kind, text = "text", re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
            elif kind == "word" and text.lower() in ("and", "or", "not"):
                kind = text = text.lower()
            yield _Token(kind, text, match.start(match.lastgroup or 0) - quoted)
            place = match.end()
        rest = self._text[place:].lstrip()
        if rest:
            what = "the quote is not closed" if rest[0] in "\"'" else f"cannot read {rest[0]!r} here"
            raise self._error(what, len(self._text) - len(rest))
        yield _Token("end", "the end", len(self._text))

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += token.kind != "end"
        return token

    def _any(self) -> _Test:
        tests = [self._all()]
        while self._peek().kind == "or":
            self._take()
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda facts, missing: any(t(facts, missing) for t in tests)

    def _all(self) -> _Test:
        tests = [self._one()]
        while self._peek().kind == "and":
            self._take()
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda facts, missing: all(t(facts, missing) for t in tests)

    def _one(self) -> _Test:
        token = self._take()
        self._depth += 1
        if self._depth > DEPTH:
            raise self._error(f"more than {DEPTH} parentheses and nots in one another", token.place)
        try:
            if token.kind == "not":
                inner = self._one()
                return lambda facts, missing: not inner(facts, missing)
            if token.text == "(" and token.kind == "sign":
                inner = self._any()
                closing = self._take()
                if (closing.kind, closing.text) != ("sign", ")"):
                    raise self._error("this parenthesis is not closed", token.place)
                return inner
            if token.kind not in ("word", "text"):
                raise self._error(f"expected a key, found {token.text!r}", token.place)
            return self._comparison(token)
        finally:
            self._depth -= 1

    def _comparison(self, key: _Token) -> _Test:
        operator = self._peek()
        if operator.kind != "sign" or operator.text not in _SIGNS:
            return _comparison(key.text, "", "")
        self._take()
        value = self._take()
        if value.kind not in ("word", "text", "and", "or", "not"):
            raise self._error(f"expected a value after {operator.text}, found {value.text!r}", value.place)
        return _comparison(key.text, operator.text, value.text)

    def _error(self, what: str, place: int) -> FilterError:
        shown = "".join(character if character.isprintable() else "?" for character in self._text)
        return FilterError(f"{what}\n  {shown}\n  {' ' * place}^")


def _comparison(key: str, operator: str, wanted: str) -> _Test:
    matches = _matcher(operator, wanted)

    def test(facts: RowFacts, missing: Counter[str]) -> bool:
        values = key_values(facts, key)
        if values is None:
            missing[key] = 1
            return False
        if operator == "!=":
            return not any(matches(value) for value in values)
        return any(matches(value) for value in values)

    return test


def _matcher(operator: str, wanted: str) -> Callable[[Any], bool]:
    if operator == "":
        return bool
    if operator == "~":
        part = wanted.casefold()
        return lambda value: part in _plain(value).casefold()
    number = _number(wanted)
    if operator in ("=", "!="):
        return lambda value: _plain(value) == wanted or (number is not None and _number(value) == number)
    order = _ORDER[operator]

    def compare(value: Any) -> bool:
        if number is None:
            return isinstance(value, str) and order(value, wanted)
        found = _number(value)
        return found is not None and order(found, number)

    return compare


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda one, other: bool(one < other),
    "<=": lambda one, other: bool(one <= other),
    ">": lambda one, other: bool(one > other),
    ">=": lambda one, other: bool(one >= other),
}


def _plain(value: Any) -> str:
    """Values as a person writes them: true, false, null, text without quotes."""
    return "null" if value is None else as_text(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
