"""How a confined sandbox comes up and ends, and what is said of it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sandboxes.confinement import confined as which
from sandboxes.confinement.bubblewrap_host import BubblewrapHost, bubblewrap_problem, starter
from sandboxes.confinement.confined_view import make_view
from sandboxes.confinement.syscall_filter import INET, UNIX, syscall_filter
from sandboxes.process_tree import find_tree
from sandboxes.sandbox import SandboxError
from settings import TerminalSettings
from tests.sandboxes.confined.conftest import Confined, Make

ROOT = Path(__file__).parents[3]
OWNER = """
import asyncio, os, sys
from sandboxes.confinement import confined, bubblewrap_host
from sandboxes.hosted import HostedSandbox
from settings import TerminalSettings
if sys.argv[2] == "landlock":
    bubblewrap_host.bubblewrap_problem = lambda: "not here"
async def main():
    host = confined.make_confined_host(TerminalSettings(), sys.argv[1], os.environ, ())
    sandbox = HostedSandbox("task", host)
    left = "(setsid env -i sleep %s &); (trap '' TERM; sleep %s) & "
    await sandbox.exec(left + 'mkdir "${TMPDIR:-/tmp}/shut" && chmod 0 "${TMPDIR:-/tmp}/shut"', timeout=20)
    print(sandbox.identity, host.folder, host.confinement.kind, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["bubblewrap", "landlock"])
