"""An answer with several calls as several answers with one each, for templates that know no other kind."""

from __future__ import annotations

import msgspec

from conversation.history import Entry
from conversation.message import AssistantMessage, UserMessage
from conversation.round import Round


def single_calls(entry: Entry) -> list[Entry]:
    """The first keeps the text, the reasoning and what the request cost. Token ids fit none of them."""
    if isinstance(entry, UserMessage) or len(entry.results) < 2:
        return [entry]
    answer = entry.assistant
    first = msgspec.structs.replace(answer, tool_calls=answer.tool_calls[:1], tokens=None)
    bare = AssistantMessage("", model=answer.model, flawed=answer.flawed, interrupted=answer.interrupted)
    rest = [msgspec.structs.replace(bare, tool_calls=(call,)) for call in answer.tool_calls[1:]]
    return [Round(each, (result,)) for each, result in zip([first, *rest], entry.results, strict=True)]
