"""Secrets in pieces: whatever the cuts, the same goes and the same stays."""

from __future__ import annotations

import base64
import json
import random
import re
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety.redact import Redactor
from safety.secret_shapes import TOKENS
from safety.stream_redact import MOST_HELD, StreamRedactor
from tests.safety.samples import BASE62, SECRETS, random_text

KNOWN = ["Tr0ub4dor&3 horse", random_text(40, seed=11), 'quo"te\\d-pass-9']
LONG = random_text(90, seed=12)
PEM = (
    "-----BEGIN EC PRIVATE KEY-----\n"
    + "\n".join(random_text(64, BASE62 + "+/", seed) for seed in range(3))
    + "\n-----END EC PRIVATE KEY-----"
)
AROUND = [
    "{} ",
    "key: {}\n",
    '{{"value": "{}"}}',
    "({})",
    "x={}&y=1 ",
    "\\n{}\\n",
    "Authorization: Bearer {}\n",
]

words = st.sampled_from(
    ["the", "quick", "def f(x):", "\n", " ", "::", "=", "api", "https://example.com/a?b=c", "ü", "-----",
     "sk", "commit 2b4f1c3d2b4f1c3d2b4f1c3d2b4f1c3d2b4f1c3d", "task-3f9a", "\\n", "😀", "a" * 70, "{}",
     "Bearer "]
)  # fmt: skip
secrets = st.sampled_from([*KNOWN, LONG, PEM, *(secret for _, secret in SECRETS.values())])
planted = st.builds(lambda secret, around: around.format(secret), secrets, st.sampled_from(AROUND))
texts = st.lists(st.one_of(words, planted), max_size=12).map(" ".join)


def streamed(redactor: Redactor, pieces: list[str]) -> str:
    stream = StreamRedactor(redactor)
    return "".join([*(stream.feed(piece) for piece in pieces), stream.finish()])


def cut(text: str, places: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(edges)]


REDACTOR = Redactor([*KNOWN, LONG])


@settings(max_examples=400, deadline=None)
@given(texts, st.lists(st.integers(0, 5000), max_size=30))
def test_pieces_give_what_the_whole_gives(text: str, places: list[int]) -> None:
    assert streamed(REDACTOR, cut(text, places)) == REDACTOR.redact(text)[0]


@settings(max_examples=200, deadline=None)
@given(texts)
def test_doing_it_twice_changes_nothing(text: str) -> None:
    clean, _ = REDACTOR.redact(text)
    assert REDACTOR.redact(clean) == (clean, {})


@pytest.mark.parametrize(("kind", "secret"), [*SECRETS.values(), ("private-key", PEM)])
def test_every_shape_is_found_wherever_it_is_cut(kind: str, secret: str) -> None:
    for around in ("so {} it is", '"key":"{}",', "x\\n{}\\ny"):
        text = around.format(secret)
        whole = Redactor().redact(text)[0]
        assert f"[redacted:{kind}]" in whole
        for place in range(1, len(text)):
            assert streamed(Redactor(), [text[:place], text[place:]]) == whole
        assert streamed(Redactor(), list(text)) == whole


def test_a_known_secret_in_base64_over_several_lines_is_found_wherever_it_is_cut() -> None:
    for before in range(40):
        encoded = base64.encodebytes(b"x" * before + b" " + LONG.encode() + b" and so on" * 3).decode()
        whole, found = REDACTOR.redact(f"$ base64 .env\n{encoded}$ ")
        assert found == {"known-secret": 1}
        for seed in range(3):
            places = random.Random(seed).sample(range(len(encoded)), 5)
            assert streamed(REDACTOR, cut(f"$ base64 .env\n{encoded}$ ", places)) == whole


def test_the_secret_of_an_aws_pair_goes_though_its_id_is_given_already() -> None:
    secret = random_text(40, BASE62 + "/+")
    pair = f"AKIAQ3EGRZ7WPVTN2X5K\n{secret}\n"
    for text in (pair, json.dumps({"output": f"id\n{pair}"}), f"{secret} of AKIAQ3EGRZ7WPVTN2X5K\n"):
        whole = Redactor().redact(text)[0]
        assert secret not in whole
        for place in range(1, len(text)):
            assert streamed(Redactor(), [text[:place], text[place:]]) == whole
        assert streamed(Redactor(), list(text)) == whole


def test_there_is_a_sample_of_every_shape() -> None:
    assert {token.kind for token in TOKENS} <= {kind for kind, _ in SECRETS.values()}


@pytest.mark.parametrize(
    "text", ["Hello world, how", "The answer is 42, and", "def main(self", "ünd so weiter"]
)
def test_only_the_last_word_waits(text: str) -> None:
    stream = StreamRedactor(REDACTOR)
    given = "".join(map(stream.feed, text))
    assert re.fullmatch(r"\w*", text.removeprefix(given))
    assert given + stream.finish() == text


def test_a_line_without_end_waits_no_longer_than_it_may_and_shows_nothing() -> None:
    stream = StreamRedactor(Redactor())
    given = "x api_key=" + "a1B2c3D4" * 20_000
    out = "".join(stream.feed(given[start : start + 1000]) for start in range(0, len(given), 1000))
    out += stream.feed(" and more") + stream.finish()
    assert out == "x api_key=[redacted:secret] and more"
    assert len(given) > 4 * MOST_HELD


def test_twenty_thousand_pieces_take_no_time() -> None:
    stream = StreamRedactor(REDACTOR)
    began = time.process_time()
    for number in range(20_000):
        stream.feed(f"word{number} ")
    assert time.process_time() - began < 8
