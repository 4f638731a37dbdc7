"""Types of the values and operands in the tables: which texts of each are harmless."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from safety.commands.words import word_list

PLACES: Final = frozenset(
    {"path", "list", "names", "tree", "rev", "node", "dir", "archive", "write", "copy", "move"}
)
"""Types that name places; where they lead is judged apart."""

_BRACKETS = r"\[\^?\]?[^]/]*\]"
_RE = rf"(?:[^/\\\n[]|\\.|{_BRACKETS})*"
_LONGEST_SCRIPT = 2_000
_ADDRESS = rf"(?:\d+|\$|/{_RE}/I?)"
_SED_COMMAND = re.compile(rf"(?:{_ADDRESS}(?:,(?:{_ADDRESS}|[+~]\d+))?\s*)?!?[pdq=]")
_SED_NUMBERS = re.compile(r"(?:(?:\d+|\$)(?:,(?:\d+|\$))?\s*!?[pdq=]\s*;?\s*)+")
_SED_SUBSTITUTE = re.compile(
    rf"(?:(?:\d+|\$)(?:,(?:\d+|\$))?\s*|/{_RE}/\s*)?s(?P<d>[/|#,@!%:~+])(?P<body>.*)", re.DOTALL
)
_AWK_REFUSED = re.compile(
    r"\||system|getline|ENVIRON|ARGV|ARGC|PROCINFO|@|include|load|close|fflush|/inet", re.I
)
_AWK_BLOCK = re.compile(r"\{[^{}>]*\}")
_AWK_BLOCKS = re.compile(r"(?:[^{}\"/]*\{[^{}>]*\})+")
_JQ_REFUSED = re.compile(
    r"\benv\b|\$ENV|\bimport\b|\binclude\b|\bmodulemeta\b|\$__prog|\binput_line|\bload|\bstrenv|\benvsubst|\beval\b"
)
_PRINTF = re.compile(r"(?:[^%]|%%|%[-+ #0]*\d*(?:\.\d*)?[sbdiuoxXfgeEGcq])*", re.DOTALL)
_GRADLE = frozenset({"clean", "tasks", "projects", "dependencies"})


def is_harmless(kind: str, text: str) -> bool:
    """Whether `text` is one of `kind`. A kind that is no type is a list of choices, with `|` between."""
    check = _CHECKS.get(kind)
    if check is not None:
        return check(text)
    return text in kind.split("|")


def _sed(text: str) -> bool:
    """A script that prints, deletes, quits or substitutes, and does nothing else (`w`, `e`, `r` do)."""
    if "\n" in text or len(text) > _LONGEST_SCRIPT:
        return False
    text = text.strip()
    if _SED_NUMBERS.fullmatch(text) or (text.count("/") in (0, 2, 4) and _SED_COMMAND.fullmatch(text)):
        return True
    return all(_substitutes(each) for each in _split_script(text))


def _split_script(text: str) -> list[str]:
    """Only `;` between two `s` commands splits; the parts are judged each by itself."""
    return re.split(r";\s*(?=s[/|#,@])", text)


def _substitutes(text: str) -> bool:
    found = _SED_SUBSTITUTE.fullmatch(text)
    if found is None:
        return False
    parts = re.split(rf"(?<!\\){re.escape(found['d'])}", found["body"].replace("\\\\", "··"))
    # Whether a delimiter between brackets counts, programs do not agree.
    if "[" in re.sub(r"\\.|\[\^?\]?[^]]*\]", "", parts[0]):
        return False
    return len(parts) == 3 and bool(re.fullmatch(r"[gpiI]*\d*[gpiI]*", parts[2].rstrip("; ")))


def _awk(text: str) -> bool:
    """A program that prints. Nothing in it starts, writes or reads anything but the input."""
    if len(text) > _LONGEST_SCRIPT or _AWK_REFUSED.search(text.replace("||", "  ")):
        return False
    if ">" not in text or not re.search(r"[{]|print", text):
        return True
    # Before the braces of an action it compares; in them it would write.
    blocks = _AWK_BLOCK.findall(text)
    if "#" in text or "\\" in text:
        return False
    return _AWK_BLOCKS.fullmatch(text) is not None and all(block.count('"') % 2 == 0 for block in blocks)


def _jq(text: str) -> bool:
    return _JQ_REFUSED.search(text) is None


def _target(text: str) -> bool:
    """A goal of make, a script of npm, …: its name says that it checks or builds, and no more than that."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]*", text):
        return False
    parts = set(re.split(r"[-_.:]", text.lower()))
    return bool(parts & word_list("target_words")) and not parts & word_list("target_refused")


def _gradle(text: str) -> bool:
    named = _target(text.rpartition(":")[2]) or text in _GRADLE
    return named and re.fullmatch(r"[\w:-]+", text) is not None


def _matches(pattern: str) -> Callable[[str], bool]:
    wanted = re.compile(pattern, re.DOTALL)
    return lambda text: wanted.fullmatch(text) is not None


_CHECKS: dict[str, Callable[[str], bool]] = {
    "text": lambda text: True,
    "int": _matches(r"[-+]?\d+"),
    "number": _matches(r"[-+]?\d+(\.\d+)?[smhdkMGKT]?"),
    "seconds": lambda text: bool(re.fullmatch(r"\d{1,3}(\.\d+)?s?", text)),
    "name": _matches(r"[A-Za-z0-9_][A-Za-z0-9_.@:+*-]*"),
    "names_list": _matches(r"[A-Za-z0-9_][A-Za-z0-9_.@:+,/*-]*"),
    "format": _matches(r"\+.*"),
    "ps": lambda text: bool(re.fullmatch(r"[auxfwljr]+", text)) or text.isdecimal(),
    "columns": _matches(r"(?:(?!env|ENV)[A-Za-z0-9_,:%=. -])+"),
    "resource": lambda text: (
        re.fullmatch(r"[A-Za-z0-9_./,-]+", text) is not None
        and not re.search(r"secret|^-|token|credential", text.lower())
    ),
    "kubectl": _matches(r"wide|yaml|json|name|(jsonpath|custom-columns|go-template)=.*"),
    "sed": _sed,
    "awk": _awk,
    "jq": _jq,
    "printf": lambda text: not text.startswith("-") and _PRINTF.fullmatch(text) is not None,
    "target": _target,
    "goal": _matches(r"(test|verify|compile|package|validate|check|build|test-compile|assemble|clean"
                     r"|(:?[A-Za-z0-9_-]+:)+(test|check|build|assemble|compile[A-Za-z]*))"),
    "tested": _matches(r"[^\[$`]*"),
    "gradle": _gradle,
    "plugin_off": _matches(r"no:[\w.-]+"),
    "unit": _matches(r"[A-Za-z_][A-Za-z0-9_./]*"),
    "module": _matches(r"[A-Za-z_][A-Za-z0-9_.]*"),
}  # fmt: skip
