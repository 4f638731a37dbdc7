"""How many tokens a text is: by a model's own tokenizer, or estimated where the person asks for that."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import tokenizers

ESTIMATE = "estimate"
"""The name of the stated estimate: four characters a token."""

FILE = "tokenizer.json"
_KEPT = 8192
"""Counts that are remembered; the same system text stands in every row of a file."""


class TokenizerError(Exception):
    """No tokenizer under that name; the text says what to do."""


class Tokenizer(Protocol):
    """`name` is what the person called it. Counts are of bare text: no special token is added."""

    name: str

    def count(self, text: str) -> int: ...

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """One number for each text. Faster than one after the other, on several cores."""
        ...


class EstimatedTokens:
    """A token is four characters, rounded up."""

    name = ESTIMATE

    def count(self, text: str) -> int:
        return (len(text) + 3) // 4

    def count_many(self, texts: Sequence[str]) -> list[int]:
        return [self.count(text) for text in texts]


class CountedTokens:
    """Counts with a tokenizer of the `tokenizers` library. Several threads may count at once."""

    def __init__(self, name: str, inner: tokenizers.Tokenizer) -> None:
        self.name = name
        # What cuts or fills an embedding model's input would make every long text as long as that.
        inner.no_truncation()
        inner.no_padding()
        self._inner = inner
        self._known: dict[bytes, int] = {}

    def count(self, text: str) -> int:
        return self.count_many([text])[0]

    def count_many(self, texts: Sequence[str]) -> list[int]:
        keys = [hashlib.blake2b(_utf8(text), digest_size=16).digest() for text in texts]
        known = self._known
        counts = {key: known[key] for key in set(keys) if key in known}
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in counts}
        if new:
            clean = [_utf8(text).decode() for text in new.values()]
            encodings = self._inner.encode_batch_fast(clean, add_special_tokens=False)
            fresh = {key: len(encoding) for key, encoding in zip(new, encodings, strict=True)}
            counts |= fresh
            if len(known) + len(fresh) > _KEPT:
                known.clear()
            known |= fresh
        return [counts[key] for key in keys]


def load_tokenizer(name: str, *, download: bool = False) -> Tokenizer:
    """The tokenizer called `name`.

    `name` is the path of a tokenizer.json, a folder that holds one, a model of the Hugging Face hub (from
    the cache on this machine; over the network only with `download`), or `estimate`.

    Raises:
        TokenizerError: there is none, or it cannot be read.
    """
    if name == ESTIMATE:
        return EstimatedTokens()
    try:
        from tokenizers import Tokenizer as Loaded
    except ImportError:
        raise TokenizerError(
            "counting tokens needs the library tokenizers: pip install 'hermes-agent[data]' "
            f"(or --tokenizer {ESTIMATE}: four characters a token)"
        ) from None
    path = _find(name, download)
    try:
        return CountedTokens(name, Loaded.from_file(str(path)))
    except Exception as error:  # noqa: BLE001 -- the library raises bare Exception for whatever it cannot read
        raise TokenizerError(f"{path} is not a tokenizer this library reads: {_first_line(error)}") from None


def _find(name: str, download: bool) -> Path:
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        if (path / FILE).is_file():
            return path / FILE
        raise TokenizerError(
            f"{name} holds no {FILE}. transformers writes one: "
            "AutoTokenizer.from_pretrained(…).save_pretrained(FOLDER)"
        )
    if path.is_absolute() or name.startswith((".", "~")) or name.endswith(".json"):
        raise TokenizerError(f"there is no tokenizer file or folder {name}")
    return _of_hub(name, download)


def _of_hub(name: str, download: bool) -> Path:
    import huggingface_hub as hub

    try:
        found = hub.try_to_load_from_cache(name, FILE)
        if isinstance(found, str):
            return Path(found)
        if download:
            return Path(hub.hf_hub_download(name, FILE))
    except Exception as error:  # noqa: BLE001 -- network, rights, name: the library's errors have no common base
        raise TokenizerError(f"the tokenizer of {name} cannot be had: {_first_line(error)}") from None
    raise TokenizerError(
        f"there is no file or folder {name}, and no {FILE} of it in the Hugging Face cache. "
        f"Give the path of a {FILE}; hermes data compress --download fetches one"
    )


def _utf8(text: str) -> bytes:
    """Lone surrogates, which no tokenizer takes, count as "?"."""
    return text.encode("utf-8", "replace")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
