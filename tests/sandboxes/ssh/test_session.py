"""What commands see of the way they came, and what passes over the connection."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from sandboxes.hosted import HostedSandbox
from sandboxes.sandbox import SandboxError
from sandboxes.ssh.ssh_host import SESSIONS, SshHost, make_ssh_host
from settings import Settings, TerminalSettings
from tests.sandboxes.ssh.conftest import Login
from tests.sandboxes.sshd import Sshd

Connect = Callable[..., Login]


def test_commands_start_in_the_home_there(login: Login) -> None:
    assert login.text("pwd") == f"{login.sshd.home}\n"


@pytest.mark.parametrize("cwd", ["~/under it", "under it"])
def test_a_folder_of_the_home_can_be_named(sshd: Sshd, connect: Connect, cwd: str) -> None:
    (sshd.home / "under it").mkdir(exist_ok=True)
    login = connect(sshd, cwd=cwd)
    assert login.text("pwd") == f"{sshd.home}/under it\n"
    assert login.sandbox.cwd == f"{sshd.home}/under it"


def test_nothing_of_the_environment_here_is_there(
    sshd: Sshd, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/canary")
    monkeypatch.setenv("LC_CANARY", "canary")
    monkeypatch.setenv("DISPLAY", "canary:0")
    login = connect(sshd, options=[*sshd.settings().options, "IdentityAgent=none"])
    for _ in range(3):  # the first, and those that use what was started ahead
        assert "canary" not in login.text("env; set")


def test_there_is_no_terminal_and_no_agent(login: Login) -> None:
    assert "SSH_TTY" not in login.text("env")
    assert "SSH_AUTH_SOCK" not in login.text("env")
    assert login.run("echo x > /dev/tty").exit_code != 0


def test_a_person_s_settings_for_the_host_do_not_come_between(
    sshd: Sshd, connect: Connect, tmp_path: Any
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host other\n  HostName 127.0.0.1\n  Port {sshd.port}\n  RemoteCommand echo no\n  RequestTTY yes\n"
        f"  LocalForward {sshd.port + 1} 127.0.0.1:1\n  ForwardAgent yes\n  ControlMaster auto\n"
        f"  ControlPath {tmp_path}/shared\n  ControlPersist 60\n"
    )
    wrapped = connect(sshd, host="other", port=None)
    wrapped.sandbox.host._options[:0] = ["-F", str(config)]  # type: ignore[attr-defined]
    assert wrapped.text("echo here; tty") == "here\nnot a tty\n"
    assert not (tmp_path / "shared").exists()


def test_many_commands_at_once_are_more_than_a_connection_takes(login: Login) -> None:
    count = SESSIONS + 7

    async def all_of_them() -> list[str]:
        async def one(number: int) -> str:
            result = await login.sandbox.exec(f"sleep 1; echo {number}", timeout=30)
            return result.output.text.strip()

        await login.sandbox.exec("true", timeout=20)
        return list(await asyncio.gather(*(one(number) for number in range(count))))

    assert login.wait(all_of_them()) == [str(number) for number in range(count)]


@pytest.mark.thorough
def test_ten_sandboxes_connect_at_once(sshd: Sshd) -> None:
    async def one(number: int) -> str:
        sandbox = HostedSandbox(f"task {number}", SshHost(sshd.settings(), os.environ))
        try:
            await sandbox.exec(f"export NUMBER={number}", timeout=30)
            return (await sandbox.exec("echo $NUMBER", timeout=30)).output.text.strip()
        finally:
            await sandbox.close()

    async def all_of_them() -> list[str]:
        return list(await asyncio.gather(*(one(number) for number in range(10))))

    assert asyncio.run(all_of_them()) == [str(number) for number in range(10)]


@pytest.mark.thorough
def test_a_server_that_turns_some_away_at_first_is_asked_again(own_sshd: Sshd, connect: Connect) -> None:
    own_sshd.stop()
    own_sshd.configure("MaxStartups 2:50:6")
    own_sshd.start()
    logins = [connect(own_sshd) for _ in range(6)]

    async def all_of_them() -> list[str]:
        results = await asyncio.gather(*(each.sandbox.exec("echo hi", timeout=30) for each in logins))
        return [result.output.text for result in results]

    assert logins[0].wait(all_of_them()) == ["hi\n"] * 6


@pytest.mark.thorough
def test_fifty_megabytes_pass_both_ways_byte_for_byte(login: Login) -> None:
    data = os.urandom(1 << 20) * 50
    login.wait(login.sandbox.write_file("large", data))
    assert login.wait(login.sandbox.read_file("large")) == data
    login.run("rm large")


def test_the_tree_of_a_command_ends_with_its_time(login: Login) -> None:
    login.run("true")
    started = time.monotonic()
    result = login.run("sleep 300 & setsid sleep 301 & sleep 302", timeout=0.5)
    assert result.timed_out and result.exit_code == 124
    assert time.monotonic() - started < 5
    assert not {pid for pid in login.processes() if _is_sleep(pid)}


def test_without_a_network_it_is_refused(sshd: Sshd) -> None:
    settings = Settings(ssh=sshd.settings(), terminal=TerminalSettings(network=False))
    with pytest.raises(SandboxError, match=r"terminal.network: false cannot be kept"):
        make_ssh_host(settings, "task", os.environ)


def test_it_confines_nothing_and_says_so(sshd: Sshd) -> None:
    confinement = SshHost(sshd.settings(), os.environ).confinement
    assert not confinement.holds
    assert confinement.network
    assert not confinement.keys


def _is_sleep(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().startswith(b"sleep")
    except OSError:
        return False