def test_nothing_is_left_two_seconds_after_its_owner_was_killed(
    kind: str, work: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(kind)  # or skip
    span = f"86400.{os.getpid()}{time.monotonic_ns()}"
    with subprocess.Popen(
        [sys.executable, "-c", OWNER % (span, span), str(work), kind],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": ":".join([str(ROOT), *sys.path])},
    ) as owner:  # fmt: skip
        assert owner.stdout is not None
        identity, folder, got = owner.stdout.readline().split()
        assert got == kind
        assert len(_running(span)) == 2
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 2
    while (_running(span) or find_tree(identity) or os.path.exists(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _running(span) == []
    assert not find_tree(identity)
    assert not os.path.exists(folder)
    with open("/proc/self/mountinfo") as mounts:
        assert folder not in mounts.read()


def _running(words: str) -> list[str]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if words.encode() in Path("/proc", pid, "cmdline").read_bytes().split(b"\0")[1:2]:
                found.append(pid)
        except OSError:
            continue
    return found


def test_a_process_of_one_command_can_be_ended_by_the_next(confined: Make, work: Path) -> None:
    place = confined(work)
    pid = place.text("sleep 300 > /dev/null & echo $!").strip()
    assert place.run(f"kill -0 {pid} && kill {pid} && sleep 0.1 && ! kill -0 {pid}").exit_code == 0


def test_the_first_process_cannot_be_ended_or_looked_into_from_inside(bubblewrap: Make, work: Path) -> None:
    place = bubblewrap(work)
    tried = place.run(
        "kill -9 1; kill -INT 1; kill -STOP 1; cat /proc/1/environ; cat /proc/1/fd/* /proc/1/mem"
    )
    assert tried.exit_code != 0
    assert place.run("echo still").note == ""


def test_a_model_is_told_once_that_commands_are_confined(confined: Make, work: Path) -> None:
    place = confined(work)
    assert place.run("false").note == ""
    told = place.run("echo a > /etc/x").note
    assert str(work) in told
    assert "terminal.writable" in told
    assert place.run("echo a > /etc/x").note == ""


def test_without_a_network_not_even_this_machine_is_reached(confined: Make, work: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert confined(work).run(f": < /dev/tcp/127.0.0.1/{server.getsockname()[1]}").exit_code != 0


def test_with_a_network_servers_are_reached_but_no_sockets_of_services(
    confined: Make, work: Path, home: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as service:
        service.bind(str(home / "service.sock"))
        service.listen()
        place = confined(work, network=True)
        assert place.run(f": < /dev/tcp/127.0.0.1/{server.getsockname()[1]}").exit_code == 0
        connect = "import socket; socket.socket(socket.AF_UNIX).connect"
        assert place.run(f"""/usr/bin/python3 -c '{connect}("{home}/service.sock")'""").exit_code != 0


def test_a_folder_swapped_before_the_mount_is_noticed(bubblewrap: Make, work: Path) -> None:
    """What a command of another sandbox, in the same workspace, could do in that moment."""

    class Swapped(BubblewrapHost):
        def orders(self) -> Mapping[str, Any]:
            orders = super().orders()
            return {
                **orders,
                "writable": [(path, dev, number + 1) for path, dev, number in orders["writable"]],
            }

    place = bubblewrap(work)
    place.host = Swapped(lambda: make_view(TerminalSettings(), str(work), os.environ, ()))
    place.sandbox._foothold.host = place.host
    with pytest.raises(SandboxError, match="another folder"):
        place.run("true")


def test_a_mount_that_was_not_ordered_is_noticed(bubblewrap: Make, work: Path, home: Path) -> None:
    class Open(BubblewrapHost):
        def orders(self) -> Mapping[str, Any]:
            return {**super().orders(), "writable": []}

    place = bubblewrap(work)
    place.host = Open(lambda: make_view(TerminalSettings(), str(work), os.environ, ()))
    place.sandbox._foothold.host = place.host
    with pytest.raises(SandboxError, match="would be writable"):
        place.run("true")


def test_what_is_mounted_on_this_machine_later_does_not_come_in(work: Path) -> None:
    if os.getuid() != 0 or not starter() or "unshare" not in starter()[0]:
        pytest.skip("needs root and bubblewrap in a copy of the mounts")
    script = (
        'mount --make-rshared / && mkdir -p "$1/late" && '
        f'({" ".join(starter())} --unshare-user --ro-bind / / bash -c \'sleep 1; ls "$0"\' "$1/late") & '
        'sleep 0.5; mount -t tmpfs none "$1/late" && touch "$1/late/seen"; wait'
    )
    told = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "bash", "-c", script, "bash", str(work)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (told.stdout, told.stderr) == ("", "")


def test_a_machine_without_bubblewrap_has_landlock(
    landlock: Make, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cached in (bubblewrap_problem, starter):
        cached.cache_clear()
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    try:
        assert "not installed" in bubblewrap_problem()
        assert which.confinement_problem() == ""
        host = which.make_confined_host(TerminalSettings(), str(work), os.environ, ())
        assert host.confinement.kind == "landlock"
    finally:
        for cached in (bubblewrap_problem, starter):
            cached.cache_clear()


def test_a_bubblewrap_that_does_not_work_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "bwrap: setting up uid map: Permission denied"
    (tmp_path / "bwrap").write_text(f"#!/bin/sh\necho '{said}' >&2; exit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for cached in (bubblewrap_problem, starter):
        cached.cache_clear()
    try:
        assert bubblewrap_problem().startswith("bubblewrap cannot work: ")
        assert starter() == ()
    finally:
        monkeypatch.undo()
        for cached in (bubblewrap_problem, starter):
            cached.cache_clear()


def test_what_the_environment_says_of_hidden_places_is_left_out(
    bubblewrap: Make, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    monkeypatch.setenv("TMPDIR", "/nowhere")
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    told = bubblewrap(work).text("env")
    assert not [name for name in ("XDG_RUNTIME_DIR", "TMPDIR", "canary") if name in told]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_has_steps_the_kernel_would_take(machine: str) -> None:
    code = syscall_filter((UNIX, INET), shared=True, machine=machine)
    steps = [code[at : at + 8] for at in range(0, len(code), 8)]
    assert len(steps) < 4096
    for at, step in enumerate(steps):
        if step[0] in (0x15, 0x35, 0x45):
            assert at + 1 + max(step[2], step[3]) < len(steps)
    assert steps[-1][0] == 0x06
    assert syscall_filter((UNIX,), machine="riscv64") == b""


def test_a_sandbox_in_use_again_comes_up_anew(bubblewrap: Make, work: Path) -> None:
    place: Confined = bubblewrap(work)
    place.run("touch /tmp/mine file")
    place.host.end_at_once()
    again = place.run("ls; test ! -e /tmp/mine")
    assert again.output.text == "file\n"
    assert again.exit_code == 0
    assert "anew" in again.note
