"""Text made to cost time costs little: a megabyte is read in a fraction of a second."""

import time

import pytest

from tool_call_parsers import get_parser, list_parsers
from tool_call_parsers.registry import family_of

SIZE = 1_000_000
# Seconds of processor time for a megabyte. The aim is 0.2 on a free machine; a busy one takes longer, and
# what is not linear takes minutes.
LIMIT = 0.6
FILLINGS = (
    *(
        "",
        "{",
        "[",
        '{"',
        '{"a":',
        "[{",
        "},{",
        '{"name": "a", "arguments": {"x": "',
        "<think>",
        "\n</think>",
    ),
    *('{"name": "a", "arguments": {}}', "[{}, ", "(", "f(", "<|message|>", "=1>"),
)


pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", list_parsers())
def test_a_megabyte_of_beginnings_is_read_in_a_moment(name: str, strict: bool) -> None:
    openers = family_of(name)({}, False).openers
    texts = [opener + filling for opener in openers[: 1 if strict else 3] for filling in FILLINGS]
    texts += [*(filling for filling in FILLINGS if filling), openers[0][:-1] or openers[0]]
    slow = {}
    for part in texts:
        text = (part * (SIZE // len(part) + 1))[:SIZE]
        start = time.process_time()
        get_parser(name, strict).parse(text)
        spent = time.process_time() - start
        if spent > LIMIT:
            slow[part] = round(spent, 2)
    assert slow == {}


@pytest.mark.parametrize("name", ["hermes", "llama3_json", "kimi_k2", "gpt_oss"])
def test_a_call_of_a_megabyte_streams_in_small_pieces(name: str) -> None:
    value = "line of {text} \\n " * 60_000
    wire = {
        "hermes": '<tool_call>{"name": "a", "arguments": {"x": "%s"}}</tool_call>',
        "llama3_json": '{"name": "a", "parameters": {"x": "%s"}}',
        "kimi_k2": '<|tool_call_begin|>functions.a:0<|tool_call_argument_begin|>{"x": "%s"}<|tool_call_end|>',
        "gpt_oss": '<|channel|>commentary to=functions.a<|message|>{"x": "%s"}<|call|>',
    }[name] % value
    parser = get_parser(name)
    start = time.process_time()
    calls = [call for at in range(0, len(wire), 20) for call in parser.feed(wire[at : at + 20]).tool_calls]
    calls += parser.finish().tool_calls
    assert time.process_time() - start < 5
    assert len(calls) == 1
