"""A session as the Hub's trace viewer reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from trajectories.formats import hf
from trajectories.prepared import Prepared
from trajectories.session_record import TitleRecord


def test_a_trace_is_a_header_and_a_line_for_each_message(talk: Any) -> None:
    talk.person("Where am I?").call("c1", reasoning="hm", model="m").result("c1", "/work").answer(
        "In /work."
    ).end()
    session = talk.load()
    header, *lines = hf.rows(Prepared(session))
    assert {name: header[name] for name in ("type", "harness", "id", "name")} == {
        "type": "session",
        "harness": "hermes-agent",
        "id": talk.path.stem,
        "name": "Where am I?",
    }
    assert {line["type"] for line in lines} == {"message"}
    messages = [line["message"] for line in lines]
    times = [message.pop("timestamp", None) for message in messages]
    assert messages == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Where am I?"},
        {
            "role": "assistant",
            "content": "",
            "reasoningContent": "hm",
            "toolCalls": [{"id": "c1", "function": {"name": "terminal", "arguments": '{"command": "ls"}'}}],
            "model": "m",
        },
        {"role": "tool", "content": "/work", "toolCallId": "c1", "status": "ok"},
        {"role": "assistant", "content": "In /work."},
    ]
    asked = datetime.fromisoformat(session.times[0]).timestamp() * 1000
    assert times[0] is None and times[3] is None
    assert times[1] == int(asked)


def test_the_title_is_the_name_and_content_is_always_text(talk: Any) -> None:
    talk.record(TitleRecord(title="A plan")).person([{"type": "image_url", "image_url": {"url": "x"}}])
    talk.answer("?", flawed="nonsense").notice("again").answer("nice").end()
    header, *lines = hf.rows(Prepared(talk.load()))
    assert header["name"] == "A plan"
    said = [(line["message"]["content"], line["message"].get("flags")) for line in lines[1:]]
    assert said == [("[image_url]", None), ("?", ["flawed"]), ("again", ["injected"]), ("nice", None)]
