"""HTML to Markdown: what a person would see of a page."""

from __future__ import annotations

import re

import pytest

from tools.web.html_page import html_page

pytest.importorskip("lxml")
pytest.importorskip("markdownify")
URL = "https://site.example/docs/page.html"


def markdown(body: str, head: str = "") -> str:
    page = f"<!doctype html><html><head>{head}</head><body>{body}</body></html>"
    text: str = html_page(page, URL, 10)["markdown"]
    return text


def test_headings_lists_code_and_tables_keep_their_form() -> None:
    text = markdown(
        """<h1>Set <em>up</em></h1><ol start="3"><li>three<li>four<ul><li>inner</ul></ol>
        <pre><code class="language-python">def f(x):
    return x_y * 2</code></pre><p>Call <code>f(1)</code>.</p>
        <table><tr><th>A<th>B<tr><td>1<td>2</table>"""
    )
    assert text == (
        "# Set *up*\n\n3. three\n4. four\n   - inner\n\n```python\ndef f(x):\n    return x_y * 2\n```\n\n"
        "Call `f(1)`.\n\n| A | B |\n| --- | --- |\n| 1 | 2 |"
    )


@pytest.mark.parametrize(
    ("href", "shown"),
    [
        ("next", "[it](https://site.example/docs/next)"),
        ("/a?b=1&amp;c=2", "[it](https://site.example/a?b=1&c=2)"),
        ("//other.example/x", "[it](https://other.example/x)"),
        ("a b|c'd", "[it](https://site.example/docs/a%20b%7Cc%27d)"),
        ("/wiki/Set_(maths)", "[it](https://site.example/wiki/Set_(maths))"),
        ("/ä", "[it](https://site.example/%C3%A4)"),
        ("#below", "it"),
        ("javascript:steal()", "it"),
        ("data:text/html,x", "it"),
        ("http://[broken", "it"),
        ("/" + "x" * 3000, "it"),
    ],
)
def test_links_stand_in_full_or_not_at_all(href: str, shown: str) -> None:
    assert markdown(f'<p><a href="{href}">it</a></p>') == shown


def test_a_base_in_the_head_counts_and_links_do_not_run_into_each_other() -> None:
    text = markdown('<p><a href="a">A</a><a href="b">B</a></p>', '<base href="/new/">')
    assert text == "[A](https://site.example/new/a) [B](https://site.example/new/b)"


def test_a_picture_is_its_description_and_in_a_link_only_that() -> None:
    text = markdown(
        '<p><img src="i.png"><img src="c.png" alt="A cat"> <a href="/c"><img src="c.png" alt="cat"></a>'
    )
    assert text == "![A cat](https://site.example/docs/c.png) [cat](https://site.example/c)"


@pytest.mark.parametrize(
    "hidden",
    [
        '<p style="display: none">SECRET</p>',
        '<p style="color:red;DISPLAY:none !important">SECRET</p>',
        '<p style="visibility:hidden">SECRET</p>',
        '<p style="font-size:0">SECRET</p>',
        '<p style="font-size: 0px; color: #000">SECRET</p>',
        '<div style="height:0;overflow:hidden"><p>SECRET</p></div>',
        '<div style="position:absolute; left:-9999px">SECRET</div>',
        '<span style="opacity:0">SECRET</span>',
        '<p style="color:transparent">SECRET</p>',
        "<p hidden>SECRET</p>",
        '<div aria-hidden="true"><b>SECRET</b></div>',
        "<!-- SECRET -->",
        "<script>SECRET</script><style>SECRET</style><noscript>SECRET</noscript><template>SECRET</template>",
        "<svg><title>SECRET</title></svg><iframe>SECRET</iframe>",
        "<textarea>SECRET</textarea><input value=SECRET>",
        '<meta name="description" content="SECRET">',
        '<p title="SECRET"></p>',
    ],
)
def test_what_a_person_does_not_see_the_model_does_not_read(hidden: str) -> None:
    assert markdown(f"<p>before</p>{hidden}<p>after</p>") == "before\n\nafter"


