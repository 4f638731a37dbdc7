"""Events for other programs: in pieces, in order, without secrets, and with nothing else missing."""

from __future__ import annotations

from commands.redacted_events import RedactedEvents
from conversation.event import (
    Answer,
    Event,
    Notice,
    ReasoningDelta,
    TextDelta,
    ToolFinished,
    ToolOutput,
    TurnFinished,
)
from conversation.message import AssistantMessage, ToolCall, Usage
from safety.redact import Redactor

SECRET = "Zk9Lw3Tt58rVb01x"
MARK = "[redacted:known-secret]"


def told(*events: Event) -> list[Event]:
    clean = RedactedEvents(Redactor([SECRET]))
    return [each for event in events for each in clean(event)]


def test_a_secret_over_several_pieces_goes_and_the_text_keeps_its_place() -> None:
    pieces: list[Event] = [TextDelta(f"it is {SECRET[:5]}"), TextDelta(SECRET[5:]), TextDelta(" so")]
    answer = Answer(AssistantMessage("", (ToolCall("1", "f", f'{{"a": "{SECRET}"}}'),)))
    *texts, last = told(*pieces, answer)
    assert "".join(each.text for each in texts if isinstance(each, TextDelta)) == f"it is {MARK} so"
    assert last == Answer(AssistantMessage("", (ToolCall("1", "f", f'{{"a": "{MARK}"}}'),)))


def test_thoughts_and_text_and_the_output_of_several_calls_do_not_mix() -> None:
    half = len(SECRET) // 2
    events = told(
        ReasoningDelta(SECRET[:half]), TextDelta(SECRET[half:] + "."),
        ToolOutput("a", SECRET[:half]), ToolOutput("b", SECRET[:half]), ToolOutput("a", SECRET[half:] + "\n"),
        ToolFinished("a", "f", "ok", SECRET, 0.1), ToolOutput("b", SECRET[half:]),
        TurnFinished("interrupted", SECRET, "id", 1, Usage(), 0.1),
    )  # fmt: skip
    output = {"a": "", "b": ""}
    for each in events:
        if isinstance(each, ToolOutput):
            output[each.call_id] += each.text
    assert output == {"a": MARK + "\n", "b": MARK}
    kinds = [type(each) for each in events]
    assert kinds.index(ReasoningDelta) < kinds.index(TextDelta)
    assert kinds[-1] is TurnFinished and events[-1].text == MARK  # type: ignore[union-attr]
    finished = next(each for each in events if isinstance(each, ToolFinished))
    assert finished.content == MARK


def test_an_event_without_a_secret_is_the_same_object() -> None:
    notice = Notice("all is well")
    assert told(notice)[0] is notice
