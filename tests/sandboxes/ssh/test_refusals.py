"""What a person reads when a connection cannot be had."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator

import pytest

from configuration.sandbox_settings import SshSettings
from sandboxes.sandbox import SandboxError
from sandboxes.ssh.ssh_host import SshHost
from tests.sandboxes.ssh.conftest import Login
from tests.sandboxes.sshd import Sshd

Connect = Callable[..., Login]


def refusal(login: Login) -> str:
    with pytest.raises(SandboxError) as raised:
        login.run("echo hi")
    return str(raised.value)


def test_a_host_that_is_not_known(sshd: Sshd, connect: Connect) -> None:
    said = refusal(connect(sshd, host="nowhere.invalid"))
    assert said.startswith("ssh: nowhere.invalid: there is no host of that name; check ssh.host")


def test_nothing_listens(sshd: Sshd, connect: Connect) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        said = refusal(connect(sshd, port=unused.getsockname()[1]))
    assert "nothing listens there; check ssh.port" in said


@pytest.mark.thorough
def test_a_server_that_never_answers(sshd: Sshd, connect: Connect, deaf: int) -> None:
    options = [*sshd.settings().options, "ConnectTimeout=1"]
    assert "it cannot be reached; check the network" in refusal(connect(sshd, port=deaf, options=options))


@pytest.fixture
def deaf() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_host_key_never_seen_before(own_sshd: Sshd, connect: Connect) -> None:
    (own_sshd.folder / "known_hosts").write_text("")
    said = refusal(connect(own_sshd))
    assert "its host key is not in known_hosts; connect once with `ssh 127.0.0.1`" in said
    assert "set ssh.known_hosts to accept-new" in said
    assert connect(own_sshd, known_hosts="accept-new").text("echo hi") == "hi\n"


@pytest.mark.parametrize("policy", ["strict", "accept-new"])
def test_a_host_key_that_has_changed(own_sshd: Sshd, connect: Connect, policy: str) -> None:
    own_sshd.trust(own_sshd.folder / "other_key.pub")
    said = refusal(connect(own_sshd, known_hosts=policy))
    assert "its host key is not the one in known_hosts" in said
    assert "ssh-keygen -R" in said


def test_a_key_that_is_not_let_in(sshd: Sshd, connect: Connect) -> None:
    said = refusal(connect(sshd, identity_file=str(sshd.folder / "other_key")))
    assert "it refused the login; check ssh.user and ssh.identity_file" in said


def test_a_login_that_is_not_there(sshd: Sshd, connect: Connect) -> None:
    assert "it refused the login" in refusal(connect(sshd, user="no-such-login"))


def test_a_folder_that_is_not_there(sshd: Sshd, connect: Connect) -> None:
    assert refusal(connect(sshd, cwd="/no/such")).endswith("the folder /no/such is not there; set ssh.cwd")


def test_a_machine_without_bash(own_sshd: Sshd, connect: Connect) -> None:
    own_sshd.stop()
    own_sshd.configure('ForceCommand exec env PATH=/nowhere /bin/sh -c "$SSH_ORIGINAL_COMMAND"')
    own_sshd.start()
    assert "there is no bash; install bash" in refusal(connect(own_sshd))


def test_a_login_that_runs_something_else(own_sshd: Sshd, connect: Connect) -> None:
    own_sshd.stop()
    own_sshd.configure("ForceCommand echo This account is for backups.")
    own_sshd.start()
    assert "the login there runs something else: This account is for backups." in refusal(connect(own_sshd))


def test_a_disk_that_is_full_there(own_sshd: Sshd, connect: Connect) -> None:
    own_sshd.stop()
    own_sshd.configure("SetEnv TMPDIR=/dev/full")
    own_sshd.start()
    assert "commands cannot be run there: mktemp" in refusal(connect(own_sshd))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "no host is set; set ssh.host"),
        ({"host": "-oProxyCommand=touch /tmp/x"}, "cannot be a host"),
        ({"host": "-x"}, "cannot be a host"),
        ({"host": "a", "user": "-l"}, "cannot be a user"),
        ({"host": "a b"}, "cannot be a host"),
        ({"host": "a\nb"}, "cannot be a host"),
        ({"host": "a", "options": ["StrictHostKeyChecking=no"]}, "set ssh.known_hosts"),
        ({"host": "a", "options": ["stricthostkeychecking no"]}, "set ssh.known_hosts"),
        ({"host": "a", "options": ["ForwardAgent=yes"]}, "hermes decides it"),
        ({"host": "a", "options": ["SendEnv=*"]}, "hermes decides it"),
        ({"host": "a", "options": ["-A"]}, "not of the form NAME=VALUE"),
        ({"host": "a", "options": [""]}, "not of the form NAME=VALUE"),
    ],
)
def test_settings_that_cannot_be_kept_are_refused_before_anything_is_started(
    values: dict[str, object], said: str
) -> None:
    with pytest.raises(SandboxError, match=said):
        SshHost(SshSettings(**values), os.environ)  # type: ignore[arg-type]
