"""What is said where no container can be had, and what happens when the engine itself goes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandboxes.containers.engine_client import EngineClient
from sandboxes.hosted import HostedSandbox
from sandboxes.process_tree import wait_gone
from sandboxes.sandbox import SandboxError
from tests.sandboxes.containers import container_host
from tests.sandboxes.engine import Engine, docker_engine, wait_ready


def refused(engine: Engine, folder: Path, **how: object) -> str:
    """What is said when a command is tried."""
    sandbox = HostedSandbox("task", container_host(engine, folder, **how))  # type: ignore[arg-type]
    with pytest.raises(SandboxError) as error:
        asyncio.run(sandbox.exec("touch ran", timeout=30))
    asyncio.run(sandbox.close())
    assert os.listdir(folder) == []
    assert len(str(error.value).splitlines()) <= 12
    return str(error.value)


def test_an_engine_that_does_not_answer_is_an_error_and_nothing_falls_back(
    engine: Engine, folder: Path
) -> None:
    said = refused(engine, folder, host=f"unix://{engine.folder}/nobody")
    assert f"does not answer at unix://{engine.folder}/nobody" in said
    assert "Start it" in said


def test_a_missing_client_is_an_error(docker: Engine, folder: Path) -> None:
    nowhere = Engine("docker", docker.host, {**docker.environ, "PATH": str(folder)}, docker.folder)
    assert "the program docker is not installed" in refused(nowhere, folder)


def test_a_missing_image_is_an_error_with_the_way_to_it(engine: Engine, folder: Path) -> None:
    said = refused(engine, folder, image="127.0.0.1:9/no/such:1")
    assert "127.0.0.1:9/no/such:1" in said
    assert "cannot be reached" in said
    assert f"{engine.name} pull" in said


def test_an_image_without_bash_is_an_error(engine: Engine, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    tar = tmp_path / "root.tar"
    subprocess.run(["tar", "-C", tmp_path / "root", "-cf", tar, "."], check=True)
    engine.call("import", str(tar), "hermes-test/empty:1")
    said = refused(engine, folder, image="hermes-test/empty:1")
    assert "the image hermes-test/empty:1 has no bash" in said


def test_a_folder_that_the_engine_cannot_see_is_an_error(docker: Engine, folder: Path) -> None:
    sandbox = HostedSandbox("task", container_host(docker, folder))
    folder.rmdir()
    with pytest.raises(SandboxError, match=r"cannot be mounted(.|\n)*docker\.mount"):
        asyncio.run(sandbox.exec("true", timeout=30))
    asyncio.run(sandbox.close())


def test_an_option_that_there_is_not_is_an_error(engine: Engine, folder: Path) -> None:
    said = refused(engine, folder, options=["--no-such-option"])
    assert "docker.options" in said
    assert "no-such-option" in said


def test_a_folder_that_does_not_exist_is_an_error(docker: Engine, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="does not exist"):
        container_host(docker, tmp_path / "nothing")


def test_an_engine_that_is_not_ours_to_use_is_an_error() -> None:
    said = (
        "permission denied while trying to connect to the Docker daemon socket at "
        "unix:///var/run/docker.sock: "
        'Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.41/containers/json": dial unix /var/run/docker.sock: '
        "connect: permission denied"
    )
    told = str(EngineClient("docker", "", {}).problem(said, "debian:12-slim"))
    assert "may not use the engine" in told
    assert "usermod -aG docker" in told


@contextmanager
def restarted(engine: Engine) -> Iterator[None]:
    with open(engine.folder / "log", "ab") as log:
        daemon = subprocess.Popen(engine.daemon, env=engine.environ, stdout=log, stderr=log)
        try:
            wait_ready(engine)
            yield
        finally:
            daemon.terminate()
            daemon.wait()


async def stop(engine: Engine) -> None:
    daemon = int((engine.folder / "p").read_text())
    os.kill(daemon, signal.SIGTERM)
    await wait_gone([daemon], 20)


def test_an_engine_that_was_started_anew_has_new_containers(folder: Path) -> None:
    async def through(engine: Engine) -> None:
        sandbox = HostedSandbox("task", container_host(engine, folder))
        await sandbox.exec("A=1", timeout=30)
        await stop(engine)
        with pytest.raises(SandboxError, match="does not answer"):
            await sandbox.exec("echo no", timeout=30)
        with restarted(engine):
            result = await sandbox.exec("echo A=$A", timeout=30)
            assert result.output.text == "A=\n"
            assert "started anew" in result.note
            await sandbox.close()
            assert engine.call("ps", "-aq") == ""

    with docker_engine("docker-2") as engine:
        asyncio.run(through(engine))


def test_an_engine_that_ends_under_a_command_is_told(folder: Path) -> None:
    async def through(engine: Engine) -> None:
        sandbox = HostedSandbox("task", container_host(engine, folder))
        task = asyncio.ensure_future(sandbox.exec("echo x > ran; sleep 60", timeout=90))
        while not (folder / "ran").exists():
            await asyncio.sleep(0.05)
        await stop(engine)
        result = await asyncio.wait_for(task, 20)
        assert "how far it got is not known" in result.note
        await sandbox.close()

    with docker_engine("docker-3") as engine:
        asyncio.run(through(engine))
