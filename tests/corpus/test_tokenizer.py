"""Counting tokens: with a real tokenizer made on the spot, never over the network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from corpus.tokenizer import TokenizerError, load_tokenizer

tokenizers = pytest.importorskip("tokenizers")


def word_tokenizer(path: Path, **options: int) -> Path:
    """A tokenizer.json of whole words: every word and every mark is one token."""
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.add_special_tokens(["<s>"])
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", made.token_to_id("<s>"))]
    )
    if "truncate" in options:
        made.enable_truncation(options["truncate"])
        made.enable_padding(length=options["truncate"])
    made.save(str(path))
    return path


def test_a_file_and_its_folder_are_the_same_tokenizer(tmp_path: Path) -> None:
    path = word_tokenizer(tmp_path / "tokenizer.json")
    for name in (str(path), str(tmp_path)):
        counter = load_tokenizer(name)
        assert counter.name == name
        assert counter.count("one two, three") == 4
        assert counter.count("") == 0


def test_many_texts_are_counted_each_for_itself_also_when_some_are_equal(tmp_path: Path) -> None:
    counter = load_tokenizer(str(word_tokenizer(tmp_path / "tokenizer.json")))
    texts = ["a b", "a", "a b", "", "a b c"]
    assert counter.count_many(texts) == counter.count_many(texts) == [2, 1, 2, 0, 3]
    assert counter.count_many([]) == []
    many = [f"w {'x ' * (number % 7)}" for number in range(20_000)]
    assert counter.count_many(many) == [1 + number % 7 for number in range(20_000)]


def test_a_tokenizer_that_would_cut_its_input_still_counts_all_of_it(tmp_path: Path) -> None:
    counter = load_tokenizer(str(word_tokenizer(tmp_path / "tokenizer.json", truncate=8)))
    assert counter.count("word " * 500) == 500
    assert counter.count("word") == 1


def test_a_lone_surrogate_is_counted_and_not_fatal(tmp_path: Path) -> None:
    counter = load_tokenizer(str(word_tokenizer(tmp_path / "tokenizer.json")))
    assert counter.count("a \ud800 b") == 3


def test_the_estimate_is_four_characters_a_token_rounded_up() -> None:
    counter = load_tokenizer("estimate")
    assert [counter.count(text) for text in ("", "a", "abcd", "abcde")] == [0, 1, 1, 2]


def test_a_name_is_found_in_the_hugging_face_cache(tmp_path: Path, home: Path) -> None:
    cache = home / ".cache" / "huggingface" / "hub" / "models--some--model"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("abc123")
    (cache / "snapshots" / "abc123").mkdir(parents=True)
    word_tokenizer(cache / "snapshots" / "abc123" / "tokenizer.json")
    look = "from corpus.tokenizer import load_tokenizer; print(load_tokenizer('some/model').count('a b c'))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "3", done.stderr


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("some/model", "--download"),
        ("./nowhere", "no tokenizer file or folder"),
        ("/nowhere/tokenizer.json", "no tokenizer file or folder"),
        ("no model at all!", "cannot be had"),
    ],
)
def test_what_is_not_there_is_told_with_what_to_do(name: str, told: str) -> None:
    with pytest.raises(TokenizerError, match=told):
        load_tokenizer(name)


def test_a_folder_without_the_file_and_a_file_of_something_else_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"holds no tokenizer\.json"):
        load_tokenizer(str(tmp_path))
    (tmp_path / "tokenizer.json").write_text('{"not": "one"}')
    with pytest.raises(TokenizerError, match="not a tokenizer"):
        load_tokenizer(str(tmp_path))


def test_without_the_library_the_line_names_the_extra_and_the_estimate() -> None:
    look = (
        "import sys; sys.modules['tokenizers'] = None\n"
        "from corpus.tokenizer import load_tokenizer\n"
        "print(load_tokenizer('estimate').count('abcd'))\n"
        "load_tokenizer('some/model')"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "1"
    assert "hermes-agent[data]" in done.stderr
    assert "--tokenizer estimate" in done.stderr
