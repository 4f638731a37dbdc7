"""`hermes data` as a person runs it: real processes over real files."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pexpect
import pyte
import pytest

from tests.corpus.compressible import word_tokenizer
from tests.corpus.every_format import lines_of_formats, write_rows, write_session

ROOT = Path(__file__).parents[2]
HERMES = [sys.executable, str(ROOT / "cli.py")]
COMMANDS = ("stats", "validate", "filter", "dedupe", "sample", "split", "redact")
NEEDED = {
    "filter": ["--where", "turns>=0"],
    "sample": ["-n", "5"],
    "split": ["--ratio", "0.5,0.5"],
}


def data(*arguments: Any, text: bytes = b"", code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*HERMES, "data", *map(str, arguments)], input=text, capture_output=True, check=False
    )
    told = subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
    assert told.returncode == code, told.stderr
    assert "Traceback" not in told.stderr
    return told


def row(number: int, prompt: str = "hi", **more: Any) -> dict[str, Any]:
    """A good ShareGPT row."""
    return {
        "conversations": [
            {"from": "human", "value": prompt},
            {"from": "gpt", "value": f"<think>\n</think>\nanswer {number % 7}"},
        ],
        "id": f"row-{number}",
        "timestamp": "2026-11-21T07:18:13Z",
        "model": "m",
        "completed": True,
        "tools": "[]",
        **more,
    }


def lines(path: Path | str) -> list[Any]:
    return [json.loads(line) for line in Path(path).read_bytes().splitlines()]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """100 rows: of ten prompts, three models."""
    made = [row(n, f"prompt {n % 10}", model=f"m{n % 3}") for n in range(100)]
    return write_rows(tmp_path / "rows.jsonl", *made)


HOSTILE: list[str | bytes] = [
    b"",
    b"\0\0\0",
    b'{"conversations": [{"from": "human", "value": "\xff"}]}',
    b'{"conversations": [{"from": "human", "va',
    b"[1, 2]",
    b'{"a": ' + b"[" * 50_000,
    b'{"id": "' + b"x" * 2_000_000 + b'"}',
    json.dumps(
        {"conversations": [{"from": "\x1b[2J\x1b]0;owned\x07", "value": "<script>alert(1)</script>"}]}
    ),
    json.dumps({"model": "\x1b[31mred\u202e", "outcome": "\x1b[2J", "prompt": "x"}),
    json.dumps({"conversations": 5, "messages": {"a": 1}, "steps": "x"}),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_hostile_rows_are_named_or_read_and_never_fatal(tmp_path: Path, command: str) -> None:
    path = write_rows(tmp_path / "ro\x1b[2Jws.jsonl", row(1), *HOSTILE, row(2))
    code = {"validate": 1}.get(command, 0)
    done = data(command, path, *NEEDED.get(command, []), code=code)
    told = done.stderr + (done.stdout if command in ("stats", "validate") else "")
    for number in (3, 4, 5, 6, 7):
        assert f":{number}: " in told
    assert "\x1b" not in told
    assert "\u202e" not in told


def test_a_line_of_80_mb_is_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.write(json.dumps(row(1)).encode() + b'\n{"a": "')
        for _ in range(80):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n' + json.dumps(row(2)).encode() + b"\n")
    done = data("filter", path, "--where", "turns=1")
    assert [json.loads(each)["id"] for each in done.stdout.splitlines()] == ["row-1", "row-2"]
    assert f"{path}:2: left out: 80.0 MB long" in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_reads_standard_input_compressed_or_not(
    tmp_path: Path, rows: Path, command: str
) -> None:
    more = [*NEEDED.get(command, []), *(["-o", tmp_path / "out.jsonl"] if command == "split" else [])]
    plain = data(command, "-", *more, text=rows.read_bytes())
    packed = data(command, "-", *more, text=gzip.compress(rows.read_bytes()))
    assert plain.stdout == packed.stdout
    assert plain.stderr == packed.stderr


@pytest.mark.parametrize("command", [each for each in COMMANDS if each not in ("stats", "validate", "split")])
def test_an_input_is_never_written_to_by_whatever_name(tmp_path: Path, rows: Path, command: str) -> None:
    link = tmp_path / "link"
    link.symlink_to(rows)
    hard = tmp_path / "hard"
    os.link(rows, hard)
    before = rows.read_bytes()
    for name in (rows, link, hard, f"{tmp_path}/../{tmp_path.name}/rows.jsonl"):
        done = data(command, rows, *NEEDED.get(command, []), "-o", name, code=1)
        assert "name another file" in done.stderr
    assert rows.read_bytes() == before


def test_files_that_cannot_be_read_are_usage_errors(tmp_path: Path, rows: Path) -> None:
    assert "no such file" in data("stats", tmp_path / "none", code=2).stderr
    assert "is a folder" in data("stats", tmp_path, code=2).stderr
    (tmp_path / "trajectories.jsonl").write_text("")
    assert f"the file in it, {tmp_path / 'trajectories.jsonl'}" in data("stats", tmp_path, code=2).stderr
    assert "is there twice" in data("dedupe", rows, rows, code=2).stderr


def test_an_output_that_cannot_be_written_says_so(tmp_path: Path, rows: Path) -> None:
    (tmp_path / "a file").write_text("")
    done = data("filter", rows, "--where", "turns=1", "-o", tmp_path / "a file" / "out.jsonl", code=1)
    assert "cannot make the folder" in done.stderr
    (tmp_path / "a folder").mkdir()
    done = data("filter", rows, "--where", "turns=1", "-o", tmp_path / "a folder", code=1)
    assert "cannot write" in done.stderr


def test_the_folder_of_an_output_is_made(tmp_path: Path, rows: Path) -> None:
    data("filter", rows, "--where", "id=row-1", "-o", tmp_path / "new" / "er" / "out.jsonl")
    assert len(lines(tmp_path / "new" / "er" / "out.jsonl")) == 1


def test_an_output_is_private_and_appears_as_a_whole(tmp_path: Path, rows: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("old")
    data("filter", rows, "--where", "id=row-1", "-o", out)
    assert [each["id"] for each in lines(out)] == ["row-1"]
    assert out.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "rows.jsonl"]


@pytest.mark.long
def test_what_is_stopped_leaves_the_old_output_and_no_other_file(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", *[row(n, "x" * 20_000) for n in range(4000)])
    out = tmp_path / "out.jsonl"
    out.write_text("old")
    process = subprocess.Popen(
        [*HERMES, "data", "filter", str(path), "--where", "text~y", "--invert", "-o", out]
    )
    while len(list(tmp_path.iterdir())) < 3:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert out.read_text() == "old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.jsonl", "rows.jsonl"]


def test_a_reader_that_goes_away_is_no_failure_to_shout_about(rows: Path) -> None:
    command = " ".join([*HERMES, "data", "filter", str(rows), "--where", "turns=1", "|", "head", "-1"])
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


# --- filter


def test_filter_keeps_rows_as_they_stand(tmp_path: Path, rows: Path) -> None:
    odd = b'  {"id":  "odd",   "prompt": "\\u00fc", "n": 12345678901234567890123}  '
    path = tmp_path / "odd.jsonl"
    path.write_bytes(odd + b"\n")
    done = data("filter", rows, path, "--where", "model=m1 and prompt~'PROMPT 1' or id=odd")
    kept = done.stdout.encode().splitlines()
    assert kept[-1] == odd.strip()
    assert {json.loads(each)["model"] for each in kept[:-1]} == {"m1"}
    assert f"{len(kept)} of 101 rows kept" in done.stderr


def test_filter_inverted_gives_the_others(rows: Path) -> None:
    kept = data("filter", rows, "--where", "model=m1").stdout.splitlines()
    others = data("filter", rows, "--where", "model=m1", "--invert").stdout.splitlines()
    assert sorted(kept + others) == sorted(rows.read_text().splitlines())
    assert len(kept) == 33


def test_filter_says_which_keys_no_row_has(rows: Path) -> None:
    done = data("filter", rows, "--where", "metadata.nope=1 or model=m1")
    assert "metadata.nope: none of the rows has this key" in done.stderr


def test_filter_points_at_the_place_of_an_error(rows: Path) -> None:
    done = data("filter", rows, "--where", "turns>=2 and (tool=terminal", code=2)
    assert "turns>=2 and (tool=terminal\n" + " " * 15 + "^" in done.stderr


# --- dedupe


def test_dedupe_leaves_out_the_same_conversation_whatever_its_id(tmp_path: Path, rows: Path) -> None:
    done = data("dedupe", rows)
    kept = [json.loads(each) for each in done.stdout.splitlines()]
    said = [json.dumps(each["conversations"]) for each in kept]
    assert len(said) == len(set(said)) == 70
    assert "70 of 100 rows kept, 30 were there already" in done.stderr
    assert kept == lines(rows)[:70]


def test_dedupe_by_a_key_keeps_the_first_or_the_last(tmp_path: Path) -> None:
    made = [row(n, id=f"id-{n % 3}", version=n) for n in range(9)]
    path = write_rows(tmp_path / "rows.jsonl", *made, row(9, id=None))
    first = [
        json.loads(each)["version"] for each in data("dedupe", path, "--by", "id").stdout.splitlines()[:3]
    ]
    assert first == [0, 1, 2]
    done = data("dedupe", "-", "--by", "id", "--keep", "last", text=path.read_bytes())
    assert [json.loads(each)["version"] for each in done.stdout.splitlines()[:3]] == [6, 7, 8]


def test_dedupe_keeps_what_has_no_such_key(tmp_path: Path, rows: Path) -> None:
    for keep in ("first", "last"):
        done = data("dedupe", rows, "--by", "metadata.hash", "--keep", keep)
        assert len(done.stdout.splitlines()) == 100
        assert "100 rows without it stayed" in done.stderr


# --- sample and split


def test_sample_draws_as_many_as_asked_and_the_same_for_the_same_seed(rows: Path) -> None:
    one, same, other = (data("sample", rows, "-n", 20, "--seed", seed).stdout for seed in (1, 1, 2))
    assert one == same != other
    all_rows = rows.read_text().splitlines()
    drawn = one.splitlines()
    assert len(drawn) == len(set(drawn)) == 20
    assert sorted(drawn, key=all_rows.index) == drawn
    assert len(data("sample", rows, "-n", 1000).stdout.splitlines()) == 100


def test_sample_by_a_key_keeps_the_proportions(tmp_path: Path) -> None:
    made = [row(n, model="often" if n % 10 else "rare") for n in range(200)]
    path = write_rows(tmp_path / "rows.jsonl", *made)
    done = data("sample", path, "-n", 50, "--by", "model")
    drawn = Counter(json.loads(each)["model"] for each in done.stdout.splitlines())
    assert drawn == {"often": 45, "rare": 5}


@pytest.mark.parametrize("by", [None, "prompt"])
def test_split_puts_every_row_into_exactly_one_part(tmp_path: Path, by: str | None) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", *[row(n, f"prompt {n % 200}") for n in range(1000)])
    more = ["--by", by] if by else []
    data("split", rows, "--ratio", "0.8,0.1,0.1", *more)
    parts = [tmp_path / f"rows.{name}.jsonl" for name in ("train", "validation", "test")]
    texts = [part.read_text().splitlines() for part in parts]
    assert Counter(line for text in texts for line in text) == Counter(rows.read_text().splitlines())
    if by is None:
        assert [len(text) for text in texts] == [800, 100, 100]
    else:
        prompts = [{json.loads(line)["conversations"][0]["value"] for line in text} for text in texts]
        assert not prompts[0] & prompts[1]
        assert not (prompts[0] | prompts[1]) & prompts[2]
        assert 700 < len(texts[0]) < 900


def test_split_is_the_same_for_the_same_seed_and_keeps_sides_when_rows_are_added(tmp_path: Path) -> None:
    few = write_rows(tmp_path / "few.jsonl", *[row(n, f"prompt {n}") for n in range(50)])
    many = write_rows(tmp_path / "many.jsonl", *[row(n, f"prompt {n}") for n in reversed(range(90))])
    for path in (few, many):
        data("split", path, "--ratio", "train=1,test=1", "--by", "prompt", "--seed", 5)
    tests = [{each["id"] for each in lines(tmp_path / f"{name}.test.jsonl")} for name in ("few", "many")]
    assert tests[0] == {each for each in tests[1] if int(each.split("-")[1]) < 50}


def test_split_into_parts_of_the_same_size_compressed_as_asked(tmp_path: Path, rows: Path) -> None:
    data("split", rows, "--parts", 3, "-o", tmp_path / "piece.jsonl.gz")
    sizes = [
        len(gzip.decompress((tmp_path / f"piece.part{n}.jsonl.gz").read_bytes()).splitlines())
        for n in (1, 2, 3)
    ]
    assert sorted(sizes) == [33, 33, 34]


@pytest.mark.parametrize("ratio", ["1", "a,b", "0.5,-1", "0.5,0", "x=1,x=2", "a/b=1,c=2", "inf,1", "nan,1"])
def test_split_refuses_a_ratio_that_is_none(rows: Path, ratio: str) -> None:
    assert "--ratio" in data("split", rows, "--ratio", ratio, code=2).stderr


# --- validate


def test_validate_knows_every_format_and_tells_like_the_older_command(tmp_path: Path) -> None:
    formats = lines_of_formats(write_session(tmp_path / "sessions"))
    for name, made in formats.items():
        path = write_rows(tmp_path / name, *made)
        assert data("validate", path).stdout == "1 row: 1 good, 0 bad\n"
    bad = {**row(1), "id": ""}
    path = write_rows(tmp_path / "bad.jsonl", row(1), bad, "no json")
    done = data("validate", path, code=1)
    older = subprocess.run(
        [*HERMES, "trajectories", "validate", str(path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[0] == older.stdout.splitlines()[0] == f"{path}:2: id is empty"
    assert done.stderr == older.stderr == "3 rows: 1 good, 2 bad\n"


# --- stats


def test_stats_tells_what_is_there_as_a_table_and_as_json(tmp_path: Path) -> None:
    session = write_session(tmp_path / "sessions")
    path = write_rows(tmp_path / "rows.jsonl", *lines_of_formats(session)["atif"], "bad line")
    done = data("stats", session, path)
    for text in ("2 rows in 2 files", "1 atif", "1 sharegpt", "terminal", "50.0%", "test-model", "done"):
        assert text in done.stdout
    assert f"{path}:2: " in done.stdout
    found = json.loads(data("stats", session, path, "--json").stdout)
    assert found["rows"] == 2
    assert found["tools"] == [{"name": "terminal", "rows": 2, "calls": 4, "failed": 2}]
    assert [each["skipped"] for each in found["files"]] == [0, 1]


def test_stats_counts_with_the_tokenizer_that_is_named(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", row(1, "one two three"))
    found = json.loads(data("stats", path, "--json", "--tokenizer", word_tokenizer(tmp_path)).stdout)
    assert (found["parts"]["human"], found["parts"]["answers"], found["tokens"]["total"]) == (3, 2, 5)
    assert found["tokens_by"] != json.loads(data("stats", path, "--json").stdout)["tokens_by"]


@pytest.mark.parametrize(("width", "columns"), [(80, 9), (60, 6), (50, 6)])
def test_the_table_of_stats_fits_a_narrow_terminal(tmp_path: Path, width: int, columns: int) -> None:
    large = {"count": 123_456, "failure": 1}
    rows = [row(n, "x" * n * 9999, tool_stats={"a_tool_with_a_long_name_" * 4: large}) for n in range(1, 40)]
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    child = pexpect.spawn(
        HERMES[0],
        [HERMES[1], "data", "stats", str(path)],
        dimensions=(200, width),
        encoding="utf-8",
        timeout=30,
    )
    screen = pyte.Screen(width, 200)
    pyte.Stream(screen).feed(child.read())
    child.close()
    (lengths,) = (line.split() for line in screen.display if line.strip().startswith("characters"))
    assert len(lengths) == columns
    assert "99.9%" in "\n".join(screen.display)
    assert "…" not in "\n".join(screen.display)


def test_stats_writes_a_page_beside_the_table(tmp_path: Path, rows: Path) -> None:
    page = tmp_path / "stats.html"
    assert "100 rows" in data("stats", rows, "--html", page).stdout
    assert page.read_text().startswith("<!")
    assert "name another file" in data("stats", rows, "--html", rows, code=1).stderr


def test_the_page_of_stats_is_written_even_if_the_reader_of_the_table_leaves(
    tmp_path: Path, rows: Path
) -> None:
    page = tmp_path / "stats.html"
    closed, writing = os.pipe()
    os.close(closed)
    with open(writing, "wb") as nobody:
        done = subprocess.run(
            [*HERMES, "data", "stats", str(rows), "--html", str(page)],
            stdout=nobody,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert page.read_text().startswith("<!")
    assert done.stderr == b""


def test_stats_of_nothing_is_told_by_the_exit_code(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", "no row")
    assert "0 rows in 1 file" in data("stats", path, code=1).stdout


def test_stats_without_such_a_tokenizer_says_what_to_do(rows: Path) -> None:
    done = data("stats", rows, "--tokenizer", "nobody/nothing", code=1)
    assert "nobody/nothing" in done.stderr


def test_a_bar_is_shown_on_a_terminal_alone(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", *[row(n, "x" * 50_000) for n in range(200)])
    assert data("dedupe", path, "-o", tmp_path / "out.jsonl").stderr.count("\n") == 1
    child = pexpect.spawn(
        HERMES[0], [HERMES[1], "data", "dedupe", str(path), "-o", str(tmp_path / "out.jsonl")], timeout=30
    )
    child.expect("deduplicating")
    child.expect("MB")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


# --- all of it in little memory


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 MB of rows that differ."""
    path = tmp_path_factory.mktemp("large") / "rows.jsonl"
    source = random.Random(1)
    filler = [source.randbytes(1500).hex() for _ in range(50)]
    with path.open("w") as file:
        size = n = 0
        while size < 200_000_000:
            made = row(n, f"{n} {filler[n % 50]}")
            made["conversations"][1]["value"] += f" {n} " + filler[n % 49] * 3
            size += file.write(json.dumps(made) + "\n")
            n += 1
    return path


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc for the peak of a process")
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.thorough
def test_a_large_file_is_gone_through_in_little_memory(large: Path, command: str) -> None:
    out = large.with_name("out.jsonl")
    more = [*NEEDED.get(command, []), *(["-o", str(out)] if command not in ("stats", "validate") else [])]
    # its peak is the last thing the child says; ru_maxrss would count the process that started it
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import cli\n"
        "code = cli.main(sys.argv[1:])\n"
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(peak.split()[1], file=sys.stderr); sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT), "data", command, str(large), *more],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    peak = int(done.stderr.splitlines()[-1])
    assert peak < 60_000, f"{command}: {peak} KB"


def test_the_name_of_a_file_cannot_steer_the_terminal(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", row(1))
    for file, out in (("no\x1b[31m", "o"), (str(path), "no\x1b[31m/o"), (str(path), f"{path}/\x1b[31m")):
        for command in (
            ["filter", "--where", "turns"],
            ["compress", "--budget", "9", "--tokenizer", "estimate"],
        ):
            child = pexpect.spawn(
                HERMES[0],
                [HERMES[1], "data", *command, file, "-o", out],
                cwd=str(tmp_path),
                timeout=30,
                encoding="utf-8",
                env={**os.environ, "TERM": "dumb"},
            )
            said = child.read()
            child.close()
            assert said
            assert "\x1b[31m" not in said
