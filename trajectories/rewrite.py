"""Texts of a history put in other words: without secrets, or without a model's special tokens."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import Any, Protocol

import msgspec

from conversation.history import Entry, History
from conversation.message import AssistantMessage, ToolCall, UserMessage
from conversation.round import Round
from safety.redact import Redactor
from trajectories.session_load import Session
from trajectories.session_record import CompactionRecord, Record
from trajectories.targets import Target
from trajectories.turn_text import arguments_value, is_json, repeats_keys


class Rewrite(Protocol):
    """Each returns what it was given, the same object, where there is nothing to change."""

    def text(self, text: str) -> str: ...

    def result(self, text: str) -> str:
        """What a tool returned; JSON text stays JSON text."""
        ...

    def value(self, value: Any) -> Any:
        """A JSON value."""
        ...


class Clean:
    """Takes secrets out; `found` counts them by kind."""

    def __init__(self, redactor: Redactor) -> None:
        self.found: Counter[str] = Counter()
        self._redactor = redactor

    def text(self, text: str) -> str:
        cleaned, kinds = self._redactor.redact(text)
        self.found.update(kinds)
        return cleaned if kinds else text

    def result(self, text: str) -> str:
        return self.text(text)

    def value(self, value: Any) -> Any:
        cleaned, kinds = self._redactor.redact_json(value)
        self.found.update(kinds)
        return cleaned if kinds else value

    def session(self, session: Session) -> Session:
        """All but the entries of the history."""
        header = session.header
        history = History(self.text(session.history.system))
        for entry in session.history.entries:
            history.add(entry)
        return dataclasses.replace(
            session,
            header=msgspec.structs.replace(
                header, system="", tools=[], cwd=self.text(header.cwd), sampling=self.value(header.sampling)
            ),
            history=history,
            title=self.text(session.title),
            tools=self.value(session.tools),
            turns=[msgspec.structs.replace(turn, reason=self.text(turn.reason)) for turn in session.turns],
            records=[self._record(record) for record in session.records],
        )

    def _record(self, record: Record) -> Record:
        """Entries are taken from the history; of the records only a compaction's text is exported."""
        if isinstance(record, CompactionRecord):
            return msgspec.structs.replace(record, text=self.text(record.text))
        return record


class Escape:
    """Makes the special tokens of `target` plain text: `<` becomes `&lt;`, another character its number, and
    in results that are JSON text `\\u003c`, which reads back as it was."""

    def __init__(self, target: Target) -> None:
        self._pattern = target.pattern

    def text(self, text: str) -> str:
        return self._pattern.sub(lambda match: _as_entity(match[0]), text) if self._has(text) else text

    def result(self, text: str) -> str:
        if not self._has(text):
            return text
        if not is_json(text):
            return self.text(text)
        return self._pattern.sub(lambda match: f"\\u{ord(match[0][0]):04x}{match[0][1:]}", text)

    def value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            mapped: Any = {self.text(key): self.value(each) for key, each in value.items()}
            same = all(mapped.get(key) is each for key, each in value.items())
            return value if same else mapped
        if isinstance(value, list):
            mapped = [self.value(each) for each in value]
            return value if all(one is other for one, other in zip(mapped, value, strict=True)) else mapped
        return value

    def _has(self, text: str) -> bool:
        return self._pattern.search(text) is not None


def rewritten(entry: Entry, how: Rewrite) -> Entry:
    """`entry` in other words; the same object where nothing changed. A changed answer has no token ids."""
    if isinstance(entry, UserMessage):
        content = entry.content
        new = how.text(content) if isinstance(content, str) else how.value(content)
        return entry if new is content else msgspec.structs.replace(entry, content=new)
    answer = _answer(entry.assistant, how)
    texts = [how.result(result.content) for result in entry.results]
    if answer is entry.assistant and all(
        text is result.content for text, result in zip(texts, entry.results, strict=True)
    ):
        return entry
    results = tuple(
        msgspec.structs.replace(result, content=text)
        for result, text in zip(entry.results, texts, strict=True)
    )
    return Round(answer, results)


def _as_entity(token: str) -> str:
    return ("&lt;" if token[0] == "<" else f"&#{ord(token[0])};") + token[1:]


def without_tokens(entry: Entry) -> Entry:
    if isinstance(entry, UserMessage) or entry.assistant.tokens is None:
        return entry
    return Round(msgspec.structs.replace(entry.assistant, tokens=None), entry.results)


def _answer(answer: AssistantMessage, how: Rewrite) -> AssistantMessage:
    changed = msgspec.structs.replace(
        answer,
        content=how.text(answer.content),
        reasoning=how.text(answer.reasoning),
        tool_calls=tuple(_call(call, how) for call in answer.tool_calls),
        reasoning_details=[],
        tokens=None,
    )
    same = (changed.content, changed.reasoning, changed.tool_calls) == (
        answer.content,
        answer.reasoning,
        answer.tool_calls,
    )
    return answer if same else changed


def _call(call: ToolCall, how: Rewrite) -> ToolCall:
    """Arguments are rendered from their values by templates, so it is there that they are changed; in their
    text where they are nested too deeply for that."""
    text = call.arguments
    try:
        value = arguments_value(text)
        new = how.value(value)
    except RecursionError:
        new_text = how.text(text)
    else:
        # readers see the last of two values with one key, and the text holds both
        changed = new is not value or (repeats_keys(text) and how.text(text) != text)
        new_text = json.dumps(new, ensure_ascii=False) if changed else text
    return call if new_text == text else msgspec.structs.replace(call, arguments=new_text)
