"""What of a session a training row shows: which entries, in what form, and what was left out.

Rolled-back and superseded text is no longer in the history, so it cannot get here. A compaction
changes only what is sent: rows hold the full text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from conversation.history import Entry
from conversation.message import AssistantMessage, UserMessage
from conversation.round import Round
from trajectories.prepared import Prepared
from trajectories.session_load import Session


@dataclass(slots=True)
class ExportedEntry:
    """`flags` say why a consumer may want to mask it (flawed, interrupted, cut_off, continued) and what was
    done to it (split, escaped, redacted)."""

    entry: Entry
    ts: str
    flags: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Exported:
    """`notices`, `flawed` and `unprompted` count what was left out."""

    entries: list[ExportedEntry] = field(default_factory=list)
    notices: int = 0
    flawed: int = 0
    unprompted: int = 0

    @property
    def answers(self) -> list[ExportedEntry]:
        """The entries that are rounds."""
        return [each for each in self.entries if isinstance(each.entry, Round)]

    @property
    def rounds(self) -> list[Round]:
        return [each.entry for each in self.entries if isinstance(each.entry, Round)]


def exported_entries(source: Session | Prepared) -> Exported:
    """The entries of a row, in order, by these rules:

    - What the person said always stays. Notices of the loop go, and so does an unusable answer without
      calls that a notice complained about. An unusable answer with calls stays (flag `flawed`): its
      error results are part of what the model learned from.
    - An answer cut off by its length stays (flag `cut_off`) and becomes one with the answer that went on
      from it (flag `continued`).
    - Answers before the person said anything go (only a damaged file has them).
    """
    exported = Exported()
    prepared = Prepared.of(source)
    session = prepared.session
    for entry, ts, marks in zip(session.history.entries, session.times, prepared.marks, strict=True):
        if isinstance(entry, UserMessage):
            if entry.origin == "person":
                exported.entries.append(ExportedEntry(entry, ts, set(marks)))
            else:
                exported.notices += 1
        elif entry.assistant.flawed and not entry.results and not _cut_off(entry):
            exported.flawed += 1
        elif not exported.entries:
            exported.unprompted += 1
        else:
            _add_round(exported.entries, entry, ts, marks)
    return exported


def _add_round(entries: list[ExportedEntry], round_: Round, ts: str, marks: set[str]) -> None:
    flags = set(marks)
    if round_.assistant.flawed and round_.results:
        flags.add("flawed")
    if round_.assistant.interrupted:
        flags.add("interrupted")
    if _cut_off(round_):
        flags.add("cut_off")
    last = entries[-1].entry
    if isinstance(last, Round) and not last.results:
        entries[-1].entry = Round(_joined(last.assistant, round_.assistant), round_.results)
        entries[-1].flags = entries[-1].flags - {"cut_off"} | flags | {"continued"}
    else:
        entries.append(ExportedEntry(round_, ts, flags))


def _cut_off(round_: Round) -> bool:
    """Text that the length limit ended. (A call cut off by it was not run, and its result says so.)"""
    return round_.assistant.finish_reason == "length" and not round_.results


def _joined(first: AssistantMessage, second: AssistantMessage) -> AssistantMessage:
    between = "" if first.finish_reason == "length" else "\n\n"
    usage = (
        second.usage if first.usage is None else first.usage + second.usage if second.usage else first.usage
    )
    return msgspec.structs.replace(
        second,
        content=between.join(text for text in (first.content, second.content) if text),
        reasoning="\n\n".join(text for text in (first.reasoning, second.reasoning) if text),
        usage=usage,
        seconds=first.seconds + second.seconds,
        tokens=None,
    )
