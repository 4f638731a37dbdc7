"""How containers begin, end and are replaced."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandboxes.containers.container_leftovers import LABEL, remove_leftovers
from sandboxes.hosted import HostedSandbox
from sandboxes.leftovers import owner_label
from sandboxes.sandbox import ExecResult
from tests.sandboxes.containers import container_host
from tests.sandboxes.docker.conftest import Begin
from tests.sandboxes.engine import Engine

HERMES = """
import asyncio, sys
from pathlib import Path
from sandboxes.hosted import HostedSandbox
from tests.sandboxes.containers import container_host
from tests.sandboxes.engine import Engine

name, host, folder, place, *environ = sys.argv[1:]
engine = Engine(name, host, dict(zip(environ[::2], environ[1::2])), Path(folder))
host = container_host(engine, Path(place))
sandbox = HostedSandbox("task", host)

async def main():
    print(host.container, flush=True)
    await sandbox.spawn("sleep 4711")
    print((await sandbox.exec("echo ready", timeout=30)).output.text, end="", flush=True)
    await sandbox.exec("sleep 4712", timeout=600)

asyncio.run(main())
"""


def hermes(engine: Engine, folder: Path) -> subprocess.Popen[str]:
    """A process that works in a container; it prints its name, then `ready`."""
    environ = [word for pair in engine.environ.items() for word in pair]
    argv = [sys.executable, "-c", HERMES, engine.name, engine.host, str(engine.folder), str(folder), *environ]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def names(engine: Engine) -> str:
    return engine.call("ps", "-a", "--format", "{{.Names}}")


def test_one_container_serves_all_commands_of_a_task(engine: Engine, begin: Begin) -> None:
    container = begin(engine)
    first, second = (container.text("cat /proc/sys/kernel/hostname; echo x >> /tmp/count") for _ in range(2))
    assert first == second
    assert container.text("cat /tmp/count") == "x\nx\n"


def test_nothing_is_started_before_the_first_command(docker: Engine, begin: Begin) -> None:
    assert begin(docker).host.container not in names(docker)


def test_closing_takes_no_time_for_grace(engine: Engine, begin: Begin) -> None:
    container = begin(engine)
    container.run("trap '' TERM; sleep 600 & setsid sleep 600 < /dev/null &> /dev/null &")
    began = time.monotonic()
    container.wait(container.sandbox.close())
    assert time.monotonic() - began < 3
    assert container.host.container not in names(engine)


def test_a_task_may_be_given_up_and_begun_again(docker: Engine, begin: Begin) -> None:
    container = begin(docker, lifetime=0.5)
    container.run("touch /tmp/x; A=1")
    until = time.monotonic() + 10
    while container.host.container in names(docker) and time.monotonic() < until:
        time.sleep(0.1)
    assert container.host.container not in names(docker)
    result = container.run("test -e /tmp/x && echo there; echo A=$A")
    assert result.output.text == "A=\n"
    assert "started anew" in result.note


def test_orphans_are_taken_in(engine: Engine, begin: Begin) -> None:
    container = begin(engine)
    container.run("for i in 1 2 3; do setsid bash -c 'sleep 0.2 & exec true' &> /dev/null; done; sleep 1")
    assert "Z" not in container.text("grep -h State /proc/[0-9]*/status 2> /dev/null").split()


@pytest.mark.parametrize(
    ("deed", "told"), [(["kill"], "ended with 137"), (["rm", "-f"], "somebody removed its container")]
)
def test_a_container_that_died_is_replaced_and_the_model_is_told(
    engine: Engine, begin: Begin, deed: list[str], told: str
) -> None:
    container = begin(engine)
    container.run("A=1; cd /usr; echo x > /tmp/x")
    process = container.wait(container.sandbox.spawn("sleep 600"))
    engine.call(*deed, container.host.container)
    result = container.run("echo A=$A; pwd; ls /tmp/x")
    assert result.output.text.startswith(f"A=\n{container.host.cwd}\n")
    assert told in result.note
    assert "started anew" in result.note
    assert container.run("true").note == ""
    assert process.exit_code is not None


def test_files_too_find_the_new_container(docker: Engine, begin: Begin) -> None:
    container = begin(docker)
    container.run("true")
    docker.call("kill", container.host.container)
    container.wait(container.sandbox.write_file("made", b"1"))
    assert container.wait(container.sandbox.read_file("made")) == b"1"


@pytest.mark.parametrize("deed", ["kill", "rm -f"])
def test_a_container_that_dies_under_a_command_is_told_and_nothing_runs_twice(
    engine: Engine, begin: Begin, deed: str, folder: Path
) -> None:
    container = begin(engine)
    container.run("true")

    async def struck() -> str:
        task = asyncio.ensure_future(container.sandbox.exec("echo x >> ran; sleep 60", timeout=90))
        while not (folder / "ran").exists():
            await asyncio.sleep(0.05)
        await asyncio.to_thread(engine.call, *deed.split(), container.host.container)
        return (await task).note

    note = container.wait(asyncio.wait_for(struck(), 20))
    assert "how far it got is not known" in note
    assert container.text("cat ran") == "x\n"


def test_a_paused_container_goes_on_with_everything_it_had(engine: Engine, begin: Begin) -> None:
    container = begin(engine)
    container.run("A=1; cd /usr; echo x > /tmp/x")
    process = container.wait(container.sandbox.spawn("sleep 4715"))
    container.run("until pgrep -f '[s]leep 4715'; do sleep 0.1; done")
    engine.call("pause", container.host.container)
    result = container.run("echo A=$A; pwd; cat /tmp/x")
    assert result.output.text == "A=1\n/usr\nx\n"
    assert "connected again" in result.note
    assert process.exit_code is None
    container.wait(process.kill())


def test_a_command_that_cannot_be_ended_is_ended_with_its_container(docker: Engine, begin: Begin) -> None:
    container = begin(docker)
    container.run("true")

    async def paused() -> ExecResult:
        task = asyncio.ensure_future(container.sandbox.exec("sleep 4713", timeout=3))
        await asyncio.sleep(1)
        await asyncio.to_thread(docker.call, "pause", container.host.container)
        return await task

    result = container.wait(asyncio.wait_for(paused(), 20))
    assert result.timed_out
    assert "could not be ended" in result.note
    assert container.run("pgrep -f '[s]leep 4713'").output.text == ""


def test_a_timeout_ends_the_tree_inside(engine: Engine, begin: Begin) -> None:
    container = begin(engine)
    result = container.run("trap '' TERM; sleep 4714 & (setsid sleep 4714 &) ; sleep 4714", timeout=1)
    assert result.timed_out
    assert container.text("pgrep -f '[s]leep 4714'") == ""


@pytest.mark.thorough
def test_many_tasks_at_once_leave_nothing(docker: Engine, folder: Path) -> None:
    hosts = [container_host(docker, folder, mount="none") for _ in range(30)]

    async def task(number: int) -> str:
        sandbox = HostedSandbox("task", hosts[number])
        try:
            await sandbox.write_file("number", str(number).encode())
            return (await sandbox.exec("cat number; ls", timeout=60)).output.text
        finally:
            await sandbox.close()

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(task(number) for number in range(30)))

    assert asyncio.run(all_of_them()) == [f"{number}number\n" for number in range(30)]
    assert not {host.container for host in hosts} & set(names(docker).split())


def test_commands_of_one_task_run_beside_each_other(docker: Engine, begin: Begin) -> None:
    container = begin(docker)
    container.run("true")

    async def together() -> list[str]:
        commands = (container.sandbox.exec(f"sleep 1; echo {n}", timeout=30) for n in range(8))
        return [result.output.text for result in await asyncio.gather(*commands)]

    began = time.monotonic()
    assert container.wait(together()) == [f"{n}\n" for n in range(8)]
    assert time.monotonic() - began < 6


@pytest.mark.parametrize("after", [0.0, 0.05, 0.15, 0.3])
def test_breaking_off_while_it_starts_leaves_nothing(engine: Engine, begin: Begin, after: float) -> None:
    container = begin(engine)

    async def broken_off() -> None:
        task = asyncio.ensure_future(container.sandbox.exec("sleep 60", timeout=90))
        await asyncio.sleep(after)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await container.sandbox.close()

    container.wait(broken_off())
    assert container.host.container not in names(engine)


def test_a_killed_hermes_leaves_no_container(engine: Engine, folder: Path) -> None:
    with hermes(engine, folder) as process:
        assert process.stdout is not None
        container = process.stdout.readline().strip()
        assert process.stdout.readline() == "ready\n"
        assert container in names(engine)
        process.kill()
    until = time.monotonic() + 2
    while container in names(engine):
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("after", [0.02, 0.1, 0.2, 0.3])
def test_one_that_is_killed_while_it_starts_a_container_leaves_none(
    docker: Engine, folder: Path, after: float
) -> None:
    with hermes(docker, folder) as process:
        assert process.stdout is not None
        container = process.stdout.readline().strip()
        time.sleep(after)
        process.kill()
    time.sleep(1)  # it may appear only now
    until = time.monotonic() + 6
    while container in names(docker):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_next_hermes_removes_what_a_dead_one_left_and_nothing_else(engine: Engine, folder: Path) -> None:
    *owner, pid, start = owner_label().split(".")
    labels = {
        "dead": ".".join((*owner, pid, str(int(start) + 1))),
        "alive": owner_label(),
        "elsewhere": ".".join(("0123456789ab", *owner[1:], pid, "1")),
        "another's": ".".join((*owner[:3], "4711", pid, "1")),
    }
    ids = {}
    run = ["run", "-d", "--network", "none", "--stop-signal", "SIGKILL"]
    for name, label in labels.items():
        labelled = [*run, "--label", f"{LABEL}={label}"]
        ids[name] = engine.call(*labelled, engine.image, "sleep", "600").strip()
    ids["no hermes"] = engine.call(*run, engine.image, "sleep", "600").strip()
    try:
        assert not {ids[name] for name in ids if name != "dead"} & set(
            remove_leftovers([engine.name], engine.environ)
        )
        left = set(engine.call("ps", "-a", "-q", "--no-trunc").split())
        assert left & set(ids.values()) == {ids[name] for name in ids if name != "dead"}
    finally:
        for name in ids:
            engine.call("rm", "-f", ids[name], check=False)


def test_the_first_container_of_a_process_begins_the_search(engine: Engine, folder: Path) -> None:
    *owner, pid, start = owner_label().split(".")
    dead = ".".join((*owner, pid, str(int(start) + 1)))
    left = engine.call(
        "run",
        "-d",
        "--network",
        "none",
        "--stop-signal",
        "KILL",
        "--label",
        f"{LABEL}={dead}",
        engine.image,
        "sleep",
        "600",
    ).strip()
    with hermes(engine, folder) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert process.stdout.readline() == "ready\n"
        until = time.monotonic() + 15
        while left in engine.call("ps", "-a", "-q", "--no-trunc"):
            assert time.monotonic() < until
            time.sleep(0.1)
        process.kill()
