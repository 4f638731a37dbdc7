"""A container engine of our own for tests: dockerd, or podman with a storage of its own, and one small image.

Workers of one run share it: the first starts it, and it ends when the last has ended, however that was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandboxes.containers.engine_client import EngineName
from tests.sandboxes.root_archive import write_root

IMAGE = "hermes-test/root:1"
_KEEPER = Path(__file__).with_name("engine_keeper.py")
_SECONDS = 50.0


@dataclass(frozen=True)
class Engine:
    """`environ` is what a client needs, also ours; `folder` belongs to the engine; `daemon` started it."""

    name: EngineName
    host: str
    environ: dict[str, str]
    folder: Path
    image: str = IMAGE
    daemon: tuple[str, ...] = ()

    def call(self, *arguments: str, check: bool = True) -> str:
        """The output of the client, both streams."""
        done = subprocess.run(
            [self.name, *arguments], env=self.environ, text=True, timeout=_SECONDS,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert done.returncode == 0 or not check, done.stdout
        return done.stdout


@contextlib.contextmanager
def docker_engine(name: str = "docker") -> Iterator[Engine]:
    """Skips where docker's parts are missing or cannot be started. Another `name` is another engine."""
    _need_root()
    for program in ("docker", "dockerd"):
        _need(program)
    with _folder(name) as folder:
        socket = f"unix://{folder}/s"
        environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "DOCKER_HOST": socket}
        daemon = (
            "dockerd", "--data-root", f"{folder}/d", "--exec-root", f"{folder}/e", "-H", socket,
            "--pidfile", f"{folder}/p", "--iptables=false", "--bridge=none", "--ip-forward=false",
            "--ip-masq=false",
        )  # fmt: skip
        engine = Engine("docker", socket, environ, folder, daemon=daemon)
        _bring_up(engine)
        yield engine


@contextlib.contextmanager
def podman_engine() -> Iterator[Engine]:
    """Skips where podman's parts are missing or do not work here."""
    _need_root()
    for program in ("podman", "runc"):
        _need(program)
    with _folder("podman") as folder:
        # crun refuses cgroups of both versions at once, and without CAP_SYS_RESOURCE limits cannot be raised.
        containers = (
            f'[containers]\ndefault_ulimits = []\n[engine]\nruntime = "runc"\n'
            f'cgroup_manager = "cgroupfs"\nevents_logger = "file"\ntmp_dir = "{folder}/t"\n'
        )
        storage = f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/g"\nrunroot = "{folder}/r"\n'
        (folder / "containers.conf").write_text(containers)
        (folder / "storage.conf").write_text(storage)
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CONTAINERS_CONF": f"{folder}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf",
        }
        engine = Engine("podman", "", environ, folder)
        _bring_up(engine)
        yield engine


def _need_root() -> None:
    if sys.platform != "linux" or os.getuid() != 0:
        pytest.skip("an engine of our own needs Linux and root")


def _need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def _bring_up(engine: Engine) -> None:
    """Start it and give it the image, unless another worker has."""
    folder = engine.folder
    with open(folder / "starting", "ab") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        if (folder / "ready").exists():
            return
        if (folder / "failed").exists():
            pytest.skip((folder / "failed").read_text())
        (folder / "end").write_text(
            f"{engine.name} ps -aq | xargs -r {engine.name} rm -f\n"
            f"{engine.name} ps -aq | xargs -r {engine.name} rm -f\n"
        )
        keeper = subprocess.Popen(
            [sys.executable, "-S", str(_KEEPER), str(folder), *engine.daemon], env=engine.environ, cwd="/",
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        (folder / "keeper").write_text(str(keeper.pid))
        keeper.returncode = 0  # it outlives this process and is waited for by its number
        try:
            wait_ready(engine)
            write_root(folder / "root.tar")
            engine.call("import", str(folder / "root.tar"), engine.image)
            quick = ["run", "--rm", "--network", "none", engine.image, "true"]
            engine.call(*quick)
        except AssertionError as error:
            reason = f"{engine.name} does not work here: {str(error)[-300:]}"
            (folder / "failed").write_text(reason)
            pytest.skip(reason)
        (folder / "ready").touch()


def wait_ready(engine: Engine) -> None:
    until = time.monotonic() + 20
    ready = [engine.name, "ps", "-aq"]
    while subprocess.run(ready, env=engine.environ, capture_output=True, check=False).returncode != 0:
        log = engine.folder / "log"
        assert time.monotonic() < until, log.read_text()[-1000:] if log.exists() else "no answer"
        time.sleep(0.05)


@contextlib.contextmanager
def _folder(name: str) -> Iterator[Path]:
    """A folder that all workers of this run share, held by a lock; with a short path, as sockets need."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")[:8] or str(os.getpid())
    folder = Path(tempfile.gettempdir(), f"hermes-{name}-{run}")
    users = _join(folder)
    try:
        yield folder
    finally:
        _leave(folder, users)


def _join(folder: Path) -> int:
    while True:
        folder.mkdir(mode=0o711, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            users = os.open(folder / "users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(users, fcntl.LOCK_SH)
            # While we waited, the last user's keeper may have removed it.
            if (folder / "users").exists() and os.path.samestat(os.fstat(users), (folder / "users").stat()):
                return users
            os.close(users)


def _leave(folder: Path, users: int) -> None:
    """Let go of it; the last one waits until it is gone."""
    keeper = folder / "keeper"
    pid = int(keeper.read_text()) if keeper.exists() else 0
    fcntl.flock(users, fcntl.LOCK_UN)
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not pid:  # nothing was started
            shutil.rmtree(folder, ignore_errors=True)
        fcntl.flock(users, fcntl.LOCK_UN)
    except BlockingIOError:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(users, fcntl.LOCK_UN)
            pid = 0  # others use it still
    os.close(users)
    if not pid:
        return
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        select.select([descriptor], [], [], _SECONDS)
        os.close(descriptor)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
