"""What is shown of a long page."""

from __future__ import annotations

from tools.web.excerpt import excerpt

SECTIONS = "\n\n".join(
    [f"# Guide\n\n{'Opening words. ' * 10}"]
    + [f"## Part {number}\n\n{f'Sentence about topic{number} here. ' * 20}" for number in range(30)]
)


def test_a_short_page_is_shown_whole() -> None:
    assert excerpt("# All\n\nof it", 500) == "# All\n\nof it"


def test_a_long_one_is_cut_before_a_heading_and_says_what_is_left_out() -> None:
    shown = excerpt(SECTIONS, 3_000)
    assert len(shown) <= 3_000
    kept, _, told = shown.rpartition("\n\n")
    assert SECTIONS.startswith(kept)
    number = kept.count("## Part")
    assert SECTIONS[len(kept) :].lstrip().startswith(f"## Part {number}")
    assert told.startswith("[lines ")
    assert f"left out: Part {number}; Part {number + 1}" in told


def test_the_lines_that_are_told_are_those_of_the_page() -> None:
    told = excerpt(SECTIONS, 3_000).rpartition("[lines ")[2]
    first, last = (int(number) for number in told.partition(" ")[0].split("-"))
    lines = SECTIONS.split("\n")
    assert lines[first - 1].startswith("## Part")
    assert last == len(lines)


def test_a_query_chooses_the_sections_and_the_beginning_stays() -> None:
    shown = excerpt(SECTIONS, 3_000, "what about Topic17 and topic23?")
    assert len(shown) <= 3_000
    assert shown.startswith("# Guide")
    assert "about topic17" in shown
    assert "about topic23" in shown
    assert shown.index("topic17") < shown.index("topic23")
    assert "about topic5" not in shown
    assert shown.count("left out") >= 2


def test_a_query_that_fits_nothing_gives_the_beginning() -> None:
    assert excerpt(SECTIONS, 3_000, "zebra") == excerpt(SECTIONS, 3_000)


def test_a_heading_in_a_block_of_code_is_none() -> None:
    text = (
        "# Real\n\n```\n# comment\n```\n\n"
        + "\n\n".join(["word " * 100] * 10)
        + "\n\n## Next\n\n"
        + "more " * 500
    )
    assert "comment" not in excerpt(text, 3_000).rpartition("[lines")[2]


def test_text_without_headings_is_cut_between_paragraphs() -> None:
    text = "\n\n".join(f"Paragraph {number}. " + "Words follow. " * 30 for number in range(40))
    kept, _, told = excerpt(text, 4_000).rpartition("\n\n")
    assert text.startswith(kept)
    assert kept.rstrip().endswith("Words follow.")
    assert told.startswith("[lines ")


def test_one_endless_paragraph_is_cut_hard() -> None:
    shown = excerpt("word " * 5_000, 1_000)
    assert len(shown) <= 1_000
    assert shown.endswith("[the rest is left out]")
