"""Text from programs and models can neither draw on the terminal nor hide from whoever reads it."""

from __future__ import annotations

import json
import random
import time

import pytest

from safety.terminal_text import (
    LONGEST,
    StreamCleaner,
    escape_json,
    neutralize,
    stand_in,
    strip_controls,
    strip_stream,
)

HOSTILE = [
    "\x1b[2J\x1b[H", "\x1b[31;1mx\x1b[0m", "\x1b[?1049h", "\x1b]0;title\x07", "\x1b]52;c;ZXZpbA==\x1b\\",
    "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "\x1bPq#0;2\x1b\\", "\x1b_Gf=100;AAAA\x1b\\",
    "\x1b^x\x1b\\", "\x1bc", "\x1b(0", "\x9b31m", "\x9d0;t\x9c", "\x90q\x9c", "\x07\x08\x0b\x0c\x7f\x00",
    "\r", "\x1b", "\x1b[", "\x1b]0;open",
]  # fmt: skip


@pytest.mark.parametrize("text", ["", "plain", "two\nlines\tand a tab", "äöü 漢字 👩‍👩‍👧 نمی‌خواهم"])
def test_clean_text_stays_as_it_is(text: str) -> None:
    assert strip_controls(text) == strip_stream(text) == neutralize(text) == text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\c", "ablinkc"),
        ("a\x1bPpayload\x1b\\b\x1b_x\x1b\\c\x1b^y\x1b\\d", "abcd"),
        ("a\x1b(0b\x1b=c\x1bMd", "abcd"),
        ("a\x9b31mb\x9d0;t\x9cc", "abc"),
        ("nul\0bell\x07del\x7f", "nulbelldel"),
        ("10%\r50%\r100%\n", "100%\n"),
        ("10%\r100%\r", "100%"),
        ("dos\r\nlines\r\r\n", "dos\nlines\n"),
        ("kept\r\x1b[K\n", "kept\n"),
        ("N\bNA\bAM\bME\bE", "NAME"),
        ("\b\bx\ny\b\bz", "x\nz"),
        ("before\x1b]0;never closed\nafter", "before0;never closed\nafter"),
        ("before\x1b", "before"),
    ],
)
def test_a_model_reads_the_text_without_its_controls(text: str, clean: str) -> None:
    assert strip_controls(text) == clean


def test_in_a_stream_a_carriage_return_begins_a_new_line() -> None:
    assert strip_stream("10%\r\x1b[32m50%\r") == "10%\n50%\n"
    assert strip_stream("a\r\nb\n") == "a\nb\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_a_terminal_obeys_is_left(text: str) -> None:
    for safe in (strip_controls(f"a{text}b"), strip_stream(f"a{text}b"), neutralize(f"a{text}b")):
        assert not any((ord(each) < 32 and each not in "\n\t") or 0x7F <= ord(each) <= 0x9F for each in safe)


def test_what_a_person_approves_shows_what_was_hidden() -> None:
    assert neutralize("rm\x1b[8m -rf /\x1b[0m") == "rm␛[8m -rf /␛[0m"
    assert neutralize("safe\rrm") == "safe␍rm"
    assert neutralize("a\u202eb\u2066c\u200bd\ufeffe") == "a<U+202E>b<U+2066>c<U+200B>d<U+FEFF>e"
    assert neutralize("ls\u200d x\U000e0041") == "ls<U+200D> x<U+E0041>"
    assert neutralize("\x9b31m\x7f") == "<U+009B>31m␡"
    assert neutralize("\ud800") == "<U+D800>"


def test_making_harmless_twice_changes_nothing() -> None:
    once = neutralize("".join(HOSTILE) + "\u202e\u200d\x7f")
    assert neutralize(once) == once == neutralize(strip_stream(once))


def test_a_sequence_cut_between_two_pieces_is_held_back() -> None:
    whole = "a\x1b[31mb\x1b]0;title\x07c\x1b[0m\x9b1md\r\0\r\ne\rf"
    for cut in range(len(whole) + 1):
        stream = StreamCleaner()
        assert stream.feed(whole[:cut]) + stream.feed(whole[cut:]) + stream.close() == "abcd\ne\nf"


def test_what_never_became_a_sequence_is_shown_in_the_end() -> None:
    stream = StreamCleaner()
    assert stream.feed("a\x1b]0;never closed") == "a"
    assert stream.close() == "0;never closed"
    assert stream.feed("b\x1b]" + "x" * (2 * LONGEST)) == "b" + "x" * (2 * LONGEST)


@pytest.mark.parametrize(
    "text",
    ["☺️ ❤️ #️⃣ 1️⃣ ©️ ㊗️ ☎︎", "ᠮᠣᠩᠭᠣᠯ᠋", "a\u0301\u0323 각", "👨‍👩‍👧‍👦 🏳️‍🌈"],
)
def test_what_emoji_and_scripts_need_stays(text: str) -> None:
    assert neutralize(text) == text


@pytest.mark.parametrize(
    "hidden",
    [
        "\ufe00\ufe01",
        "\ufe0f\ufe0f\ufe0e",
        "\u3164",
        "\u115f\u1160",
        "\u034f",
        "\ufe05",
        "\U000e0101",
        "\U0001d173",
    ],
)
def test_text_written_in_characters_nobody_sees_is_spelled_out(hidden: str) -> None:
    shown = neutralize(f"ls{hidden} -l")
    assert shown.count("<U+") >= len(hidden) - 1 and shown.endswith(" -l")


def test_hostile_input_takes_no_more_than_linear_time() -> None:
    inputs = ["\x1bP" * 60_000, "\x1b]" + "x" * 120_000, "x" * 60_000 + "\b" * 60_000, "\r" * 120_000]
    inputs += ["\x1b[" + "1;" * 60_000, "\x1b" * 120_000, "\x9d" * 120_000, "a\r" * 60_000]
    for text in inputs:
        started = time.monotonic()
        strip_controls(text)
        StreamCleaner().feed(text)
        neutralize(text)
        assert time.monotonic() - started < 1, repr(text[:10])


def test_random_bytes_come_out_harmless() -> None:
    source = random.Random(5)
    for _ in range(200):
        text = bytes(source.choices(range(256), k=300)).decode("utf-8", "replace")
        for safe in (strip_controls(text), strip_stream(text), neutralize(text)):
            assert all(each in "\n\t" or each.isprintable() or ord(each) > 0x9F for each in safe)


def test_json_is_harmless_to_show_and_says_the_same() -> None:
    text = "".join(HOSTILE) + "\u202e\u200d\x7f\x9b\U000e0041 漢字 🙂 plain"
    shown = escape_json(json.dumps({"a": text}, ensure_ascii=False))
    assert json.loads(shown) == {"a": text}
    assert neutralize(shown) == shown and "漢字 🙂 plain" in shown


def test_a_stand_in_is_as_long_as_what_it_stands_for() -> None:
    text = "".join(HOSTILE) + "\u202e\x7f\x9b\U000e0041\ud800 plain"
    assert len(stand_in(text)) == len(text) and neutralize(stand_in(text)) == stand_in(text)
    assert stand_in("plain 漢字") == "plain 漢字"
