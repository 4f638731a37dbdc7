"""Whatever the login's shell is and says, commands pass it unchanged and their output comes back alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sandboxes.ssh.login_shell import command_text
from tests.sandboxes.ssh.conftest import Login
from tests.sandboxes.sshd import Sshd

SHELLS = ("bash", "dash", "zsh", "fish", "tcsh", "ksh")
HARD = [
    "", " ", "a b", "it's", 'say "x"', "$HOME `id` $(id)", "back\\slash\\\\two\\", "new\nline\n", "!!", "!x",
    "a;b|c&d<e>f(g){h}[i]*?~#", "tab\there", "\x01\x1b[31m", "ümläut 日本", "\udcff\udcfe", "-n", "%s%%",
    "^x^y", "\\'", "'\\''", "\r", "=ls", "~root", "{a,b}",
]  # fmt: skip
SHOW = 'for each; do printf "%s\\0" "$each"; done'


@pytest.mark.parametrize("shell", SHELLS)
def test_every_word_passes_through_a_login_shell(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    for words in ([each] for each in HARD), [HARD]:
        for some in words:
            text = command_text(["bash", "-c", SHOW, "bash", *some])
            env = {**os.environ, "HOME": str(tmp_path)}
            done = subprocess.run([program, "-c", text], capture_output=True, check=True, env=env)
            assert done.stdout.split(b"\0")[:-1] == [os.fsencode(each) for each in some]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_session_works_with_any_login_shell(
    shell: str, own_sshd: Sshd, connect: Callable[..., Login]
) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    own_sshd.stop()
    own_sshd.configure(f'ForceCommand exec {program} -c "$SSH_ORIGINAL_COMMAND"')
    own_sshd.start()
    login = connect(own_sshd)
    login.run("export A='it'\\''s'; mkdir \"it's a \\\\ folder!\"; cd \"it's a \\\\ folder!\"")
    for _ in range(2):
        assert login.text('echo "$A"; echo "${PWD##*/}"') == "it's\nit's a \\ folder!\n"
    login.wait(login.sandbox.write_file("new\nline 'n' \\ !", b"text"))
    assert login.wait(login.sandbox.read_file("new\nline 'n' \\ !")) == b"text"
    assert login.wait(login.sandbox.run(["printf", "%s", "it's \\ !\n"], timeout=9, max_bytes=99)) == (
        0,
        b"it's \\ !\n",
    )


@pytest.mark.parametrize("noise", ["echo Welcome back!", "printf 'no line end'", "head -c 300000 /dev/zero"])
def test_what_a_login_shell_says_by_itself_is_no_output(
    noise: str, own_sshd: Sshd, connect: Callable[..., Login]
) -> None:
    (own_sshd.home / ".bashrc").write_text(f"{noise}\n{noise} >&2\nexport FROM_BASHRC=1\n")
    login = connect(own_sshd)
    pieces: list[str] = []
    for number in range(3):
        assert login.text(f"echo {number}", on_output=pieces.append) == f"{number}\n"
    assert login.text("echo $FROM_BASHRC") == "1\n", "its shell reads it, or this tests nothing"
    assert "".join(pieces) == "0\n1\n2\n"
    data = os.urandom(100_000)
    login.wait(login.sandbox.write_file("binary", data))
    assert login.wait(login.sandbox.read_file("binary")) == data
    assert login.wait(login.sandbox.run(["echo", "x"], timeout=9, max_bytes=99)) == (0, b"x\n")
