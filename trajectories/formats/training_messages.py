"""The messages of a row for trainers that render it with a model's chat template: trl, axolotl, nemo."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from conversation.message import UserMessage
from conversation.round import Round
from trajectories.exported_entries import Exported, ExportedEntry, exported_entries
from trajectories.openai_messages import assistant_message, system_message, tool_message
from trajectories.prepared import Prepared
from trajectories.row_facts import json_of, row_facts
from trajectories.sharegpt import human_text
from trajectories.turn_text import strict_json

UNTRAINED = frozenset({"flawed", "interrupted", "cut_off"})
"""Flags of answers nobody should learn to give: calls that could not be run, and halves."""

SILENCE = " "
"""What stands for an answer that was not given; some templates refuse one without any text."""

TRAINING_COLUMNS: dict[str, Any] = {
    "tools": "text",
    "id": "text",
    "timestamp": "text",
    "model": "text",
    "outcome": "text",
    "completed": "bool",
    "facts": "text",
}
"""The columns beside the messages. What else is known is one JSON text: no column is ragged."""


@dataclass(slots=True)
class TrainingMessages:
    """`learn` runs parallel to `messages`: which of them are worth learning. `answers` are the places of the
    model's own answers."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    learn: list[bool] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def add(self, message: dict[str, Any], learn: bool = False) -> None:
        self.messages.append(message)
        self.learn.append(learn)


def trained_entries(exported: Exported) -> list[ExportedEntry]:
    """The entries up to the last answer (flag `unfinished` if it has calls: its results do not count).

    What the person said in several messages in a row is one (flag `merged`), and a part of it that is no text
    is named in brackets.
    """
    entries: list[ExportedEntry] = []
    for each in exported.entries:
        if isinstance(each.entry, Round):
            entries.append(each)
            continue
        text = human_text(each.entry)
        if entries and isinstance(entries[-1].entry, UserMessage):
            said = UserMessage(f"{entries[-1].entry.text}\n\n{text}")
            entries[-1] = ExportedEntry(said, entries[-1].ts, entries[-1].flags | each.flags | {"merged"})
        else:
            entries.append(ExportedEntry(UserMessage(text), each.ts, each.flags))
    if entries and isinstance(entries[-1].entry, UserMessage):
        entries.pop()
    if entries and isinstance(last := entries[-1].entry, Round) and last.results:
        entries[-1] = ExportedEntry(last, entries[-1].ts, entries[-1].flags | {"unfinished"})
    return entries


def training_messages(prepared: Prepared, exported: Exported) -> TrainingMessages | None:
    """Messages that end on an answer; None where the model gave none. `arguments` are JSON text.

    Where the person spoke right after results and the target's template wants them to alternate with the
    model, an answer of a blank stands between, not to be learned.
    """
    entries = trained_entries(exported)
    if not entries:
        return None
    made = TrainingMessages()
    alternating = prepared.target is not None and prepared.target.alternating
    for message in system_message(prepared):
        made.add(message)
    for each in entries:
        if isinstance(each.entry, UserMessage):
            if alternating and made.messages and made.messages[-1]["role"] == "tool":
                made.add({"role": "assistant", "content": SILENCE})
            made.add({"role": "user", "content": each.entry.text})
            continue
        made.answers.append(len(made.messages))
        made.add(_answer(each.entry, prepared), not each.flags & UNTRAINED)
        if "unfinished" not in each.flags:
            for result in each.entry.results:
                made.add(tool_message(result))
    return made


def training_facts(
    prepared: Prepared, exported: Exported, answers: list[int], place: str = "message"
) -> dict[str, Any]:
    """The columns beside the messages; `answers` and `place` as in `row_facts`."""
    session = prepared.session
    facts = row_facts(prepared, exported, answers, place)
    ended_on_answer = isinstance(last := exported.entries[-1].entry, Round) and not last.results
    return {
        "tools": json_of(session.tools),
        "id": session.path.stem,
        "timestamp": session.header.started or session.ended,
        "model": session.model,
        "outcome": facts["outcome"],
        "completed": facts["outcome"] == "done" and ended_on_answer,
        "facts": json_of(_unfolded(facts)),
    }


def _unfolded(facts: dict[str, Any]) -> dict[str, Any]:
    """In one JSON text no part needs to be JSON text again. No token ids: trainers make their own."""
    facts = facts | {name: strict_json(facts[name]) for name in ("answers", "compactions", "sampling")}
    for answer in facts["answers"]:
        answer.pop("tokens", None)
    return facts


def training_parts(prepared: Prepared) -> tuple[TrainingMessages, dict[str, Any]] | None:
    """The messages of a row and the columns beside them."""
    exported = exported_entries(prepared)
    made = training_messages(prepared, exported)
    return None if made is None else (made, training_facts(prepared, exported, made.answers))


def _answer(round_: Round, prepared: Prepared) -> dict[str, Any]:
    message = assistant_message(round_.assistant)
    target = prepared.target
    if target is None:
        return message
    reasoning = message.pop("reasoning_content", "")
    if target.lone_reasoning and "tool_calls" in message and message["content"]:
        reasoning = "\n\n".join(text for text in (reasoning, message["content"]) if text)
        message["content"] = ""
    return {**message, target.reasoning_key: reasoning} if reasoning else message
