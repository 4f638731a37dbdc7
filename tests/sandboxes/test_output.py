"""Output of any size and kind, within bounds."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sandboxes.bounded_output import OutputCapture
from sandboxes.local import LocalSandbox
from sandboxes.sandbox import ExecResult
from sandboxes.spill_file import SpillFile, private_folder
from sandboxes.text_relay import PIECE, TextRelay

Do = Callable[..., ExecResult]


def test_stdout_and_stderr_come_in_their_order(do: Do) -> None:
    result = do("for i in 1 2 3; do echo out$i; echo err$i >&2; done")
    assert result.output.text == "out1\nerr1\nout2\nerr2\nout3\nerr3\n"
    assert (result.output.total, result.output.truncated) == (30, False)


def test_long_output_shows_both_ends_its_size_and_where_all_of_it_lies(do: Do) -> None:
    output = do("seq 1 200000").output
    assert output.truncated and output.total == 1_288_895
    assert len(output.text) <= 10_000
    assert output.text.startswith("1\n2\n3\n") and output.text.endswith("\n199999\n200000\n")
    assert "1,288,895 bytes in all" in output.text and str(output.spill_path) in output.text
    path = Path(str(output.spill_path))
    assert path.read_text() == "".join(f"{number}\n" for number in range(1, 200_001))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_output_a_little_over_the_limit_is_kept_too(do: Do) -> None:
    output = do("seq 1 3000").output
    assert output.truncated and len(output.text) <= 10_000
    assert Path(str(output.spill_path)).read_text().endswith("2999\n3000\n")


def test_a_fifty_megabyte_line_is_shown_at_both_ends(do: Do) -> None:
    output = do("head -c 50000000 /dev/zero | tr '\\0' x; echo END").output
    assert output.total == 50_000_004 and len(output.text) <= 10_000
    assert output.text.startswith("xxx") and output.text.endswith("xEND\n")


def test_invalid_bytes_are_replaced_and_characters_across_reads_are_whole(do: Do) -> None:
    assert do(r"printf 'a\377b\n'").output.text == "a\ufffdb\n"
    pieces: list[str] = []
    result = do(
        r"printf '\303'; sleep 0.2; printf '\244\360\237'; sleep 0.2; printf '\230\200'",
        on_output=pieces.append,
    )
    assert result.output.text == "ä😀"
    assert "".join(pieces) == "ä😀"


def test_no_character_is_broken_where_the_output_is_cut(do: Do) -> None:
    for padding in ("", "x", "xx", "xxx"):
        output = do(f"printf '{padding}'; yes ä€😀 | head -c 2000000").output
        assert output.truncated
        assert "\ufffd" not in output.text[:-1]


def test_binary_output_is_named_not_shown(do: Do) -> None:
    output = do("head -c 300000 /dev/urandom").output
    assert re.fullmatch(r"\[binary output, 300,000 bytes; all of it: \S+\]", output.text)
    assert Path(str(output.spill_path)).stat().st_size == 300_000


def test_control_sequences_do_not_reach_the_model(do: Do) -> None:
    output = do(r"printf '\033[31mred\033[0m\n10%%\r50%%\r100%%\n\033]0;title\007done\0\n'").output
    assert output.text == "red\n100%\ndone\n"


def test_a_long_progress_bar_fits(do: Do) -> None:
    output = do("for ((i = 0; i < 5000; i++)); do printf '%d of 5000\\r' $i; done; echo").output
    assert (output.text, output.truncated) == ("4999 of 5000\n", False)


def test_output_reaches_the_screen_at_once_and_then_in_few_pieces(do: Do) -> None:
    pieces: list[tuple[float, str]] = []
    do(
        "mkfifo wait; exec 9<> wait; echo first\n"
        "for ((i = 0; i < 400; i++)); do echo $i; read -t 0.002 -u 9; done; printf last",
        on_output=lambda text: pieces.append((time.monotonic(), text)),
    )
    assert pieces[0][1].startswith("first")
    assert pieces[-1][1].endswith("last")
    assert len(pieces) <= (pieces[-1][0] - pieces[0][0]) * 20 + 2


def test_of_a_flood_the_screen_gets_the_end() -> None:
    shown: list[str] = []
    relay = TextRelay(shown.append)
    for _ in range(50):
        relay.feed(memoryview("ä".encode() * 40_000 + b"x"))
    relay.flush(final=True)
    assert len(shown) < 10
    assert all(len(text.encode()) <= PIECE and "\ufffd" not in text for text in shown)
    assert shown[-1].endswith("äx")


def _flood(do: Do, megabytes: int) -> tuple[ExecResult, float, int]:
    process = psutil.Process()
    before = process.memory_info().rss
    peak = 0
    stop = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.02):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.monotonic()
    result = do(f"yes 0123456789abcdef | head -c {megabytes}M", timeout=50)
    seconds = time.monotonic() - started
    stop.set()
    watcher.join()
    return result, seconds, peak - before


def test_a_flood_of_output_costs_little_memory_and_a_bounded_file(do: Do) -> None:
    result, _, growth = _flood(do, 300)
    assert result.output.total == 300 * 1024 * 1024
    assert growth < 12 * 1024 * 1024
    assert Path(str(result.output.spill_path)).stat().st_size < 128 * 1024 * 1024 + 100


@pytest.mark.thorough
def test_two_gigabytes_pass_at_the_speed_of_the_pipe(do: Do) -> None:
    result, seconds, growth = _flood(do, 2048)
    assert result.output.total == 2 * 1024**3
    assert growth < 12 * 1024 * 1024
    assert seconds < 20


def test_the_spill_file_keeps_head_and_tail_in_order(tmp_path: Path) -> None:
    data = bytes(os.urandom(1000))
    for size in (0, 1, 99, 100, 101, 199, 200, 201, 250, 350, 999, 1000):
        for step in (1, 7, 100, 130, 1000):
            spill = SpillFile(tmp_path, edge=100)
            for start in range(0, size, step):
                spill.write(data[start : min(start + step, size)])
            spill.finish()
            kept = Path(spill.path).read_bytes()
            if size <= 200:
                assert kept == data[:size]
            else:
                note = b"\n[... %d bytes left out ...]\n" % (size - 200)
                assert kept == data[:100] + note + data[size - 100 : size]
    assert not list(tmp_path.glob("ring-*"))


def test_a_full_disk_is_said_and_stops_nothing(tmp_path: Path) -> None:
    capture = OutputCapture(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        for _ in range(100):
            capture.feed(b"0123456789\n" * 1000)
        capture.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    output = capture.result(10_000)
    assert output.total == 1_100_000
    assert "could not be kept: File too large" in output.text
    assert output.text.endswith("0123456789\n")


def test_new_output_is_given_once_and_the_log_stays() -> None:
    capture = OutputCapture(None)
    capture.watch()
    capture.feed(b"one\n")
    assert capture.new_output(1000).text == "one\n"
    capture.feed(b"two\n")
    assert capture.new_output(1000).text == "two\n"
    assert capture.new_output(1000).text == ""
    assert capture.tail(1000).text == "one\ntwo\n"
    assert capture.tail(4).text == "two\n"


def test_the_temporary_folder_belongs_to_us_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = private_folder()
    assert folder.parent == tmp_path and stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert private_folder() == folder
    folder.chmod(0o777)
    assert private_folder() != folder


def test_old_spill_files_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandboxes.spill_file.FOLDER_LIMIT", 1000)
    for age in range(5):
        path = tmp_path / f"output-{age}.log"
        path.write_bytes(b"x" * 400)
        os.utime(path, (1000 - age, 1000 - age))
    SpillFile(tmp_path).finish()
    assert {path.name for path in tmp_path.glob("output-?.log")} == {"output-0.log", "output-1.log"}


def test_a_program_beyond_its_share_of_output_is_stopped(sandbox: LocalSandbox) -> None:
    code, output = asyncio.run(sandbox.run(["yes"], timeout=10, max_bytes=1000))
    assert (code, output) == (137, b"y\n" * 500)
    code, output = asyncio.run(
        sandbox.run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=10, max_bytes=99)
    )
    assert (code, output) == (3, b"out\n")
    assert asyncio.run(sandbox.run(["no-such-program"], timeout=10, max_bytes=99)) == (127, b"")
    assert asyncio.run(sandbox.run(["sleep", "60"], timeout=0.2, max_bytes=99)) == (124, b"")
