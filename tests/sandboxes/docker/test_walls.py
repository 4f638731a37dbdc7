"""What commands in a container cannot do."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sandboxes.sandbox import SandboxError
from tests.sandboxes.docker.conftest import Begin
from tests.sandboxes.engine import Engine

CANARY = "sk-canary-1234567890"


def test_more_memory_than_allowed_ends_the_command_and_that_is_said(engine: Engine, begin: Begin) -> None:
    container = begin(engine, memory="64m")
    result = container.run("A=1; head -c 200000000 /dev/zero | tail -c 199999999 | wc -c")
    assert "the kernel ended" in result.note
    after = container.run("echo $A again")
    assert after.output.text == "1 again\n"
    assert after.note == ""


def test_no_swap_comes_instead_of_memory(docker: Engine, begin: Begin) -> None:
    container = begin(docker, memory="64m")
    container.run("true")
    limits = docker.call(
        "inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}", container.host.container
    )
    assert limits.split() == [str(64 << 20)] * 2


def test_the_number_of_cores_is_limited(docker: Engine, begin: Begin) -> None:
    container = begin(docker, cpus=0.5)
    spent = container.text("timeout 2 bash -c 'while :; do :; done'; times").split()[-2]
    minutes, seconds = spent.rstrip("s").split("m")
    assert float(minutes) * 60 + float(seconds) < 1.5


def test_a_fork_bomb_stays_inside_and_can_be_ended(docker: Engine, begin: Begin) -> None:
    container = begin(docker, pids=64)
    before, began = _processes(), time.monotonic()
    result = container.run("bomb() { bomb | bomb & }; bomb; sleep 60", timeout=2)
    assert result.timed_out
    assert time.monotonic() - began < 20
    assert _processes() - before < 200
    assert container.text("echo alive", timeout=60) == "alive\n"
    assert int(container.text("ls -d /proc/[1-9]* | wc -l")) < 10


def _processes() -> int:
    return sum(name.isdigit() for name in os.listdir("/proc"))


def test_there_is_no_network_unless_allowed(engine: Engine, begin: Begin) -> None:
    container = begin(engine)
    assert not container.sandbox.confinement.network
    assert container.text("tail -n +3 /proc/net/dev | cut -d: -f1").split() == ["lo"]
    assert container.run("exec 3<> /dev/tcp/192.0.2.1/80").exit_code != 0


def test_an_allowed_network_is_the_one_that_the_options_name(docker: Engine, begin: Begin) -> None:
    container = begin(docker, terminal={"network": True}, options=["--network=host"])
    assert begin(docker, terminal={"network": True}).sandbox.confinement.holds
    assert container.sandbox.confinement.network
    ours = set(os.listdir("/sys/class/net"))
    assert set(container.text("tail -n +3 /proc/net/dev | cut -d: -f1").split()) == ours


def test_commands_have_no_privileges(engine: Engine, begin: Begin, folder: Path) -> None:
    os.chown(folder, 4711, 4712)
    container = begin(engine)
    assert container.text("id -u; id -g").split() == ["4711", "4712"]
    status = container.text("grep -E '^(Cap...|NoNewPrivs):' /proc/self/status").split()
    facts = dict(zip(status[::2], status[1::2], strict=True))
    assert {int(facts[name], 16) for name in ("CapPrm:", "CapEff:", "CapBnd:")} == {0}
    assert facts["NoNewPrivs:"] == "1"


def test_root_has_no_capabilities_in_its_own_folder_and_is_nobody_without_one(
    docker: Engine, begin: Begin, folder: Path
) -> None:
    own = begin(docker)
    assert own.text("id -u; touch made && stat -c %u made").split() == ["0", "0"]
    assert "0000000000000000" in own.text("grep CapBnd: /proc/self/status")
    assert own.run("chown 1:1 made").exit_code != 0
    assert (folder / "made").stat().st_uid == 0
    none = begin(docker, mount="none")
    assert none.text("id -u") == "65534\n"


def test_the_user_can_be_chosen(docker: Engine, begin: Begin) -> None:
    assert begin(docker, user="1234:5678").text("id -u; id -g; echo $USER").split() == [
        "1234",
        "5678",
        "hermes",
    ]


def test_no_key_reaches_a_container(engine: Engine, begin: Begin) -> None:
    keys = {"OPENAI_API_KEY": CANARY, "http_proxy": f"http://me:{CANARY}@127.0.0.1:9", "OTHER": CANARY}
    container = begin(engine, environ=keys)
    assert CANARY not in container.text("env; cat /proc/[0-9]*/environ 2> /dev/null | tr '\\0' '\\n'")
    assert CANARY not in engine.call("inspect", container.host.container)


def test_what_is_passed_on_purpose_is_there_and_stands_in_no_command_line(
    engine: Engine, begin: Begin
) -> None:
    given = {"MY_TOKEN": CANARY, "MY_NAME": "Ada L.", "OTHER": "x"}
    container = begin(engine, environ=given, terminal={"env_pass": ["MY_TOKEN", "MY_N*"]})
    shown = container.text('echo "$MY_TOKEN/$MY_NAME/$OTHER"; cat /proc/1/cmdline')
    assert shown.startswith(f"{CANARY}/Ada L./\n")
    assert shown.count(CANARY) == 1
    assert not any(CANARY in word for word in container.host.command_line(["true"]))


def test_the_surroundings_are_the_container_s_own(engine: Engine, begin: Begin) -> None:
    container = begin(engine)
    shown = container.text("echo $HOME $TMPDIR $LANG; touch ~/x $TMPDIR/y && stat -c %a ~").split()
    assert shown == ["/tmp/home", "/tmp", "C.UTF-8", "700"]
    assert container.text("cat /proc/sys/kernel/hostname") != Path("/proc/sys/kernel/hostname").read_text()


def test_options_of_the_person_count(docker: Engine, begin: Begin) -> None:
    container = begin(docker, options=["--read-only", "--tmpfs", "/tmp:exec"])
    assert container.run("touch /x").exit_code != 0
    assert container.run("touch /tmp/x; echo hi").output.text == "hi\n"
    assert container.sandbox.confinement.holds


@pytest.mark.parametrize(
    "options",
    [
        ["-v", "/:/host"],
        ["--privileged"],
        ["--cap-add=SYS_ADMIN"],
        ["--pid", "host"],
        ["--device=/dev/x"],
        ["--network", "host"],
        ["--net=container:x"],
    ],
)
def test_options_that_open_the_container_are_not_called_a_confinement(
    docker: Engine, begin: Begin, options: list[str]
) -> None:
    confinement = begin(docker, options=options).sandbox.confinement
    assert not confinement.holds
    assert confinement.keys


def test_what_confines_is_known_before_anything_runs(engine: Engine, begin: Begin, folder: Path) -> None:
    shown = {mode: begin(engine, mount=mode).sandbox.confinement for mode in ("write", "read", "none")}
    assert {each.kind for each in shown.values()} == {engine.name}
    assert shown["write"].writable == (str(folder),)
    assert shown["read"].writable == shown["none"].writable == ()
    assert not any(each.keys or each.network for each in shown.values())
    assert all(each.holds for each in shown.values())


def test_a_limit_that_the_engine_cannot_keep_is_an_error(docker: Engine, begin: Begin) -> None:
    container = begin(docker, options=["--storage-opt", "size=1G"])
    with pytest.raises(SandboxError, match=r"docker\.options(.|\n)*storage-opt"):
        container.run("true")
