"""Output: as it comes, of any size, of any bytes."""

from __future__ import annotations

from tests.sandboxes.conformance.conftest import Bench


def test_output_is_streamed_while_the_command_runs(bench: Bench) -> None:
    import asyncio
    import time

    bench.run("true")
    seen: list[tuple[float, str]] = []

    async def watched() -> float:
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        done = await bench.sandbox.exec(
            "echo first; sleep 2; echo last", timeout=30,
            on_output=lambda text: seen.append((loop.time(), text)),
        )  # fmt: skip
        assert done.exit_code == 0
        return time.monotonic() - began

    bench.wait(watched())
    assert "".join(text for _, text in seen) == "first\nlast\n"
    assert seen[-1][0] - seen[0][0] > 1


def test_long_output_keeps_both_ends_and_says_where_the_rest_is(bench: Bench) -> None:
    result = bench.run("seq 1 200000")
    output = result.output
    assert output.truncated
    assert output.total == len("".join(f"{n}\n" for n in range(1, 200_001)))
    assert output.text.startswith("1\n2\n")
    assert output.text.endswith("\n200000\n")
    assert len(output.text) <= 10_000
    assert output.spill_path
    assert bench.text(f"sed -n 100000p {output.spill_path}") == "100000\n"


def test_the_end_of_much_output_is_not_lost(bench: Bench) -> None:
    result = bench.run("head -c 20000000 /dev/zero | tr '\\0' 'x'; echo; echo the end")
    assert result.output.total == 20_000_009
    assert result.output.text.endswith("the end\n")
    assert result.note == ""


def test_invalid_utf_8_does_not_break_anything(bench: Bench) -> None:
    assert bench.text("printf 'a\\377\\376b\\n'; printf 'ü\\n'") == "a\ufffd\ufffdb\nü\n"


def test_a_character_split_between_writes_is_whole(bench: Bench) -> None:
    assert bench.text("printf '\\303'; sleep 0.3; printf '\\274\\n'") == "ü\n"


def test_errors_and_output_keep_their_order(bench: Bench) -> None:
    assert bench.text("for n in 1 2 3; do echo o$n; echo e$n >&2; done") == "o1\ne1\no2\ne2\no3\ne3\n"


def test_a_program_run_without_the_shell_gives_its_output(bench: Bench) -> None:
    run = bench.sandbox.run
    assert bench.wait(run(["printf", "%s|", "a b", "$x", ""], timeout=30, max_bytes=1000)) == (
        0,
        b"a b|$x||",
    )
    assert bench.wait(run(["no-such-program"], timeout=30, max_bytes=1000))[0] == 127
    code, output = bench.wait(run(["yes"], timeout=30, max_bytes=100_000))
    assert (code, len(output)) == (137, 100_000)
    assert bench.wait(run(["sleep", "60"], timeout=1, max_bytes=10))[0] == 124
