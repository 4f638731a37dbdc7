"""However hermes ends, nothing stays behind: neither there nor here."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import psutil
import pytest

from sandboxes.hosted import HostedSandbox
from sandboxes.process_tree import find_tree
from sandboxes.ssh import ssh_connection
from sandboxes.ssh.ssh_host import SshHost
from tests.sandboxes.ssh.conftest import Login, eventually
from tests.sandboxes.sshd import Sshd

ROOT = Path(__file__).parents[3]
USER = """
import asyncio, os, sys, msgspec
from configuration.sandbox_settings import SshSettings
from sandboxes.hosted import HostedSandbox
from sandboxes.ssh.ssh_host import SshHost
sandbox = HostedSandbox("task", SshHost(msgspec.json.decode(sys.argv[1], type=SshSettings), os.environ))
async def use():
    await sandbox.exec("true", timeout=20)
    await sandbox.spawn("sleep 300")
    await sandbox.exec("setsid sleep 301 > /dev/null 2>&1 &", timeout=20)
    print(sandbox.identity, flush=True)
    await sandbox.exec(sys.argv[2], timeout=300)
asyncio.run(use())
"""


@pytest.fixture(autouse=True)
def own_temp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the connections' folders of this machine are made."""
    with tempfile.TemporaryDirectory(prefix="hermes-t-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
def user(sshd: Sshd) -> Iterator[Callable[[str], tuple[subprocess.Popen[str], str]]]:
    """Starts a small program that uses a sandbox; gives it and the sandbox's identity."""
    started: list[subprocess.Popen[str]] = []

    def start(command: str, through: Sequence[str] = ()) -> tuple[subprocess.Popen[str], str]:
        settings = msgspec.json.encode(sshd.settings()).decode()
        program = subprocess.Popen(
            [*through, sys.executable, "-c", USER, settings, command],
            cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        started.append(program)
        assert program.stdout is not None
        return program, program.stdout.readline().strip()

    yield start
    for program in started:
        program.kill()
        program.wait()
        if program.stdout is not None:
            program.stdout.close()


def left_of(identity: str, sshd: Sshd, temp: Path) -> list[object]:
    processes = [*find_tree(identity), *find_tree(f"connection-{identity}")]
    return [*processes, *sshd.temp.iterdir(), *temp.glob("hermes-ssh-*")]


def test_close_leaves_nothing(login: Login, own_temp: Path) -> None:
    login.wait(login.sandbox.spawn("sleep 300"))
    login.run("setsid sleep 301 > /dev/null 2>&1 &")
    login.wait(login.sandbox.close())
    assert left_of(login.sandbox.identity, login.sshd, own_temp) == []


@pytest.mark.thorough
def test_killed_it_leaves_nothing(
    user: Callable[[str], tuple[subprocess.Popen[str], str]], sshd: Sshd, own_temp: Path
) -> None:
    program, identity = user("sleep 300")
    assert len(left_of(identity, sshd, own_temp)) > 3
    program.kill()
    assert eventually(lambda: not left_of(identity, sshd, own_temp), 4), left_of(identity, sshd, own_temp)


@pytest.mark.thorough
def test_killed_on_another_machine_than_its_commands_it_leaves_nothing(
    user: Callable[..., tuple[subprocess.Popen[str], str]], sshd: Sshd, own_temp: Path
) -> None:
    """The other machine is this one, out of sight: hermes and its lifeline see their own processes alone."""
    apart = ["unshare", "--pid", "--fork", "--mount-proc", "bash", "-c", '"$@" & exec sleep 60', "bash"]
    if subprocess.run([*apart[:4], "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no namespace of processes can be made here")
    program, identity = user("sleep 300", apart)
    (shell,) = psutil.Process(program.pid).children()
    (hermes,) = [each for each in shell.children() if "python" in each.name()]
    assert len(left_of(identity, sshd, own_temp)) > 3
    started = time.monotonic()
    hermes.send_signal(signal.SIGKILL)
    assert eventually(lambda: not left_of(identity, sshd, own_temp), 8), left_of(identity, sshd, own_temp)
    assert time.monotonic() - started < 4
    shell.send_signal(signal.SIGKILL)


@pytest.mark.thorough
def test_killed_with_its_lifeline_it_is_cleared_away_by_the_next(
    user: Callable[[str], tuple[subprocess.Popen[str], str]], sshd: Sshd, own_temp: Path
) -> None:
    program, identity = user("sleep 300")
    other, still_used = user("sleep 300")
    lifelines = [
        each for each in psutil.Process(program.pid).children() if "lifeline.sh" in " ".join(each.cmdline())
    ]
    assert lifelines
    for each in lifelines:
        each.send_signal(signal.SIGKILL)
    program.kill()
    program.wait()
    time.sleep(0.5)
    assert find_tree(f"connection-{identity}")
    third, _ = user("sleep 300")
    assert eventually(lambda: not find_tree(identity) and not find_tree(f"connection-{identity}"), 5)
    assert find_tree(still_used), "what belongs to the living stays"
    other.kill()
    third.kill()
    assert eventually(lambda: not list(sshd.temp.iterdir()), 5)


def test_without_a_word_after_a_lost_connection_the_guard_clears_away(
    own_sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_connection, "GRACE", 1.0)
    sandbox = HostedSandbox("task", SshHost(own_sshd.settings(), os.environ))
    asyncio.run(sandbox.exec("setsid sleep 300 > /dev/null 2>&1 &", timeout=20))
    own_sshd.stop()
    asyncio.run(sandbox.close())
    assert find_tree(sandbox.identity)
    assert eventually(lambda: not find_tree(sandbox.identity) and not list(own_sshd.temp.iterdir()), 5)


def test_what_a_killed_guard_left_is_cleared_away_by_the_next_connection(
    sshd: Sshd, connect: Callable[..., Login]
) -> None:
    forsaken = sshd.temp / ".hermes-abcdefgh"
    forsaken.mkdir(mode=0o700)
    (forsaken / "owner").write_text("0123456789abcdef\n")
    foreign = sshd.temp / ".hermes-ijklmnop"
    foreign.mkdir(mode=0o700)  # nobody says whose it is
    login = connect(sshd)
    login.run("true")
    assert eventually(lambda: not forsaken.exists())
    assert foreign.exists()
    foreign.rmdir()


def test_two_sandboxes_do_not_end_one_another(sshd: Sshd, connect: Callable[..., Login]) -> None:
    first, second = connect(sshd), connect(sshd)
    process = first.wait(first.sandbox.spawn("sleep 300"))
    second.run("true")
    second.wait(second.sandbox.close())
    assert process.exit_code is None
    assert first.text("echo still") == "still\n"


def test_an_idle_connection_is_given_up_and_made_again(sshd: Sshd, own_temp: Path) -> None:
    async def use() -> None:
        sandbox = HostedSandbox("task", SshHost(sshd.settings(), os.environ), lifetime=0.3)
        await sandbox.exec("export A=1", timeout=20)
        await asyncio.sleep(1.5)
        assert left_of(sandbox.identity, sshd, own_temp) == []
        result = await sandbox.exec("echo [$A]", timeout=20)
        assert result.output.text == "[]\n"
        assert result.note == "ssh: started anew; the shell's state and background processes are gone"
        await sandbox.close()

    asyncio.run(use())
