"""A connection that ends before its time: what is said, what goes on, and what comes back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sandboxes.process_tree import find_tree
from sandboxes.sandbox import ExecResult, SandboxError
from tests.sandboxes.ssh.conftest import Login, eventually
from tests.sandboxes.sshd import Sshd

Connect = Callable[..., Login]


@pytest.fixture
def login(own_sshd: Sshd, connect: Connect) -> Login:
    login = connect(own_sshd)
    login.run("export KEPT=kept; mkdir -p deep; cd deep")
    return login


def lose_during(login: Login, command: str, lose: Callable[[], None]) -> ExecResult:
    async def both() -> ExecResult:
        running = asyncio.create_task(login.sandbox.exec(command, timeout=20))
        while not (login.sshd.home / "deep" / "begun").exists():
            await asyncio.sleep(0.02)
        lose()
        return await running

    return login.wait(both())


def kill_client(login: Login) -> None:
    for pid in find_tree(f"connection-{login.sandbox.identity}"):
        psutil.Process(pid).send_signal(signal.SIGKILL)


def test_a_command_that_lost_its_connection_says_so_and_is_not_run_again(login: Login) -> None:
    command = "echo x >> begun; echo before; sleep 1; echo x >> begun; sleep 300"
    result = lose_during(login, command, login.sshd.drop_connections)
    assert result.exit_code != 0
    assert result.output.text == "before\n"
    assert "ssh: the connection was lost while the command ran; how far it got is not known" in result.note
    again = login.run("cat begun")
    assert "ssh: connected again" in again.note
    assert again.output.text in ("x\n", "x\nx\n")


def test_what_was_cut_off_is_ended_when_there_is_a_connection_again(login: Login) -> None:
    lose_during(login, "touch begun; sleep 300 & sleep 301", login.sshd.drop_connections)
    login.run("true")
    assert eventually(lambda: not sleeping(login))


def sleeping(login: Login) -> list[int]:
    found = []
    for pid in find_tree(f"{login.sandbox.identity}."):
        try:
            if psutil.Process(pid).name() == "sleep":
                found.append(pid)
        except psutil.NoSuchProcess:
            continue
    return found


def test_a_connection_lost_between_commands_is_made_again_with_its_state(login: Login) -> None:
    login.sshd.drop_connections()
    result = login.run("echo $KEPT; pwd")
    assert result.output.text == f"kept\n{login.sshd.home}/deep\n"
    assert result.note == "ssh: connected again"
    assert login.run("echo $KEPT").note == ""


def test_the_client_may_be_killed(login: Login) -> None:
    kill_client(login)
    result = login.run("echo $KEPT")
    assert (result.output.text, result.note) == ("kept\n", "ssh: connected again")


def test_files_are_read_and_written_over_a_new_connection(login: Login) -> None:
    login.sshd.drop_connections()
    login.wait(login.sandbox.write_file("file", b"text"))
    login.sshd.drop_connections()
    assert login.wait(login.sandbox.read_file("file")) == b"text"


def test_a_server_that_was_away_is_used_again_when_it_is_back(login: Login) -> None:
    login.sshd.stop()
    with pytest.raises(SandboxError, match="nothing listens there"):
        login.run("echo hi")
    login.sshd.start()
    assert login.text("echo $KEPT") == "kept\n"


def test_a_process_in_the_background_goes_on_and_can_be_ended(login: Login) -> None:
    process = login.wait(login.sandbox.spawn("while sleep 0.1; do date >> ticks; done"))
    assert eventually(lambda: (login.sshd.home / "deep" / "ticks").exists())
    login.sshd.drop_connections()
    note = login.run("true").note
    assert note == "ssh: connected again; what bg_1 wrote since then is lost, and its input is closed"
    assert process.exit_code is None
    login.wait(process.kill())
    assert process.exit_code is not None
    assert not sleeping(login)


def test_a_process_that_ended_in_the_meantime_is_known_to_have_ended(login: Login) -> None:
    process = login.wait(login.sandbox.spawn("until [ -e stop ]; do sleep 0.05; done"))
    login.run("true")
    login.sshd.drop_connections()
    (login.sshd.home / "deep" / "stop").touch()
    login.run("sleep 0.3")
    login.wait(process.wait(5))
    assert process.exit_code is not None


def test_where_everything_there_was_removed_it_starts_anew_and_says_so(login: Login) -> None:
    login.sshd.drop_connections()
    folder = Path(login.sandbox._foothold.folder)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    result = login.run("echo [$KEPT]; pwd")
    assert result.output.text == f"[]\n{login.sshd.home}\n"
    assert result.note == (
        "ssh: started anew because the connection was lost; "
        "the shell's state and background processes are gone"
    )


@pytest.mark.thorough
def test_fifty_losses_in_a_row_leave_one_connection(login: Login) -> None:
    for number in range(50):
        login.sshd.drop_connections()
        assert login.text(f"echo $KEPT {number}") == f"kept {number}\n"
    assert eventually(lambda: len(guards(login)) == 1)


def guards(login: Login) -> list[int]:
    marked = f"HERMES_GUARD={login.sandbox.identity}".encode()
    found = []
    for process in psutil.process_iter():
        try:
            with open(f"/proc/{process.pid}/environ", "rb") as file:
                if marked in file.read().split(b"\0"):
                    found.append(process.pid)
        except OSError:
            continue
    return found
