"""Records as they are written: without the secrets that the conversation itself goes on with."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, TypeVar

import msgspec

from conversation.message import AnswerTokens, ToolCall
from safety.redact import Redactor
from trajectories.session_record import AssistantRecord, Header, Record

Line = TypeVar("Line", bound=Header | Record)


class RecordCleaner:
    """Of one session. Whatever is not a secret stays as it is, to the byte.

    Token ids read back as text. So the ids of an answer that was changed are left out, and after the first
    secret also those of what the model reads, since it reads all that came before.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._found_any = False

    def clean(self, line: Line) -> Line:
        """`line` itself where there is nothing to take out."""
        texts, values = _parts(line)
        found: Counter[str] = Counter()
        changed: dict[str, Any] = {}
        if any(map(_is_escaped, texts.values())) or self._redactor.redact("\n".join(texts.values()))[1]:
            changed = {name: self._text(text, found) for name, text in texts.items()}
        changed |= {name: self._value(value, found) for name, value in values.items()}
        changed = {name: value for name, value in changed.items() if value is not getattr(line, name)}
        if found:
            self._found_any = True
            changed["redacted"] = dict(sorted(found.items()))
        if self._found_any and isinstance(line, AssistantRecord) and line.tokens is not None:
            changed["tokens"] = None if found else AnswerTokens([], line.tokens.answer, line.tokens.logprobs)
            changed["tokens_withheld"] = True
        return msgspec.structs.replace(line, **changed) if changed else line

    def _text(self, text: str, found: Counter[str]) -> str:
        """JSON text stays JSON text."""
        clean, kinds = self._redactor.redact(text)
        if not text.startswith(("{", "[")) or not (kinds or _is_escaped(text)):
            found.update(kinds)
            return clean if kinds else text
        try:
            value, inner = self._redactor.redact_json(json.loads(text))
            if not inner and not kinds:
                return text
            found.update(kinds if kinds.total() >= inner.total() else inner)
            if _loads(clean) == value:
                return clean
            return json.dumps(value, ensure_ascii=False)
        except (ValueError, RecursionError):
            found.update(kinds)
            return clean

    def _value(self, value: Any, found: Counter[str]) -> Any:
        if isinstance(value, tuple):
            calls = tuple(self._call(call, found) for call in value)
            return value if all(new is old for new, old in zip(calls, value, strict=True)) else calls
        try:
            clean, kinds = self._redactor.redact_json(value)
        except RecursionError:
            return value
        found.update(kinds)
        return clean if kinds else value

    def _call(self, call: ToolCall, found: Counter[str]) -> ToolCall:
        name, arguments = self._text(call.name, found), self._text(call.arguments, found)
        if name is call.name and arguments is call.arguments:
            return call
        return msgspec.structs.replace(call, name=name, arguments=arguments)


def _parts(line: Header | Record) -> tuple[dict[str, str], dict[str, Any]]:
    """What of a record can hold a secret: its texts, and the dicts, lists and calls among its fields."""
    texts: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name in line.__struct_fields__:
        value = getattr(line, name)
        if isinstance(value, str) and name not in ("ts", "id", "call_id"):
            texts[name] = value
        elif value and isinstance(value, dict | list | tuple) and name != "redacted":
            values[name] = value
    return texts, values


def _is_escaped(text: str) -> bool:
    """Whether JSON text may hold characters in another form than they have in a secret."""
    return text.startswith(("{", "[")) and ("\\u" in text or "\\/" in text)


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
