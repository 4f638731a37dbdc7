"""`hermes batch --engine ray` on a cluster of two nodes, each in a network namespace of its own.

On one machine two Ray nodes need two addresses. A pair of virtual interfaces joins both namespaces, and there
is no way out; `.ci/ray` installs Ray and runs this file as root.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configuration.version import VERSION

ROOT = Path(__file__).parent.parent.parent
HEAD, SECOND = "10.99.7.1", "10.99.7.2"
KEY = "sk-ray-test-0123456789"
HERMES, RAY = (Path(sys.executable).parent / name for name in ("hermes", "ray"))
CORES = 2
"""Of each node, as Ray is told."""

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: see .ci/ray"),
    pytest.mark.skipif(not HERMES.exists(), reason="hermes is not installed beside Ray: see .ci/ray"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="there is no `ip` to make network namespaces"),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces for two Ray nodes want root"),
]


class TwoNodes:
    """A Ray cluster. What is run in the namespaces ends with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names = (f"hermes-{os.getpid()}-a", f"hermes-{os.getpid()}-b")

    def inside(self, node: int, *argv: str) -> list[str]:
        return ["ip", "netns", "exec", self.names[node], *argv]

    def connect(self) -> None:
        for name in self.names:
            made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
            if made.returncode:
                pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
        first, second = self.names
        peer = ["type", "veth", "peer", "name", "wire", "netns", second]
        _ip("link", "add", "wire", "netns", first, *peer)
        for name, address in zip(self.names, (HEAD, SECOND), strict=True):
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "wire")
            _ip("-n", name, "link", "set", "wire", "up")

    def start(self) -> None:
        temporary = ["--temp-dir", str(self.folder / "ray")]
        self._ray(0, "--head", "--port", "6379", "--include-dashboard", "false", *temporary)
        self.start_second()

    def start_second(self, **environ: str) -> None:
        self._ray(1, "--address", f"{HEAD}:6379", **environ)

    def _ray(self, node: int, *arguments: str, **more: str) -> None:
        address = (HEAD, SECOND)[node]
        argv = [
            str(RAY), "start", *arguments, "--node-ip-address", address, "--num-cpus", str(CORES),
            "--object-store-memory", "100000000", "--disable-usage-stats",
        ]  # fmt: skip
        environ = {**os.environ, "TMPDIR": str(self.folder), **more}
        log = self.folder / f"start-{node}.log"
        with open(log, "ab") as output:
            done = subprocess.run(
                self.inside(node, *argv), env=environ, stdout=output, stderr=output, check=False
            )
        assert done.returncode == 0, log.read_text()

    def kill_second(self) -> None:
        self._kill(1)

    def _kill(self, node: int) -> None:
        listed = subprocess.run(
            ["ip", "netns", "pids", self.names[node]], capture_output=True, text=True, check=False
        )
        for pid in listed.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def end(self) -> None:
        for node, name in enumerate(self.names):
            self._kill(node)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def folders(self) -> list[Path]:
        """Of workers, on both nodes."""
        return list(self.folder.glob("hermes-*/batch-ray-*"))

    def workers(self) -> list[int]:
        """The process ids of Ray's workers that have our actor, on both nodes."""
        found = []
        for name in self.names:
            listed = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=True)
            for pid in listed.stdout.split():
                with contextlib.suppress(OSError):
                    if b"HermesWorker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        found.append(int(pid))
        return found


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    # Ray puts sockets into its folder, and their paths must be short.
    with tempfile.TemporaryDirectory(prefix="hr-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        nodes = TwoNodes(Path(folder))
        try:
            nodes.connect()
            nodes.start()
            yield nodes
        finally:
            nodes.end()


class Bench:
    """A folder with prompts, and a server on the first node."""

    def __init__(self, cluster: TwoNodes, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.run_folder = folder / "data" / "r"
        self.record = folder / "requests.jsonl"
        self.output = folder / "output.log"
        self.url = ""
        self._runs: list[subprocess.Popen[bytes]] = []

    @contextlib.contextmanager
    def server(self, steps: list[dict[str, Any]]) -> Iterator[None]:
        script = self.folder / "script.json"
        script.write_text(json.dumps({"steps": steps, "by": "turn", "host": HEAD, "api_key": KEY}))
        program = [
            "-m",
            "tests.server.scripted_server",
            "--script",
            str(script),
            "--record",
            str(self.record),
        ]
        argv = self.cluster.inside(0, sys.executable, *program)
        with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            self.url = process.stdout.readline().strip()
            assert self.url
            try:
                yield
            finally:
                process.terminate()

    def prompts(self, count: int) -> None:
        lines = (json.dumps({"prompt": f"Do item {number}."}) + "\n" for number in range(count))
        (self.folder / "prompts.jsonl").write_text("".join(lines))

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        argv = [
            str(HERMES), "batch", "prompts.jsonl", "--run", "r", "--engine", "ray",
            "--ray-address", f"{HEAD}:6379", "--model", "scripted", "--base-url", self.url, *options,
        ]  # fmt: skip
        with open(self.output, "wb") as output:
            run = subprocess.Popen(
                self.cluster.inside(0, *argv), cwd=self.folder, env={**os.environ, "OPENAI_API_KEY": KEY},
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        self._runs.append(run)
        return run

    def ended(self, run: subprocess.Popen[bytes], seconds: float = 120) -> str:
        """What the run said, once it has ended."""
        run.wait(seconds)
        return self.output.read_text()

    def kill_runs(self) -> None:
        for run in self._runs:
            run.kill()
            run.wait()

    def rows(self, name: str = "trajectories.jsonl") -> list[dict[str, Any]]:
        file = self.run_folder / name
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def wait_for_rows(self, count: int, seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        file = self.run_folder / "trajectories.jsonl"
        while not file.exists() or file.read_bytes().count(b"\n") < count:
            assert time.monotonic() < end, f"fewer than {count} rows:\n{self.output.read_text()}"
            time.sleep(0.05)

    def requests_by_prompt(self) -> Counter[str]:
        """How many conversations were begun for each prompt."""
        begun: Counter[str] = Counter()
        for line in self.record.read_text().splitlines():
            messages = json.loads(line)["body"]["messages"]
            if messages[-1]["role"] == "user":
                begun[messages[-1]["content"]] += 1
        return begun


@pytest.fixture
def bench(cluster: TwoNodes, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(cluster, tmp_path)
    yield made
    made.kill_runs()


def turns(count: int, delay: float, command: str = "echo turn {}") -> list[dict[str, Any]]:
    calls = [{"name": "terminal", "arguments": {"command": command}}]
    steps: list[dict[str, Any]] = [
        {
            "tool_calls": [{**call, "arguments": {"command": command.format(number)}} for call in calls],
            "delay": delay,
        }
        for number in range(1, count + 1)
    ]
    return [*steps, {"text": "Done.", "delay": delay}]


def indexes(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(row["prompt_index"] for row in rows)


TERMINAL = ("--toolsets", "terminal", "--policy", "yolo")


def test_a_node_that_is_killed_costs_no_prompt_and_doubles_none(bench: Bench, cluster: TwoNodes) -> None:
    bench.prompts(48)
    with bench.server(turns(3, 0.3)):
        run = bench.start("--concurrency", "16", "--workers", "4", *TERMINAL)
        bench.wait_for_rows(8)
        cluster.kill_second()
        said = bench.ended(run)
        cluster.start_second()
    assert run.returncode == 0, said
    rows = bench.rows()
    assert indexes(rows) == list(range(48))
    for row in rows:
        human, *_ = (turn["value"] for turn in row["conversations"] if turn["from"] == "human")
        assert human == f"Do item {row['prompt_index']}."
        results = [turn["value"] for turn in row["conversations"] if turn["from"] == "tool"]
        assert ["turn 1" in results[0], "turn 2" in results[1], "turn 3" in results[2]] == [True] * 3
    sessions = list((bench.run_folder / "sessions").iterdir())
    assert len(sessions) == 48
    assert f"A Ray worker on {SECOND} was lost" in said
    assert "(raylet)" not in said
    assert "Traceback" not in said


def test_after_the_driver_is_killed_the_run_goes_on_where_it_was(bench: Bench, cluster: TwoNodes) -> None:
    bench.prompts(32)
    with bench.server(turns(3, 0.3)):
        run = bench.start("--concurrency", "8", *TERMINAL)
        bench.wait_for_rows(9)
        run.kill()
        run.wait()
        assert cluster.folders() != []
        recorded = indexes(bench.rows())
        before = bench.requests_by_prompt()
        _until_gone(cluster)
        again = bench.start("--concurrency", "8", "--resume")
        said = bench.ended(again)
        after = bench.requests_by_prompt()
    assert again.returncode == 0, said
    assert indexes(bench.rows()) == list(range(32))
    for index in recorded:
        assert after[f"Do item {index}."] == before[f"Do item {index}."] == 1
    assert max(after.values()) <= 2
    assert cluster.folders() == []


def test_a_prompt_that_kills_its_workers_fails_with_the_reason(bench: Bench) -> None:
    bench.prompts(1)
    kill_the_worker = "kill -9 $(pgrep -f '^ray::HermesWorker')"
    with bench.server(turns(1, 0.0, kill_the_worker)):
        run = bench.start("--concurrency", "1", *TERMINAL)
        said = bench.ended(run)
    assert run.returncode != 0
    assert bench.rows() == []
    (failed,) = bench.rows("failed.jsonl")
    assert "was lost 3 times" in failed["reason"]
    assert failed["prompt_index"] == 0
    assert "(raylet)" not in said


def test_keys_reach_the_workers_and_no_file(bench: Bench, cluster: TwoNodes) -> None:
    bench.prompts(2)
    with bench.server(turns(1, 0.0)):
        run = bench.start(*TERMINAL)
        said = bench.ended(run)
    assert run.returncode == 0, said
    assert len(bench.rows()) == 2
    assert KEY not in said
    written = [file for place in (bench.run_folder, cluster.folder) for file in place.rglob("*")]
    assert any(file.name.startswith("raylet") for file in written)
    leaks = [file for file in written if file.is_file() and KEY.encode() in file.read_bytes()]
    assert leaks == []


def test_ctrl_c_lets_what_runs_come_to_its_end(bench: Bench, cluster: TwoNodes) -> None:
    bench.prompts(40)
    with bench.server(turns(3, 0.4)):
        run = bench.start("--concurrency", "8", *TERMINAL)
        bench.wait_for_rows(8)
        run.send_signal(signal.SIGINT)
        said = bench.ended(run)
        begun = bench.requests_by_prompt()
    assert run.returncode == 130, said
    rows = bench.rows()
    assert 8 <= len(rows) < 40
    assert {f"Do item {index}." for index in indexes(rows)} == set(begun)
    _until_gone(cluster)
    assert cluster.folders() == []


def test_without_a_cluster_the_error_says_what_to_do(bench: Bench) -> None:
    bench.prompts(1)
    with bench.server(turns(1, 0.0)):
        run = bench.start("--ray-address", "10.99.7.9:6379", *TERMINAL)
        said = bench.ended(run)
    assert run.returncode == 1
    assert "the Ray cluster at 10.99.7.9:6379 cannot be reached" in said
    assert "Traceback" not in said


def _until_gone(cluster: TwoNodes, seconds: float = 30) -> None:
    """The workers of a driver that is gone end by themselves."""
    end = time.monotonic() + seconds
    while left := cluster.workers():
        assert time.monotonic() < end, f"workers are left: {left}"
        time.sleep(0.1)


def test_a_node_with_another_hermes_is_named_before_it_gets_work(
    bench: Bench, cluster: TwoNodes, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign" / "configuration"
    foreign.mkdir(parents=True)
    (foreign / "__init__.py").touch()
    (foreign / "version.py").write_text('VERSION = "0.0.7"\n')
    cluster.kill_second()
    cluster.start_second(PYTHONPATH=str(foreign.parent))
    bench.prompts(4)
    try:
        with bench.server(turns(1, 1.0)):
            run = bench.start("--workers", "4", *TERMINAL)
            said = bench.ended(run)
    finally:
        cluster.kill_second()
        cluster.start_second()
    assert run.returncode == 1
    assert f"The node {SECOND} has hermes-agent 0.0.7; here it is {VERSION}" in said
    assert f"pip install hermes-agent=={VERSION}" in said
    assert "Traceback" not in said
