"""A session file with a record of every kind, and the ways in which files come to harm."""

from __future__ import annotations

from hypothesis import strategies as st

from conversation.message import ToolCall, Usage
from trajectories.session_record import (
    AssistantRecord,
    ChangeRecord,
    CompactionRecord,
    GitRecord,
    Header,
    RollbackRecord,
    SupersededRecord,
    TitleRecord,
    ToolRecord,
    TurnRecord,
    UserRecord,
    encode_line,
)

TOOL = {
    "type": "function",
    "function": {"name": "terminal", "description": "", "parameters": {"type": "object"}},
}
CALLS = (ToolCall("c1", "terminal", '{"command": "ls"}'), ToolCall("c2", "terminal", "{}"))
RECORDS = (
    Header(id="s", model="m", tools=[TOOL], system="Be brief.", cwd="/tmp"),
    GitRecord(commit="0" * 40),
    UserRecord("one é 漢 \u2028", entry=0, ts="2026-01-01T00:00:00.000000Z"),
    AssistantRecord("", CALLS, entry=1, usage=Usage(10, 5)),
    ToolRecord("c1", "terminal", '{"output": "x", "exit_code": 0}'),
    ToolRecord("c2", "terminal", '{"error": "denied"}', "denied", approval="refused"),
    AssistantRecord("two", entry=2),
    TurnRecord(outcome="done", requests=2, number=1),
    TitleRecord(title="a title"),
    UserRecord([{"type": "text", "text": "three"}], entry=3),
    SupersededRecord(text="not counted"),
    AssistantRecord("four", entry=4),
    TurnRecord(outcome="done", requests=1, number=2),
    RollbackRecord(keep=3),
    ChangeRecord(what="model", value="other"),
    ChangeRecord(what="toolsets", value=["file"], tools=[TOOL]),
    UserRecord("five", entry=3),
    AssistantRecord("six", entry=4, reasoning="thought"),
    CompactionRecord(start=0, end=3, text="what was said"),
    UserRecord("seven", entry=5),
    AssistantRecord("", (ToolCall("c3", "terminal", "{}"),), entry=6),
)
LINES = tuple(encode_line(each) for each in RECORDS)
WHOLE = b"".join(LINES)

FOREIGN = (
    b"\n", b"   \r\n", b"\0" * 50 + b"\n", b"garbage\n", b"{}\n", b"[1]\n", b"null\n", b"\xff\xfe\x00\n",
    b"[" * 3000 + b"\n", b'{"a":' * 3000 + b"\n", b'{"type":"hologram"}\n', b'{"type":"user"}\n',
    b'{"type":5}\n', b'"text"\n', b"1e999\n", b'{"type":"rollback","keep":"x"}\n', b'{"type":"turn"}\n',
    b"\xef\xbb\xbf\n", b"-\n", b'{"type":"user","content":5}\n',
)  # fmt: skip
"""Lines that are no record of this conversation: leaving them out loses nothing."""

WRONG = (
    b'{"type":"rollback","keep":-5}\n', b'{"type":"rollback","keep":99999999999999999999999}\n',
    b'{"type":"compaction","start":-1,"end":99,"text":""}\n',
    b'{"type":"compaction","start":0,"end":0,"text":"x"}\n',
    b'{"type":"compaction","start":3,"end":1,"text":"x"}\n',
    b'{"type":"user","content":"x","entry":9007199254740993}\n',
    b'{"type":"user","content":[{"type":"text"}],"entry":0}\n',
    b'{"type":"user","content":[],"entry":-7}\n', b'{"type":"assistant","content":"","entry":5}\n',
    b'{"type":"turn","outcome":"done","seconds":1e308,"number":-1}\n',
    b'{"type":"assistant","content":"","tool_calls":[{"id":"","name":"","arguments":"["}]}\n',
    b'{"type":"assistant","content":"","tool_calls":[{"id":"c1","name":"a","arguments":"{}"},'
    b'{"id":"c1","name":"a","arguments":"{}"}]}\n',
    b'{"type":"tool","call_id":"c1","name":"terminal","content":"again"}\n',
    b'{"type":"title","title":"\\ud800"}\n', b'{"type":"change","what":"model","value":{"a":[1]}}\n',
    b'{"type":"change","what":"toolsets","value":[1,null]}\n',
    b'{"type":"change","what":"x","tools":[{},{"function":5},{"function":{"name":[]}}],"system":""}\n',
    b'{"type":"session","id":"other"}\n', b'{"type":"session","schema":99999,"id":"","tools":[{}]}\n',
    b'{"type":"git","commit":"' + b"x" * 5000 + b'"}\n',
)  # fmt: skip
"""Lines that are records by their form, and say what cannot be."""


@st.composite
def damaged_files(draw: st.DrawFn) -> bytes:
    """The whole file after a few accidents, to its lines or to its bytes."""
    lines = list(LINES)
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(0, len(lines) - 1)))
        match draw(st.sampled_from(["insert", "wrong", "drop", "twice", "swap", "join", "number"])):
            case "insert":
                lines.insert(at, draw(st.sampled_from(FOREIGN) | st.binary(max_size=40)))
            case "wrong":
                lines.insert(at, draw(st.sampled_from(WRONG)))
            case "drop" if lines:
                del lines[at]
            case "twice" if lines:
                lines.insert(at, lines[at])
            case "swap" if lines:
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case "join" if lines:
                lines[at] = lines[at].rstrip(b"\n")
            case "number" if lines:
                digit = draw(st.sampled_from([b"-1", b"0", b"1e400", b"9" * 400, b"null", b'"x"', b"[[]]"]))
                lines[at] = lines[at].replace(b'"entry":3', b'"entry":' + digit).replace(b":0", b":" + digit)
    data = bytearray(b"".join(lines))
    for _ in range(draw(st.integers(0, 4))):
        if data:
            at = draw(st.integers(0, len(data) - 1))
            data[at] ^= 1 << draw(st.integers(0, 7))
    if draw(st.booleans()):
        del data[draw(st.integers(0, len(data))) :]
    if draw(st.integers(0, 9)) == 0:
        data[:0] = draw(st.sampled_from([b"\xef\xbb\xbf", b"\xff\xfe", b"\0\0\0", b"\n\n"]))
    return bytes(data) + draw(st.sampled_from([b"", b"", b"\0" * 512, b"\n"]))
