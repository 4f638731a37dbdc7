"""Who writes the summary of turns: a chat model or, without one, a rule that shortens each to a line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from conversation.event import Answer
from conversation.message import Usage
from models.chat_model import ChatModel, ModelError, ModelRequest

PROMPT = Path(__file__).with_name("compress_prompt.md")

_UNUSABLE = {"auth", "payment", "forbidden", "not_found"}
_OUTAGE = {"connection", "timeout", "stall", "rate_limit", "server"}
_FEWEST_CHARACTERS = 2000
_TAG = re.compile(r"</?(?:think|tool_call|tool_response)>")
_LINE = 160
"""The most characters of a turn in a digest."""


class Said(Struct, frozen=True):
    """One turn of the material: who, and the text as it stands in the row."""

    role: str
    text: str


class Summary(Struct, frozen=True):
    """`cut_off`: the model's own length limit ended it."""

    text: str
    model: str
    usage: Usage = Usage()
    cut_off: bool = False


class SummaryFailed(Exception):
    """No summary of these turns; the text says why, in one line. Trying again may help."""


class SummariserUnusable(Exception):
    """No summary can be had at all (no key, no such model, server away); the text says what to do."""


class Summariser(Protocol):
    """`name` is the model's. Several summaries may be asked for at once."""

    name: str

    async def summarise(self, said: Sequence[Said], tokens: int) -> Summary:
        """The turns in about `tokens` tokens. Raises SummaryFailed, SummariserUnusable."""
        ...


class ModelSummariser:
    """Asks a chat model. What does not fit its window is shortened, the longest turns first.

    After `patience` outages in a row without one summary in between, the model counts as unusable.
    """

    def __init__(self, model: ChatModel, *, patience: int = 16) -> None:
        self.name = model.name
        self._model = model
        self._patience = patience
        self._outages = 0
        self._prompt = PROMPT.read_text(encoding="utf-8").strip()

    async def summarise(self, said: Sequence[Said], tokens: int) -> Summary:
        window = self._model.context_window
        # Three characters a token is little for prose and about right for code and JSON.
        characters = 3 * max(1000, window - 2 * tokens - 1000) if window else sum(len(s.text) for s in said)
        while True:
            try:
                summary = await self._ask(said, tokens, characters)
            except ModelError as error:
                if error.kind == "context" and characters > _FEWEST_CHARACTERS:
                    characters //= 2
                    continue
                raise self._failure(error) from None
            self._outages = 0
            return summary

    async def _ask(self, said: Sequence[Said], tokens: int, characters: int) -> Summary:
        prompt = self._prompt.replace("{tokens}", str(tokens))
        messages = [
            {"role": "system", "content": prompt},
            {"role": "user", "content": material(said, characters)},
        ]
        async for event in self._model.stream(ModelRequest(messages)):
            if isinstance(event, Answer):
                answer = event.message
                text = answer.content.encode("utf-8", "replace").decode().strip()
                if not text:
                    raise SummaryFailed("the model gave no summary")
                model = answer.model or self.name
                usage = (answer.usage or Usage()).priced(self._model.prices)
                return Summary(text, model, usage, answer.finish_reason == "length")
        raise SummaryFailed("the model gave no answer")

    def _failure(self, error: ModelError) -> Exception:
        told = f"{error}. {error.hint}" if error.hint else str(error)
        nowhere = error.kind == "bad_request" and error.status is None
        if error.kind in _UNUSABLE or nowhere:
            return SummariserUnusable(told)
        self._outages += error.kind in _OUTAGE
        if self._outages >= self._patience:
            return SummariserUnusable(f"{self._outages} requests failed in a row; the last: {told}")
        return SummaryFailed(str(error))


class DigestSummariser:
    """No model: one line a turn, its beginning. The same turns give the same digest."""

    name = "offline"

    async def summarise(self, said: Sequence[Said], tokens: int) -> Summary:
        width = min(_LINE, max(24, 3 * tokens // max(1, len(said))))
        lines = (f"{turn.role}: {_beginning(turn.text, width)}" for turn in said)
        return Summary("\n".join(lines), self.name, Usage(cost=0.0))


def material(said: Sequence[Said], characters: int) -> str:
    """The turns as a model is given them: between marks that their own text cannot hold.

    `characters` is the most that their texts may have together.
    """
    longest = _longest_that_fit([len(turn.text) for turn in said], characters)
    body = "\n\n".join(f"[{turn.role}]\n{_shortened(turn.text, longest)}" for turn in said)
    mark = "material " + hashlib.sha256(body.encode("utf-8", "replace")).hexdigest()[:16]
    return f"<<<{mark}>>>\n{body}\n<<<{mark}>>>"


def _longest_that_fit(lengths: Sequence[int], total: int) -> int:
    """The length to which the longer ones must be cut so that all together are at most `total`."""
    left = total
    for place, length in enumerate(sorted(lengths)):
        share = left // (len(lengths) - place)
        if length > share:
            return share
        left -= length
    return max(lengths, default=0)


def _shortened(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    head, tail = text[: longest - longest // 2], text[len(text) - longest // 2 :]
    return f"{head}\n[… {len(text) - longest:,} characters left out …]\n{tail}"


def _beginning(text: str, width: int) -> str:
    text = " ".join(_TAG.sub(" ", text[: 20 * width]).split())
    return text if len(text) <= width else text[: width - 1] + "…"
