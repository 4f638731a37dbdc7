"""The server inside a sandbox: its tools, its walls, its reset, its manners. Each test asks a real one."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import subprocess
import tarfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sandboxes.pools.executor_archive import executor_archive
from sandboxes.process_tree import find_tree
from tests.sandboxes.pools.rig import TOKEN, Executor, executor, wait_until_gone


def test_the_shell_keeps_its_state_from_call_to_call(running: Executor) -> None:
    running.bash("cd /tmp; export A=1; f() { echo f$A; }; set -o noclobber")
    assert running.bash("pwd; f; echo > x; echo > x").startswith("/tmp\nf1\n")
    assert "cannot overwrite existing file" in running.bash("echo > x")
    assert running.bash("exit 3") == ""
    assert running.bash("pwd; f") == "/tmp\nf1\n"


def test_an_answer_has_the_promised_shape(running: Executor) -> None:
    status, answer = running.post(
        "/execute",
        slot_id=1,
        tool="bash",
        args={"command": "echo out; echo err >&2; exit 3"},
        execution_id="x1",
    )
    assert status == 200
    metadata = answer.pop("metadata")
    assert answer == {"success": False, "output": "out\nerr\n", "error": "", "execution_id": "x1"}
    assert (metadata["exit_code"], metadata["timed_out"], metadata["cwd"]) == (3, False, "/workspace")
    assert 0 < metadata["seconds"] < 5


def test_after_the_timeout_the_whole_tree_is_ended(running: Executor) -> None:
    began = time.monotonic()
    answer = running.call(
        "bash", command="setsid sleep 1000 & (trap '' TERM; sleep 1000) & sleep 1000", timeout=0.5
    )
    assert time.monotonic() - began < 5
    assert answer["metadata"]["exit_code"] == 124
    assert answer["error"] == "ended after 0.5 s, with all it had started"
    assert "sleep" not in running.bash("cat /proc/[0-9]*/comm")


def test_a_process_in_the_background_goes_on_and_does_not_hold_the_answer(running: Executor) -> None:
    began = time.monotonic()
    running.bash("(while :; do echo noise; sleep 0.01; done) & sleep 1000 & sleep 0.05")
    assert time.monotonic() - began < 5
    assert "sleep" in running.bash("sleep 0.1; cat /proc/[0-9]*/comm")


def test_output_is_bounded_and_says_what_was_left_out(running: Executor) -> None:
    answer = running.call("bash", command="echo first; yes | head -c 50000000; echo last")
    assert len(answer["output"]) < 300_000
    assert answer["output"].startswith("first\n") and answer["output"].endswith("last\n")
    assert "bytes of 50,000,011 left out" in answer["output"]
    assert answer["metadata"]["truncated"] and answer["metadata"]["total_bytes"] == 50_000_011


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
def test_files_of_any_bytes_are_written_and_read(running: Executor, size: int) -> None:
    data = os.urandom(size)
    content = base64.b64encode(data).decode()
    assert running.call("write_file", path="a/b.bin", content=content, encoding="base64")["success"]
    answer = running.call("read_file", path="/workspace/a/b.bin", encoding="base64")
    assert base64.b64decode(answer["output"]) == data
    part = running.call("read_file", path="a/b.bin", encoding="base64", offset=size // 2, size=10)
    assert base64.b64decode(part["output"]) == data[size // 2 :][:10]
    assert part["metadata"]["truncated"] == (size - size // 2 > 10)


def test_a_file_that_is_not_there_is_a_result_with_an_error(running: Executor) -> None:
    answer = running.call("read_file", path="nothing")
    assert (answer["success"], answer["error"]) == (False, "No such file or directory")
    assert not running.call("read_file", path="/workspace")["success"]
    assert not running.call("write_file", path="/usr/x", content="x")["success"]


def test_what_is_no_regular_file_is_not_waited_for(running: Executor) -> None:
    running.bash("mkfifo /workspace/pipe")
    calls: list[tuple[str, dict[str, Any]]] = [
        ("read_file", {}), ("write_file", {"content": "x"}), ("write_file", {"content": "x", "append": True})
    ]  # fmt: skip
    for tool, more in calls:
        for path in ("pipe", "/dev/zero"):
            answer = running.call(tool, path=path, timeout=5, **more)
            assert answer["error"] in ("Not a regular file", "No such device or address"), answer


# -- walls -------------------------------------------------------------------------------------------------


def test_a_slot_sees_nothing_of_the_machine_but_its_programs(running: Executor, home: Path) -> None:
    (home / "key").write_text("secret")
    seen = running.bash(f"ls -A / /root /home 2>&1; cat {home}/key /etc/shadow; cat /proc/1/environ; env")
    assert "secret" not in seen
    assert "\nroot:" not in seen
    assert TOKEN not in seen
    assert not {"work", "var", "srv", "mnt"} & set(seen.split())


def test_a_slot_can_write_to_its_own_folders_alone(running: Executor) -> None:
    writable = running.bash(
        "for folder in / /usr /etc /run /run/hermes /proc /workspace /tmp; do"
        " if touch $folder/probe; then echo $folder; fi; done 2> /dev/null;"
        " for file in /run/hermes/holder.py /proc/sys/kernel/hostname /proc/sys/vm/swappiness"
        " /proc/sysrq-trigger; do if [ -e $file ] && : >> $file; then echo $file; fi; done 2> /dev/null"
    )
    assert writable.split() == ["/workspace", "/tmp"]


def test_a_slot_reaches_no_network(running: Executor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said = running.bash(f"exec 3<> /dev/tcp/127.0.0.1/{port} && echo reached")
    assert "reached" not in said
    assert "reached" not in running.bash(
        f"exec 3<> /dev/tcp/{running.address.replace(':', '/')} && echo reached"
    )


def test_a_slot_with_network_reaches_it(tmp_path: Path) -> None:
    with executor(tmp_path, "--network") as running, socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert "reached" in running.bash(f"exec 3<> /dev/tcp/127.0.0.1/{port} && echo reached")


def test_without_a_proc_of_its_own_a_slot_sees_names_of_other_processes_and_nothing_else(
    tmp_path: Path,
) -> None:
    with executor(tmp_path, "--proc", "shared") as running:
        assert running.send("GET", "/slots")[1]["own_proc"] is False
        running.bash("export MINE=very-secret; echo mine > f; exec -a telltale sleep 1000 & disown", 0)
        look = "for f in /proc/[0-9]*/{environ,root/workspace/f,cwd/f,fd/*}; do cat $f; done 2> /dev/null"
        seen = running.bash(f"{look}; for pid in /proc/[0-9]*; do kill -KILL ${{pid#/proc/}}; done", 1)
        assert "very-secret" not in seen and "mine" not in seen
        assert "telltale" in running.bash("cat /proc/[0-9]*/cmdline | tr '\\0' ' '", 0)


def test_slots_do_not_see_each_other(running: Executor) -> None:
    running.bash("echo mine > /workspace/f; echo mine > /tmp/f; echo mine > /dev/shm/f; export MINE=1", 0)
    running.bash("exec -a telltale sleep 1000 & disown", 0)
    seen = running.bash("ls -A /workspace /tmp /dev/shm; cat /proc/[0-9]*/cmdline; echo [$MINE]; ipcs", 1)
    assert "telltale" not in seen and "f\n" not in seen
    assert "[]" in seen


def test_nothing_inside_can_end_the_first_process_of_the_slot(running: Executor) -> None:
    running.bash("kill -KILL 1; kill -INT 1; kill -TERM 1; kill -STOP 1; kill -HUP 1; kill -USR1 1")
    assert running.bash("echo alive") == "alive\n"


def test_a_slot_that_loses_its_first_process_says_so_and_others_go_on(running: Executor) -> None:
    holders = [
        pid for pid in running.processes()
        if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[-3:-2] == [b"/run/hermes/holder.py"]
        and b"bwrap" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]  # fmt: skip
    assert len(holders) == 2
    os.kill(holders[0], signal.SIGKILL)
    assert wait_until_gone({holders[0]})
    answers = [
        running.post("/execute", slot_id=slot, tool="bash", args={"command": "echo on"}) for slot in (0, 1)
    ]
    assert sorted(status for status, _ in answers) == [200, 409]
    (lost,) = [answer for status, answer in answers if status == 409]
    assert lost["code"] == "slot_lost"
    number = 0 if answers[0][0] == 409 else 1
    assert running.post("/reset", slot_id=number)[0] == 200
    assert running.bash("echo anew", number) == "anew\n"


# -- reset -------------------------------------------------------------------------------------------------


def test_a_reset_leaves_nothing_of_the_task(running: Executor) -> None:
    name = f"telltale-{os.urandom(8).hex()}"
    running.bash(
        f"echo x > f; mkdir -p a/b; chmod 0 a; echo x > /tmp/f; echo x > /dev/shm/f;"
        f" exec -a {name} sleep 1000 & disown;"
        f" (exec -a {name} env -i setsid bash -c 'sleep 1000 & exec -a {name} sleep 1000') & disown;"
        " export LEFT=1; cd /tmp; alias l=ls; f() { :; }; umask 077; set -f; sleep 0.1"
    )
    assert len(_named(name)) >= 2
    assert running.post("/reset", slot_id=0)[0] == 200
    assert _named(name) == []
    seen = running.bash(
        "ls -A /workspace /tmp /dev/shm; echo [$LEFT] $(pwd) $(umask) $-; type f l; ps -A | wc -l"
    )
    assert seen.startswith("/dev/shm:\n\n/tmp:\n\n/workspace:\n[] /workspace 0022 hBc\n")
    assert seen.count("not found") == 2
    assert "sleep" not in running.bash("cat /proc/[0-9]*/comm")


def _named(name: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if name.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue  # it ended just now
    return found


def test_a_reset_ends_a_command_that_runs(running: Executor) -> None:
    answers: list[tuple[int, dict[str, object]]] = []

    def work() -> None:
        answers.append(running.post("/execute", slot_id=0, tool="bash", args={"command": "sleep 1000"}))

    thread = threading.Thread(target=work)
    thread.start()
    while not any(each["busy"] for each in running.send("GET", "/slots")[1]["slots"]):
        time.sleep(0.01)
    assert running.post("/reset", slot_id=0)[0] == 200
    thread.join(10)
    assert [(status, answer["code"]) for status, answer in answers] == [(409, "slot_lost")]


def test_a_lease_ends_with_the_reset(running: Executor) -> None:
    lease = running.send("GET", "/slots")[1]["slots"][0]["lease"]
    call = {"slot_id": 0, "tool": "bash", "args": {"command": "echo mine"}, "lease": lease}
    assert running.post("/execute", **call)[0] == 200
    _, answer = running.post("/reset", slot_id=0, lease=lease)
    assert answer["lease"] != lease
    status, refused = running.post("/execute", **call)
    assert (status, refused["code"]) == (409, "stale_lease")


def test_a_folder_too_deep_for_a_plain_removal_goes_too(running: Executor) -> None:
    running.bash("mkdir -p $(printf 'd/%.0s' {1..1500})")
    assert running.post("/reset", slot_id=0)[0] == 200
    assert running.bash("ls -A") == ""


# -- once --------------------------------------------------------------------------------------------------


def test_the_same_execution_asked_for_again_runs_once(running: Executor) -> None:
    call = {
        "slot_id": 0,
        "tool": "bash",
        "args": {"command": "echo run >> log; sleep 0.3; cat log"},
        "execution_id": "a",
    }
    answers: list[tuple[int, dict[str, object]]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(running.post("/execute", **call))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.append(running.post("/execute", **call))
    assert [(status, answer["output"]) for status, answer in answers] == [(200, "run\n")] * 5


def test_a_broken_connection_leaves_the_command_running_and_its_answer_to_be_fetched(
    running: Executor,
) -> None:
    host, _, port = running.address.partition(":")
    call = {
        "slot_id": 0,
        "tool": "bash",
        "args": {"command": "sleep 0.5; echo run >> log; cat log"},
        "execution_id": "b",
    }
    body = json.dumps(call).encode()
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /execute HTTP/1.1\r\nHost: {running.address}\r\nAuthorization: Bearer {TOKEN}\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(0.2)
    assert running.post("/execute", **call)[1]["output"] == "run\n"


def test_an_id_taken_for_something_else_is_refused(running: Executor) -> None:
    assert (
        running.post("/execute", slot_id=0, tool="bash", args={"command": "true"}, execution_id="c")[0] == 200
    )
    status, answer = running.post(
        "/execute", slot_id=0, tool="bash", args={"command": "false"}, execution_id="c"
    )
    assert (status, answer["code"]) == (409, "id_taken")


def test_a_cancelled_execution_has_ended_when_the_answer_comes(running: Executor) -> None:
    call = {"slot_id": 0, "tool": "bash", "args": {"command": "sleep 1000"}, "execution_id": "d"}
    thread = threading.Thread(target=running.post, args=("/execute",), kwargs=call)
    thread.start()
    while not any(each["busy"] for each in running.send("GET", "/slots")[1]["slots"]):
        time.sleep(0.01)
    assert running.post("/cancel", execution_id="d") == (200, {"cancelled": True})
    thread.join(10)
    assert "sleep" not in running.bash("cat /proc/[0-9]*/comm")


def test_a_batch_answers_in_order_and_one_refusal_touches_no_other(running: Executor) -> None:
    calls = [
        {"slot_id": number % 2, "tool": "bash", "args": {"command": f"echo {number} | tee -a log"}}
        for number in range(6)
    ]
    calls.insert(3, {"slot_id": 0, "tool": "no such", "args": {}})
    _, answer = running.post("/batch", calls=calls)
    told = [each.get("output", "refused") for each in answer["results"]]
    assert told == ["0\n", "1\n", "2\n", "refused", "3\n", "4\n", "5\n"]
    assert running.bash("cat log", 0) == "0\n2\n4\n"


# -- artifacts ---------------------------------------------------------------------------------------------


def test_artifacts_are_listed_read_and_packed(running: Executor) -> None:
    running.bash("mkdir -p out/deep; echo text > out/deep/f; ln -s f out/deep/link; mkfifo out/pipe")
    _, listed = running.post("/artifacts/list", slot_id=0, path="out")
    assert [(each["path"], each["type"]) for each in listed["entries"]] == [
        ("deep", "folder"), ("deep/f", "file"), ("deep/link", "link"), ("pipe", "other")
    ]  # fmt: skip
    _, read = running.post("/artifacts/read", slot_id=0, path="/workspace/out/deep/f")
    assert (base64.b64decode(read["content"]), read["size"]) == (b"text\n", 5)
    _, packed = running.post("/artifacts/archive", slot_id=0, path="out")
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed["archive"]))) as tar:
        assert tar.getnames() == ["deep", "deep/f", "deep/link"]
        member = tar.extractfile("deep/f")
        assert member is not None and member.read() == b"text\n"
    assert packed["left_out"] == ["pipe"]


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/etc/passwd", "link", "folder/passwd", "pipe", "\0", "/workspace/../x"]
)
def test_artifacts_lie_in_the_workspace_alone(running: Executor, path: str) -> None:
    running.bash("ln -s /etc/passwd link; ln -s /etc folder; mkfifo pipe; mkdir a")
    status, answer = running.post("/artifacts/read", slot_id=0, path=path)
    assert status in (403, 404), answer


def test_a_swap_between_folder_and_link_gains_nothing(running: Executor, tmp_path: Path) -> None:
    """Swapped inside all the while; outside it leads to a file that a link from there would reach."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "f").write_text("outside")
    try:
        running.bash(
            f"mkdir d; echo inside > d/f; ln -s {secret} l;"
            " (while :; do mv d x; mv l d; mv d l; mv x d; done) & disown"
        )
        for _ in range(200):
            status, answer = running.post("/artifacts/read", slot_id=0, path="d/f")
            assert status in (403, 404) or base64.b64decode(answer["content"]) == b"inside\n"
    finally:
        (secret / "f").unlink()
        secret.rmdir()


