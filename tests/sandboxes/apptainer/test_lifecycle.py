"""Instances come, are replaced, and leave nothing; images are built once."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sandboxes.containers.apptainer_client import ApptainerClient
from sandboxes.containers.apptainer_images import ready_image
from sandboxes.process_tree import find_tree
from sandboxes.sandbox import SandboxError
from tests.sandboxes.apptainer.conftest import Begin
from tests.sandboxes.apptainer_images import docker_archive, image_file

pytestmark = pytest.mark.thorough
ROOT = Path(__file__).parents[3]
USER = """
import asyncio, os, sys
from configuration.sandbox_settings import ApptainerSettings
from sandboxes.containers.apptainer_host import make_apptainer_host
from sandboxes.hosted import HostedSandbox
from settings import Settings, TerminalSettings
settings = Settings(
    terminal=TerminalSettings(backend="apptainer"), apptainer=ApptainerSettings(image=sys.argv[1])
)
sandbox = HostedSandbox("task", make_apptainer_host(settings, "task", sys.argv[2], os.environ, ()))
async def use():
    await sandbox.spawn("sleep 300")
    await sandbox.exec("setsid sleep 301 > /dev/null 2>&1 &", timeout=20)
    print(sandbox.identity, flush=True)
    await sandbox.exec("sleep 302", timeout=300)
asyncio.run(use())
"""
Start = Callable[[], tuple[subprocess.Popen[str], str]]


@pytest.fixture
def user(root: Path, folder: Path, temp: Path) -> Iterator[Start]:
    """Starts a small program that uses a sandbox; gives it and the sandbox's identity."""
    started: list[subprocess.Popen[str]] = []

    def start() -> tuple[subprocess.Popen[str], str]:
        program = subprocess.Popen(
            [sys.executable, "-c", USER, str(root), str(folder)],
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


def eventually(holds: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < until:
        time.sleep(0.02)
    return held


def folders(temp: Path) -> list[Path]:
    return list(temp.glob("hermes-apptainer-*"))


def test_killed_it_leaves_nothing(user: Start, temp: Path) -> None:
    program, identity = user()
    assert eventually(lambda: len(find_tree(identity)) >= 3, 5)
    program.kill()
    assert eventually(lambda: not find_tree(identity) and not folders(temp), 4)


def test_killed_with_its_lifeline_it_is_cleared_away_by_the_next(
    user: Start, begin: Begin, temp: Path
) -> None:
    program, identity = user()
    other, still_used = user()
    for each in psutil.Process(program.pid).children():
        if "lifeline.sh" in " ".join(each.cmdline()):
            each.send_signal(signal.SIGKILL)
    program.kill()
    program.wait()
    assert find_tree(identity)
    begin().run("true")
    assert eventually(lambda: not find_tree(identity), 5)
    assert find_tree(still_used), "what belongs to the living stays"
    other.kill()
    assert eventually(lambda: not find_tree(still_used) and len(folders(temp)) == 1, 5)


def test_an_instance_that_died_is_replaced_and_the_model_told(begin: Begin) -> None:
    instance = begin()
    instance.run("export A=1")
    os.kill(int((instance.host.folder / "pid").read_text()), signal.SIGKILL)
    result = instance.run("echo [$A]")
    assert result.output.text == "[]\n"
    assert "apptainer: started anew because its instance ended" in result.note


def test_ten_instances_at_once(begin: Begin) -> None:
    instances = [begin() for _ in range(10)]

    async def all_of_them() -> list[str]:
        results = await asyncio.gather(
            *(each.sandbox.exec(f"echo {number}", timeout=50) for number, each in enumerate(instances))
        )
        return [result.output.text for result in results]

    assert instances[0].wait(all_of_them()) == [f"{number}\n" for number in range(10)]


def test_fifty_megabytes_pass_both_ways_byte_for_byte(begin: Begin) -> None:
    instance = begin()
    data = os.urandom(1 << 20) * 50
    instance.wait(instance.sandbox.write_file("large", data))
    assert instance.wait(instance.sandbox.read_file("large")) == data


def test_an_idle_instance_is_given_up(begin: Begin, temp: Path) -> None:
    instance = begin(lifetime=0.3)
    instance.run("true")
    assert eventually(lambda: not folders(temp), 8)
    assert "started anew" in instance.run("true").note


def test_an_image_may_be_a_file(begin: Begin, tmp_path: Path) -> None:
    assert begin(image=str(image_file(tmp_path))).text("echo hi") == "hi\n"


def test_an_image_is_built_once_however_many_want_it(tmp_path: Path) -> None:
    archive = docker_archive(tmp_path)
    cache = tmp_path / "cache"
    client = ApptainerClient("apptainer", os.environ)

    async def four() -> list[Path]:
        wanted = (ready_image(client, f"docker-archive:{archive}", cache, "0.") for _ in range(4))
        return list(await asyncio.gather(*wanted))

    first, *others = asyncio.run(four())
    assert others == [first] * 3
    assert [each.name for each in cache.glob("*.sif")] == [first.name]
    assert not list(cache.glob("*.part"))
    archive.unlink()
    assert asyncio.run(ready_image(client, f"docker-archive:{archive}", cache, "0.")) == first


def test_a_built_image_runs(begin: Begin, tmp_path: Path) -> None:
    assert begin(image=f"docker-archive:{docker_archive(tmp_path)}").text("echo hi") == "hi\n"


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("/no/such.sif", "there is no image /no/such.sif; set apptainer.image"),
        ("docker-archive:/no/such.tar", "apptainer: "),
        ("docker://127.0.0.1:1/nothing", "cannot be had"),
    ],
)
def test_an_image_that_is_not_there(begin: Begin, image: str, said: str) -> None:
    with pytest.raises(SandboxError, match=said):
        begin(image=image).run("true")


def test_an_image_without_bash(begin: Begin, tmp_path: Path) -> None:
    for name in ("etc", "tmp", "proc", "dev", "sys", "usr/bin"):
        (tmp_path / "bare" / name).mkdir(parents=True)
    with pytest.raises(SandboxError, match="has no bash"):
        begin(image=str(tmp_path / "bare")).run("true")


def test_where_it_is_not_installed(begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("bash", "chmod", "grep", "rm", "sleep"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(SandboxError, match="neither apptainer nor singularity is installed"):
        begin().run("true")
