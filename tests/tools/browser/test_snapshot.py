"""A page as text."""

from __future__ import annotations

import time

from tools.browser.snapshot import compact, excerpt, plain

TREE = """- heading "Order" [level=1, ref=e1]
- generic
  - paragraph
    - StaticText "Some text"
- list
  - listitem
    - link "One" [ref=e2]
  - listitem
    - link "Two" [ref=e3]
    - StaticText "more"
- form
  - LabelText
    - StaticText "Name"
    - textbox "Name" [ref=e4]: Ada"""


def test_what_only_nests_is_left_out_and_text_stands_for_itself() -> None:
    assert compact(TREE).split("\n") == [
        '- heading "Order" [level=1, ref=e1]', '- "Some text"', "- list", '  - link "One" [ref=e2]',
        "  - listitem", '    - link "Two" [ref=e3]', '    - "more"', '- "Name"',
        '- textbox "Name" [ref=e4]: Ada',
    ]  # fmt: skip


def test_no_ref_and_no_text_is_lost() -> None:
    short = compact(TREE)
    for word in ("e1", "e2", "e3", "e4", "Some text", "more", "Ada"):
        assert word in short


def test_a_page_nested_a_thousand_deep_is_read_in_time() -> None:
    tree = "\n".join(f'{"  " * level}- group "g" [ref=e{level}]' for level in range(1_000))
    started = time.monotonic()
    assert compact(tree).count("\n") == 999
    assert time.monotonic() - started < 3
    nested = "\n".join(f"{'  ' * level}- generic" for level in range(1_000))
    assert compact(f'{nested}\n- link "x" [ref=e1]') == '- link "x" [ref=e1]'


def test_only_so_much_of_a_tree_is_read() -> None:
    assert len(plain('- StaticText "x"\n' * 400_000)) <= 4_000_000


def test_an_excerpt_ends_with_a_line_and_says_what_is_left_out() -> None:
    text = "\n".join(f'- link "{number}" [ref=e{number}]' for number in range(100))
    cut = excerpt(text, 500)
    assert len(cut.text) <= 500
    assert text.startswith(cut.text + "\n")
    shown = cut.text.count("\n") + 1
    assert cut.left_out == f"{100 - shown} more lines with {100 - shown} refs"
    assert excerpt(text, len(text)).left_out == ""


def test_one_endless_line_is_cut_as_well() -> None:
    assert len(compact(f'- StaticText "{"x" * 100_000}"')) < 1_100
    assert len(excerpt("x" * 10_000, 500).text) == 500


def test_what_could_move_or_hide_text_is_taken_out() -> None:
    assert plain('- StaticText "a\u202eb\x1b[31mc\u200b"') == '- StaticText "abc"'


def test_lines_that_are_no_nodes_stay() -> None:
    assert compact("something else\n  - weird line") == "- something else\n  - weird line"