def test_a_trap_where_the_shell_keeps_its_state_is_not_stepped_into(
    running: Executor, tmp_path: Path
) -> None:
    """The executor writes the command into, and reads the state from, a folder that the slot can write to."""
    outside = tmp_path / "outside"
    outside.write_text("")
    try:
        running.bash(f"for i in {{1..9}}; do ln -sf {outside} /run/hermes/state/command-$i; done")
        running.bash(f"for i in {{3..9}}; do ln -sf {outside} /run/hermes/state/state-$i; done")
        assert running.bash("echo on") == "on\n"
        assert outside.read_text() == ""
    finally:
        outside.unlink()


# -- manners -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong-token-of-tests"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": f"Bearer {TOKEN}", "Origin": "http://evil.example"}, 403),
        ({"Authorization": f"Bearer {TOKEN}", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Authorization": f"Bearer {TOKEN}", "Host": "evil.example"}, 403),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
    ],
)
def test_who_may_ask(running: Executor, headers: dict[str, str], status: int) -> None:
    for path in ("/health", "/slots"):
        assert running.send("GET", path, headers=headers)[0] == status


def test_requests_it_does_not_understand_are_told_so(running: Executor) -> None:
    assert running.send("GET", "/execute")[0] == 405
    assert running.send("POST", "/nothing", b"{}")[0] == 404
    assert running.send("POST", "/execute", b"{")[0] == 400
    assert running.send("POST", "/execute", b"[]")[0] == 400
    assert running.post("/execute", slot_id=9, tool="bash", args={"command": "true"})[0] == 404
    assert running.post("/execute", slot_id=True, tool="bash", args={"command": "true"})[0] == 404
    assert running.post("/execute", slot_id=0, tool="bash", args={})[0] == 400
    for timeout in (0, -1, "1", True, 1e9):
        assert (
            running.post("/execute", slot_id=0, tool="bash", args={"command": "true"}, timeout=timeout)[0]
            == 400
        )


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST /execute HTTP/1.1\r\nContent-Length: 99999999999\r\n", 413),
        (b"POST /execute HTTP/1.1\r\n", 411),
        (b"POST /execute HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", 501),
        (b"POST /execute HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n", 400),
        (b"GET /health HTTP/1.0\r\n", 400),
        (b"GET /health HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n", 431),
    ],
)
def test_what_is_too_large_or_ambiguous_is_refused_before_it_is_read(
    running: Executor, sent: bytes, status: int
) -> None:
    host, _, port = running.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(
            sent + f"Host: {running.address}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        assert connection.recv(100).split()[1] == str(status).encode()
    assert running.send("GET", "/health")[0] == 200


def test_without_a_token_it_does_not_start(tmp_path: Path) -> None:
    for token in ("", "short"):
        refused = Executor(tmp_path, environ={"HERMES_EXECUTOR_TOKEN": token})
        assert refused.said == b""
        assert "HERMES_EXECUTOR_TOKEN" in refused.end()
        assert refused.process.returncode == 1


def test_without_bubblewrap_it_does_not_start(tmp_path: Path) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "bash").symlink_to("/bin/bash")
    refused = Executor(tmp_path, environ={"PATH": str(bin_folder)})
    assert refused.said == b""
    assert "bubblewrap (bwrap) is not installed here, and slots are never run without it" in refused.end()
    broken = bin_folder / "bwrap"
    broken.write_text("#!/bin/bash\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    refused = Executor(tmp_path, environ={"PATH": str(bin_folder)})
    assert refused.said == b""
    assert "No permissions to create new namespace" in refused.end()


def test_its_token_can_be_read_neither_in_its_arguments_nor_in_its_environment(running: Executor) -> None:
    for pid in running.processes() | {running.process.pid}:
        for name in ("environ", "cmdline"):
            assert TOKEN.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()


def test_it_listens_on_loopback_unless_told_otherwise(running: Executor) -> None:
    assert running.address.startswith("127.0.0.1:")


def test_when_it_is_killed_every_process_of_every_slot_ends(tmp_path: Path) -> None:
    running = Executor(tmp_path)
    running.bash("setsid sleep 1000 & disown; env -i setsid sleep 1000 & disown", 0)
    tree = running.processes()
    assert len(tree) >= 6
    running.process.kill()
    running.end()
    assert wait_until_gone(tree)
    assert find_tree(running.marker) == set()


@pytest.mark.parametrize("version", ["3.10", "3.12", "3.13"])
def test_it_runs_on_other_pythons(tmp_path: Path, version: str) -> None:
    found = [str(path) for path in Path("~root/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python3")
             if os.access(path, os.X_OK)]  # fmt: skip
    if not found:
        pytest.skip(f"Python {version} is not installed")
    (tmp_path / "executor.pyz").write_bytes(executor_archive())
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from sandboxes.executor import service"
    done = subprocess.run(
        [found[0], "-I", "-S", "-c", code, str(tmp_path / "executor.pyz")], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
