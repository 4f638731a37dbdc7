"""A session of the shell: what one command leaves is there for the next."""

from __future__ import annotations

import pytest

from sandboxes.sandbox import SandboxError
from tests.sandboxes.conformance.conftest import Bench


def test_a_command_gives_its_output_and_exit_code(bench: Bench) -> None:
    result = bench.run("echo out; echo err >&2; exit 7")
    assert (result.output.text, result.exit_code, result.timed_out) == ("out\nerr\n", 7, False)


def test_commands_start_in_the_folder_that_was_set(bench: Bench) -> None:
    assert bench.text("pwd") == f"{bench.place.folder}\n"
    assert bench.sandbox.cwd == bench.place.folder


def test_the_folder_persists(bench: Bench) -> None:
    result = bench.run("mkdir -p 'a b'; cd 'a b'")
    assert result.cwd == bench.sandbox.cwd == f"{bench.place.folder}/a b"
    assert bench.text("pwd; cd - > /dev/null; pwd") == f"{bench.place.folder}/a b\n{bench.place.folder}\n"


def test_variables_and_exports_persist(bench: Bench) -> None:
    bench.run('export A="two\nlines"; b=5; list=(1 "2 3"); declare -A map=([k]=v)')
    shown = bench.text('echo "$A|$b|${list[1]}|${map[k]}"; bash -c \'echo "$A|$b"\'')
    assert shown == "two\nlines|5|2 3|v\ntwo\nlines|\n"


def test_what_was_unset_stays_unset(bench: Bench) -> None:
    bench.run("export A=1; B=2")
    bench.run("unset A B")
    assert bench.text('echo "[$A$B]"') == "[]\n"


def test_functions_and_aliases_persist(bench: Bench) -> None:
    bench.run("f() { echo \"f:$1\"; }; alias hi='echo hi'")
    assert bench.text("f x; hi y") == "f:x\nhi y\n"


def test_shell_options_and_umask_persist(bench: Bench) -> None:
    bench.run("set -o pipefail; shopt -s nullglob; umask 027")
    assert bench.text("false | true; echo $?; echo none*; umask") == "1\n\n0027\n"


@pytest.mark.parametrize(
    "ending",
    ["exit 3", "exec true", "set -e; false", "kill -KILL $$", "echo )", "trap 'echo bye' EXIT; exit 5"],
)
def test_the_session_survives_however_a_command_ends(bench: Bench, ending: str) -> None:
    bench.run("cd /usr; export KEPT=1")
    bench.run(ending)
    assert bench.text("set +e; echo $KEPT; pwd") == "1\n/usr\n"


def test_the_session_survives_a_timeout(bench: Bench) -> None:
    bench.run("cd /usr; export KEPT=1")
    assert bench.run("export LATE=1; sleep 60", timeout=1).timed_out
    assert bench.text("echo $KEPT; pwd") == "1\n/usr\n"


def test_a_folder_for_one_command_does_not_change_the_session(bench: Bench) -> None:
    assert bench.text("pwd; cd /", workdir="/usr") == "/usr\n"
    assert bench.text("pwd") == f"{bench.place.folder}\n"


def test_a_folder_that_does_not_exist_is_an_error(bench: Bench) -> None:
    with pytest.raises(SandboxError, match="/no/such/folder does not exist"):
        bench.run("touch ran-anyway", workdir="/no/such/folder")
    assert bench.text("ls") == ""


def test_a_folder_that_was_removed_is_left_and_that_is_said(bench: Bench) -> None:
    bench.run("mkdir gone; cd gone")
    bench.run('rmdir "$PWD"')
    result = bench.run("pwd")
    assert result.output.text == f"{bench.place.folder}\n"
    assert "no longer exists" in result.note


def test_input_reaches_the_command_and_then_ends(bench: Bench) -> None:
    data = bytes(range(1, 256)) * 1000
    assert bench.text("cat | wc -c; cat", stdin=data) == f"{len(data)}\n"
    assert bench.text("od -An -tx1 | head -c 12", stdin=b"\x00\xff\n\x00") == " 00 ff 0a 00"


def test_without_input_a_command_reads_nothing(bench: Bench) -> None:
    assert bench.text("cat; read x; echo $?", timeout=10) == "1\n"


def test_a_command_may_be_long_and_hold_any_text(bench: Bench) -> None:
    text = "ünï ' \" \\ $x `y` 🎉" * 3_000
    assert bench.text(f"cat << 'END' | cksum\n{text}\nEND") == bench.text("cksum", stdin=f"{text}\n".encode())


def test_a_command_with_a_nul_is_refused(bench: Bench) -> None:
    with pytest.raises(SandboxError, match="NUL"):
        bench.run("echo a\0b")


def test_the_command_is_not_among_the_processes(bench: Bench) -> None:
    """`pkill -f` of a word in the command must not end the command's own shell."""
    assert bench.text("grep -l some''thing-rare /proc/[0-9]*/cmdline 2> /dev/null; echo done") == "done\n"


def test_parallel_commands_do_not_disturb_each_other(bench: Bench) -> None:
    import asyncio

    async def all_of_them() -> list[str]:
        sandbox = bench.sandbox
        results = await asyncio.gather(*(sandbox.exec(f"sleep 0.2; echo {n}", timeout=30) for n in range(4)))
        return [result.output.text for result in results]

    assert bench.wait(all_of_them()) == ["0\n", "1\n", "2\n", "3\n"]


def test_two_sandboxes_share_no_state(bench: Bench) -> None:
    other = bench.place.make(10_000)
    bench.run("export A=1; cd /usr")
    try:
        assert bench.wait(other.exec('echo "[$A]"; pwd', timeout=30)).output.text.startswith("[]\n")
    finally:
        bench.wait(other.close())
