"""What stands between commands in an instance and this machine."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from sandboxes.sandbox import SandboxError
from tests.sandboxes.apptainer.conftest import Begin

pytestmark = pytest.mark.thorough


def test_nothing_of_the_environment_is_inside_but_what_is_passed(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("APPTAINERENV_CANARY", "canary")
    monkeypatch.setenv("APPTAINER_BIND", "/etc:/canary")
    monkeypatch.setenv("PASSED", "on purpose")
    instance = begin(terminal={"env_pass": ["PASSED"]})
    for _ in range(2):
        seen = instance.text("env; set; ls /; cat /proc/*/environ")
        assert "canary" not in seen
        assert "PASSED=on purpose" in seen


def test_folders_of_the_person_are_not_inside(begin: Begin, tmp_path: Path, home: Path) -> None:
    (home / "private").write_text("canary")
    (tmp_path / "beside").write_text("canary")
    instance = begin()
    assert instance.run(f"cat {home}/private").exit_code != 0
    assert instance.run(f"cat {tmp_path}/beside").exit_code != 0
    assert instance.text("ls -A ~ /home /root").count("private") == 0
    assert instance.run("touch ~/mine && ls ~/mine").exit_code == 0


def test_there_is_no_network_unless_it_is_allowed(begin: Begin) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        closed, open_ = begin(), begin(terminal={"network": True})
        assert not closed.host.confinement.network and open_.host.confinement.network
        assert closed.run(f"exec 3<> /dev/tcp/127.0.0.1/{port}").exit_code != 0
        assert open_.run(f"exec 3<> /dev/tcp/127.0.0.1/{port}").exit_code == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to lose")
def test_root_has_no_privileges_inside(begin: Begin) -> None:
    status = begin().text("cat /proc/self/status")
    assert "CapEff:\t0000000000000000" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


@pytest.mark.parametrize("mode", ["write", "read", "none"])
def test_the_working_folder_is_mounted_as_the_settings_say(begin: Begin, folder: Path, mode: str) -> None:
    (folder / "file").write_text("text")
    instance = begin(mount=mode)
    assert (instance.text("cat file") == "text") is (mode != "none")
    made = instance.run("touch new").exit_code == 0
    assert made is (mode != "read")
    assert (folder / "new").exists() is (mode == "write")
    assert instance.host.confinement.writable == ((str(folder),) if mode == "write" else ())
    assert instance.host.confinement.holds


def test_what_is_the_agents_own_is_empty_inside(begin: Begin, folder: Path) -> None:
    own = folder / ".hermes"
    own.mkdir()
    (own / "sessions").write_text("canary")
    instance = begin(hidden=[str(own)])
    assert instance.text("ls -A .hermes; cat .hermes/sessions 2> /dev/null") == ""
    assert instance.run("touch .hermes/config.yaml").exit_code != 0
    assert (own / "sessions").read_text() == "canary"


def test_a_folder_of_the_system_is_not_mounted(begin: Begin) -> None:
    with pytest.raises(SandboxError, match=r"folder of the system.*apptainer\.mount to none"):
        begin(cwd=Path("/etc"))


@pytest.mark.parametrize("options", [["--bind", "/:/host"], ["--bind=/:/host"], ["--keep-privs"], ["-w"]])
def test_an_option_that_opens_a_door_is_known_as_such(begin: Begin, options: list[str]) -> None:
    confinement = begin(options=options).host.confinement
    assert not confinement.holds
    assert confinement.keys


def test_harmless_options_are_passed_on(begin: Begin) -> None:
    instance = begin(options=["--uts", "--hostname", "elsewhere"])
    assert instance.host.confinement.holds
    assert instance.text("hostname") == "elsewhere\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="limits need root or a delegated cgroup")
def test_memory_is_limited(begin: Begin) -> None:
    instance = begin(memory="100M")
    result = instance.run("head -c 300M /dev/zero | tail -c 200M > /dev/null; echo ${PIPESTATUS[*]}")
    assert "137" in result.output.text


def test_a_limit_that_cannot_be_set_is_an_error(begin: Begin) -> None:
    instance = begin(memory="nonsense")
    with pytest.raises(SandboxError, match="apptainer: "):
        instance.run("true")


def test_changes_to_the_image_pass_unless_a_folder_keeps_them(
    begin: Begin, tmp_path: Path, root: Path
) -> None:
    first = begin()
    assert first.run("echo x > /changed && cat /changed").exit_code == 0
    assert begin().run("cat /changed").exit_code != 0
    overlay = str(tmp_path / "overlay")
    keeping = begin(overlay=overlay)
    keeping.run("echo kept > /changed")
    keeping.wait(keeping.sandbox.close())
    assert begin(overlay=overlay).text("cat /changed") == "kept\n"
    assert not (root / "changed").exists()


def test_what_acts_by_itself_later_cannot_be_changed(begin: Begin, folder: Path) -> None:
    for name in ("hooks", "objects", "refs"):
        (folder / ".git" / name).mkdir(parents=True)
    (folder / ".git" / "config").write_text("[core]\n")
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    instance = begin()
    assert instance.run("echo x > .git/hooks/pre-commit").exit_code != 0
    assert instance.run("echo x >> .git/config").exit_code != 0
    assert instance.run("mv .git other").exit_code != 0
    assert instance.run("touch .git/index").exit_code == 0
