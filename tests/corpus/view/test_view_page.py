"""What is written into the page; how it looks is for the tests in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conversation.message import AssistantMessage, ToolCall, ToolResult, UserMessage
from corpus.view.page import GENERATOR, PageResult, ShownFile, write_page
from corpus.writing import OutputError
from tests.corpus.view.written import index, row, save, shown, unpacked
from trajectories.session_file import SessionWriter
from trajectories.session_record import Header, RollbackRecord

PAGE = Path(__file__).parents[3] / "corpus" / "view" / "page"


def test_every_row_is_in_the_page_as_it_stands_in_its_file(tmp_path: Path) -> None:
    rows = save(tmp_path / "rows.jsonl", [row(number) for number in range(400)])
    result = shown(rows, tmp_path / "page.html")
    assert result == PageResult(rows=400)
    entries = index(tmp_path / "page.html")["rows"]
    lines = rows.read_text().splitlines()
    blocks = {each[0]: unpacked(tmp_path / "page.html", f"b{each[0]}").split("\n") for each in entries}
    assert len(blocks) > 1
    assert [blocks[block][place] for block, place, *_ in entries] == lines
    assert [each[3] for each in entries] == list(range(1, 401))


def test_the_index_has_the_facts_that_rows_are_found_by(tmp_path: Path) -> None:
    flagged = row(
        1, model="model-b", outcome="partial", flags=[{"turn": 2, "flag": "flawed"}], truncated=True
    )
    save(tmp_path / "rows.jsonl", [flagged])
    shown(tmp_path / "rows.jsonl", tmp_path / "page.html")
    (entry,) = index(tmp_path / "page.html")["rows"]
    assert entry[5:] == [
        "What is in folder 1?", "row-1", "model-b", "partial", "2026-11-21T07:18:13Z", ["terminal"],
        ["flawed", "truncated"], 1, 120, 0.25,
    ]  # fmt: skip


def test_the_page_knows_the_order_of_the_fields_of_an_entry() -> None:
    from corpus.view.row_entry import RowEntry

    keys = re.search(r"const KEYS = \[(.*?)\]", (PAGE / "store.js").read_text(), re.DOTALL)
    assert keys is not None
    assert re.findall(r"'(\w+)'", keys[1]) == list(RowEntry.__struct_fields__)


def test_lines_that_are_no_rows_are_problems_with_their_line_and_reason(tmp_path: Path) -> None:
    bad: list[dict[str, Any] | bytes] = [
        b'{"conversations": [{"from\n',
        row(1),
        b'{"a": "\xff"}\n',
        b"\n",
        b"[1]\n",
        b'{"a": NaN}\n',
        b'{"cut": ',
    ]
    save(tmp_path / "rows.jsonl", bad)
    result = shown(tmp_path / "rows.jsonl", tmp_path / "page.html")
    assert result == PageResult(rows=1, problems=5)
    problems = index(tmp_path / "page.html")["problems"]
    assert [each["line"] for each in problems] == [1, 3, 5, 6, 7]
    assert "UTF-8" in problems[1]["reason"]
    assert problems[4]["reason"] == "a last line that was not written to its end"


def test_of_many_problems_some_are_listed_and_all_are_counted(tmp_path: Path) -> None:
    save(tmp_path / "rows.jsonl", [b"no row\n"] * 1500)
    assert shown(tmp_path / "rows.jsonl", tmp_path / "page.html") == PageResult(rows=0, problems=1500)
    written = index(tmp_path / "page.html")
    assert (len(written["problems"]), written["problem_count"]) == (1000, 1500)


def test_nothing_of_a_row_stands_in_the_page_as_markup(tmp_path: Path) -> None:
    hostile = '</script><script>alert(1)</script><!--<script><img src="http://127.0.0.1/x">'
    save(tmp_path / f"{hostile.replace('/', '_')}.jsonl", [row(1, title=hostile, id=hostile, model=hostile)])
    shown(next(tmp_path.glob("*.jsonl")), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "alert(1)" not in text.replace("&lt;_script&gt;&lt;script&gt;alert(1)", "")
    assert "127.0.0.1" not in text.replace("http:__127.0.0.1", "")
    assert text.count("<script") == 3  # the index, the page's own, one block


def test_the_policy_allows_the_pages_own_script_and_style_and_nothing_else(tmp_path: Path) -> None:
    save(tmp_path / "rows.jsonl", [row(1)])
    shown(tmp_path / "rows.jsonl", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    script, style = (
        re.search(r"<script>(.*?)</script>", text, re.S),
        re.search(r"<style>(.*?)</style>", text, re.S),
    )
    assert policy and script and style
    digests = [
        base64.b64encode(hashlib.sha256(each[1].encode()).digest()).decode() for each in (script, style)
    ]
    assert policy[1] == (
        f"default-src 'none'; script-src 'sha256-{digests[0]}'; style-src 'sha256-{digests[1]}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def test_the_pages_own_parts_are_short_and_write_no_markup() -> None:
    parts = [*PAGE.glob("*.js"), *PAGE.glob("*.css"), *PAGE.glob("*.html")]
    assert parts
    for part in parts:
        text = part.read_text()
        assert len(text.splitlines()) <= 500, part.name
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|https?://", text
        ), part
        assert part.suffix == ".html" or "</" not in re.sub(r"</\$\{tag\}>|<tag>…</tag>", "", text), part


def test_the_page_is_for_its_owner_alone(tmp_path: Path) -> None:
    save(tmp_path / "rows.jsonl", [row(1)])
    shown(tmp_path / "rows.jsonl", tmp_path / "page.html")
    assert stat.S_IMODE((tmp_path / "page.html").stat().st_mode) == 0o600
    assert GENERATOR in (tmp_path / "page.html").read_bytes()[:1000]


def test_a_file_cannot_be_the_page_made_from_it(tmp_path: Path) -> None:
    rows = save(tmp_path / "rows.jsonl", [row(1)])
    before = rows.read_bytes()
    with pytest.raises(OutputError):
        shown(rows, rows)
    assert rows.read_bytes() == before


def test_a_session_is_one_row_with_all_its_records(tmp_path: Path) -> None:
    writer = SessionWriter.create(tmp_path, Header(id="", model="model-a", system="Be kind."))
    writer.append(UserMessage("List it."))
    writer.append(AssistantMessage("", (ToolCall("c1", "terminal", "{}"),)))
    writer.append(ToolResult("c1", "terminal", "a.txt", "denied", approval="refused"))
    writer.append(AssistantMessage("One file."))
    writer.append(UserMessage("Again."))
    writer.append(RollbackRecord(keep=3, reason="undone"))
    writer.close()
    with writer.path.open("ab") as file:
        file.write(b'{"type": "user", "content": "to')
    result = write_page([ShownFile(writer.path, "a session", session=True)], tmp_path / "page.html")
    assert result == PageResult(rows=1, problems=1)
    (entry,) = index(tmp_path / "page.html")["rows"]
    assert entry[5] == "List it."
    assert entry[10:12] == [["terminal"], ["asked a person", "denied", "rolled back"]]
    shown_row = json.loads(unpacked(tmp_path / "page.html", "b0"))
    assert [each["type"] for each in shown_row["records"]] == [
        "user", "assistant", "tool", "assistant", "user", "rollback",
    ]  # fmt: skip
    assert shown_row["records"][2]["approval"] == "refused"
    assert "a last line that was not written" in index(tmp_path / "page.html")["problems"][0]["reason"]


def test_a_session_file_is_known_by_its_first_line(tmp_path: Path) -> None:
    writer = SessionWriter.create(tmp_path, Header(id="", model="model-a"))
    writer.append(UserMessage("List it."))
    writer.close()
    shown(writer.path, tmp_path / "page.html")
    assert "session" in json.loads(unpacked(tmp_path / "page.html", "b0"))


def test_a_page_that_is_full_says_from_which_line_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpus.view.page.MOST_ROWS", 3)
    save(tmp_path / "rows.jsonl", [row(number) for number in range(5)])
    assert shown(tmp_path / "rows.jsonl", tmp_path / "page.html") == PageResult(rows=3, problems=1)
    (problem,) = index(tmp_path / "page.html")["problems"]
    assert problem["line"] == 4
    assert "full with 3 rows" in problem["reason"]


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read the memory from")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """50 MB of rows, of which no more than a block and the index are ever held."""
    line = json.dumps(row(1, padding="".join(map(str, range(4000))))).encode() + b"\n"
    (tmp_path / "rows.jsonl").write_bytes(line * (50_000_000 // len(line)))
    code = (
        "import sys\n"
        "from corpus.view.page import ShownFile, write_page\n"
        "rows = write_page([ShownFile(sys.argv[1], 'rows')], sys.argv[2]).rows\n"
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(rows, int(peak.split()[1]) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "rows.jsonl"), str(tmp_path / "page.html")],
        cwd=PAGE.parents[2], check=True, capture_output=True, text=True,
    )  # fmt: skip
    rows, megabytes = map(int, done.stdout.split())
    assert rows == 50_000_000 // len(line)
    assert megabytes < 60
