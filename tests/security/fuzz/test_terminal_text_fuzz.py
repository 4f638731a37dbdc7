"""Any text at all, in any pieces: no control gets through, and the second time changes nothing."""

from __future__ import annotations

import unicodedata

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.terminal_text import StreamCleaner, neutralize, strip_controls, strip_stream
from tests.security.fuzz.fuzzing import fuzz

pytestmark = pytest.mark.long

PIECES = [
    "\x1b[", "\x1b]", "\x1bP", "\x1b_", "\x1b^", "\x1bX", "\x1b", "\x9b", "\x9d", "\x90", "\x9c",
    "\x1b\\", "\x07", "\r", "\n", "\r\n", "\b", "\t", "\0", "\x7f", "\x85", "0;title", "52;c;aGk=",
    "?1049h", "2J", "31m", "38;2;1;2;3m", "c", "(0", "8;;http://x", "\u202e", "\u200b", "\u2028",
    "\ufeff", "\ud800", "\U000e0041", "\u3164", "\ufe0f", "e\u0301", "漢", "🙂", "👩\u200d👧",
    "plain words", " ",
]  # fmt: skip
hostile = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=30).map("".join)
any_text = st.text(max_size=200) | hostile
clean_text = st.text(
    st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp", "Mn", "Cn")), max_size=100
)


def is_control(character: str) -> bool:
    return character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


@fuzz(2000)
@given(any_text)
def test_what_is_shown_holds_nothing_that_acts(text: str) -> None:
    for safe in (neutralize(text), neutralize(strip_controls(text)), neutralize(strip_stream(text))):
        assert not any(is_control(each) for each in safe)
        assert not set(safe) & set(
            "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
        )


@fuzz(2000)
@given(any_text)
def test_the_second_time_changes_nothing(text: str) -> None:
    for clean in (neutralize, strip_controls, strip_stream):
        once = clean(text)
        assert clean(once) == once
        assert neutralize(neutralize(once)) == neutralize(once)


@fuzz(1000)
@given(any_text)
def test_what_a_model_reads_holds_no_control_but_line_ends_and_tabs(text: str) -> None:
    for read in (strip_controls(text), strip_stream(text)):
        assert not any(unicodedata.category(each) == "Cc" and each not in "\n\t" for each in read)


@fuzz(1000)
@given(clean_text)
def test_clean_text_stays_as_it_is(text: str) -> None:
    assert strip_controls(text) == strip_stream(text) == neutralize(text) == text


@fuzz(2000)
@given(any_text, st.lists(st.integers(0, 300), max_size=8))
def test_pieces_of_a_stream_give_what_the_whole_gives(text: str, cuts: list[int]) -> None:
    whole = StreamCleaner()
    expected = whole.feed(text) + whole.close()
    pieces, given_out, start = StreamCleaner(), "", 0
    for cut in [*sorted(cuts), len(text)]:
        given_out += pieces.feed(text[start:cut])
        start = max(start, cut)
    assert given_out + pieces.close() == expected


@fuzz(600)
@given(any_text)
def test_a_terminal_only_ever_writes_it_down(text: str) -> None:
    """Printed after a line that stands, with nothing after it: the line, the title and the modes stay."""
    screen = pyte.Screen(80, 50)
    stream = pyte.Stream(screen)
    modes = set(screen.mode)
    stream.feed("stands\r\n" + neutralize(text).replace("\n", "\r\n")[:1500])
    assert screen.display[0].rstrip() == "stands" or screen.cursor.y == 49
    assert (screen.title, screen.icon_name, set(screen.mode)) == ("", "", modes)
    assert screen.margins is None and screen.charset == 0 and screen.cursor.attrs == screen.default_char