@pytest.mark.parametrize(
    "seen",
    [
        '<p style="font-size:0.9em">shown</p>',
        '<p style="opacity:0.5">shown</p>',
        '<p style="opacity:0;transform:translateY(10px)">shown</p>',
        '<p style="line-height:0.5;max-height:100px;margin-left:-10px">shown</p>',
        '<p aria-hidden="false">shown</p>',
    ],
)
def test_what_is_seen_or_fades_in_is_read(seen: str) -> None:
    assert markdown(seen) == "shown"


def test_unseen_characters_are_taken_out() -> None:
    text = markdown("<p>pay\u200bpal \u202eevil\u202c \U000e0041\U000e0042\x1b[31mred</p>")
    assert text == "paypal evil red"


def test_navigation_banners_and_forms_are_left_out_where_there_is_more() -> None:
    text = markdown(
        """<header><nav><a href=/>Home</a></nav></header><div class="cookie-banner">We value you</div>
        <aside>Related</aside><form>Search <input></form><p>"""
        + "The article itself. " * 20
        + """</p>
        <div id="onetrust-consent">Cookies!</div><footer>Imprint</footer>"""
    )
    assert set(text.split(". ")) == {"The article itself", "The article itself."}


def test_a_page_that_is_made_of_links_or_of_one_form_keeps_them() -> None:
    assert "[One](https://site.example/1)" in markdown("<nav><a href=/1>One</a></nav>")
    assert markdown("<form><p>All the text of the page is in a form.</p></form>").startswith("All the text")


def test_the_main_part_stands_for_the_page_if_it_holds_most_of_it() -> None:
    assert markdown("<div>Around</div><main><p>" + "Main text. " * 9 + "</p></main>").startswith("Main text")
    assert markdown("<main>x</main><p>" + "The rest is longer. " * 9 + "</p>").startswith("x\n\nThe rest")


def test_links_are_told_with_their_text_also_those_of_navigation() -> None:
    page = html_page('<nav><a href="/a#x">To A</a></nav><p>text <a href="/a">again</a></p>', URL, 10)
    assert page["links"] == [("https://site.example/a", "To A")]


def test_a_title_is_one_line_and_a_page_without_text_says_so() -> None:
    page = html_page(
        "<title>\n One \t two\u202e </title><div id=root></div><script>render()</script>", URL, 10
    )
    assert page["title"] == "One two"
    assert page["markdown"] == ""
    assert "made by scripts" in page["note"]


@pytest.mark.parametrize("content", ["0; url=/new", "3;URL='/new'", "0,/new"])
def test_a_page_that_sends_browsers_on_says_where_to(content: str) -> None:
    page = html_page(f'<meta http-equiv="Refresh" content="{content}"><p>Moved', URL, 10)
    assert page["note"] == "it sends browsers on to https://site.example/new"
    assert page["links"] == [("https://site.example/new", "")]
    assert html_page('<meta http-equiv="refresh" content="30"><p>Live', URL, 10)["note"] == ""


@pytest.mark.parametrize(
    "page", ["", "\0", "plain words", "<", "<html", "</p>", "<p>&#0;&#xD800;&bogus;</p>", "<a href>"]
)
def test_what_is_hardly_html_does_no_harm(page: str) -> None:
    assert isinstance(html_page(page, URL, 10)["markdown"], str)


@pytest.mark.parametrize(
    "body",
    [
        "<g:plusone>a</g:plusone><p>b</p>",
        "<a0:nav><b>a</a0:nav><p>b</p>",
        "<table><tr><td>a</form></table></td><p>b</p>",
        "<p>a<table><p>b</table></div></span></b>",
        "<div hidden><p>x</div></p></div><p>a</p><p>b</p>",
    ],
)
def test_pages_whose_tags_are_odd_or_unbalanced_are_read(body: str) -> None:
    assert re.findall(r"\b[abx]\b", markdown(body)) == ["a", "b"]


def test_text_behind_what_is_nested_very_deeply_is_still_there() -> None:
    text = markdown("<p>before</p>" + "<div>" * 3_000 + "deep" + "</div>" * 3_000 + "<p>after</p>")
    assert text == "before\n\ndeep\n\nafter"


def test_a_page_that_takes_too_long_loses_its_form_and_keeps_its_text() -> None:
    page = html_page("<h1>Head</h1>" + "<p>some <b>bold</b> text</p>" * 9_000, URL, 0.05)
    assert "built too strangely" in page["note"]
    assert page["markdown"].startswith("Head\n")
    assert page["markdown"].count("bold") == 9_000
