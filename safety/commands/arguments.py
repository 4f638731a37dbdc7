"""The words after a program, taken apart as its rule says. What the rule does not name is not understood."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from safety.commands.rules import Rule

_VALUE_WITH_HYPHEN = re.compile(r"-(\d|\Z)")


@dataclass(slots=True)
class Arguments:
    """`options` by name, `typed` values and operands with their types, `operands` as they were given.

    `beside` are words taken for the value of the option before them.
    """

    options: set[str] = field(default_factory=set)
    typed: list[tuple[str, str]] = field(default_factory=list)
    operands: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)


def take_apart(rule: Rule, words: list[str]) -> Arguments | str:
    """The arguments, or the word that is not allowed and why, for a person."""
    found = Arguments()
    if rule.verbatim:
        found.operands = words
        return _typed_operands(rule, found)
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if word == "--" and (rule.single or rule.leading or rule.no_dashes):
            return "-- is not known to end the options here"
        if word == "--":
            rest = words[index:]
            if not rule.after:
                found.operands += rest
                break
            if wrong := [each for each in rest if not any(re.fullmatch(way, each) for way in rule.after)]:
                return f"{wrong[0]} after -- is not known to be harmless"
            found.options.update(rest)
            break
        if not word.startswith("-") or word == "-" or word in rule.literal:
            found.operands.append(word)
            continue
        if rule.leading and found.operands:
            return f"{word[:60]} stands behind an operand"
        taken = (_single if rule.single else _option)(rule, word, words[index : index + 2], found)
        if taken is None:
            return f"the option {word[:60]} is not known to be harmless"
        index += taken
    return _typed_operands(rule, found)


def _single(rule: Rule, word: str, following: list[str], found: Arguments) -> int | None:
    """An option of one word behind one hyphen: `-name X`, also `-name=X`. How many words its value took."""
    name, equals, value = word.partition("=")
    if name not in rule.values and name not in rule.flags and name.startswith("--"):
        name = name[1:]
    if not equals and name in rule.flags:
        found.options.add(name)
        return 0
    kind = rule.values.get(name)
    if kind is None or (not equals and not following):
        return None
    found.options.add(name)
    return _value(kind, value if equals else None, following, found)


def _option(rule: Rule, word: str, following: list[str], found: Arguments) -> int | None:
    """A long option or a cluster of short ones, as getopt reads them. How many words its value took."""
    if re.fullmatch(r"-\d+", word) and "-#" in rule.flags:
        found.options.add("-#")
        return 0
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        kind = rule.values.get(name)
        found.options.add(name)
        if kind is None or (kind.startswith("?") and not equals):
            return 0 if not equals and (name in rule.flags or kind) else None
        return _value(kind, value if equals else None, following, found)
    for at in range(1, len(word)):
        name = "-" + word[at]
        found.options.add(name)
        kind = rule.values.get(name)
        if kind is not None:
            glued = word[at + 1 :]
            if kind.startswith("?") and not glued:
                return 0
            return _value(kind, glued or None, following, found)
        if name not in rule.flags:
            return None
    return 0


def _value(kind: str, value: str | None, following: list[str], found: Arguments) -> int | None:
    if kind == "2":
        found.typed += [("text", each) for each in following]
        return 2 if value is None and len(following) == 2 else None
    if value is None and not following:
        return None
    text = following[0] if value is None else value
    if value is None and text.startswith("-") and not _VALUE_WITH_HYPHEN.match(text):
        return None  # were the option none with a value, this would be one more option
    found.typed.append((kind.removeprefix("?") or "text", text))
    if value is None and kind in ("text", "?"):
        found.beside.append(text)
    return 1 if value is None else 0


def _typed_operands(rule: Rule, found: Arguments) -> Arguments | str:
    operands = [word for word in found.operands if word not in rule.literal]
    if operands and rule.operands_with and not rule.operands_with & found.options:
        return f"{operands[0][:60]} is allowed only with {' or '.join(sorted(rule.operands_with))}"
    if rule.need and not rule.need & found.options:
        return f"it is harmless only with {' or '.join(sorted(rule.need))}"
    kinds = list(rule.operands)
    if kinds and rule.pattern_in & found.options:
        kinds = kinds[1:]
    for index, word in enumerate(operands):
        if index >= len(kinds) and not (kinds and kinds[-1].endswith("*")):
            return f"{word[:60]} is not known to be harmless here"
        kind = kinds[min(index, len(kinds) - 1)]
        found.typed.append((kind.rstrip("*?"), word))
    missing = [kind for kind in kinds[len(operands) :] if not kind.endswith(("*", "?"))]
    return "an operand is missing" if missing else found
