"""Messages whose content is parts: what of them is text, and how the rest is told."""

from __future__ import annotations

import pytest

from conversation.message import ContentPart, UserMessage, part_shown


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        ({"type": "text", "text": "hi"}, "hi"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4000}},
         "[picture: image/png, 3 KB]"),
        ({"type": "image_url", "image_url": {"url": "data:,"}}, "[picture: , 1 KB]"),
        ({"type": "image_url", "image_url": "https://example.org/a.png"},
         "[picture: https://example.org/a.png]"),
        ({"type": "image_url", "image_url": {"url": "https://example.org/" + "a" * 5000}},
         f"[picture: {('https://example.org/' + 'a' * 200)[:200]}]"),
        ({"type": "image_url"}, "[image_url]"),
        ({"type": "input_audio"}, "[input_audio]"),
        ({}, "[part]"),
    ],
)  # fmt: skip
def test_a_part_that_is_no_text_is_told_in_brackets(part: ContentPart, shown: str) -> None:
    assert part_shown(part) == shown


def test_a_message_tells_its_text_its_pictures_and_both() -> None:
    url = {"url": "data:image/png;base64,AAAA"}
    message = UserMessage([{"type": "text", "text": "look"}, {"type": "image_url", "image_url": url}])
    assert (message.text, message.pictures) == ("look", 1)
    assert message.shown == "look\n[picture: image/png, 1 KB]"
    plain = UserMessage("look")
    assert (plain.text, plain.shown, plain.pictures) == ("look", "look", 0)
