"""A sudo password is typed hidden, lives in the memory of hermes, and reaches sudo alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sandboxes.child_environment import child_environment
from tests.faults.hermes_process import finish, wait_for
from tests.repl.terminal import Terminal
from tests.security.sudo.person import PASSWORD, Person, make_person, skip_without_parts
from tests.server.script import Call
from tests.server.scripted_server import ScriptedServer, Step, scripted_server

pytestmark = pytest.mark.long

Serve = Callable[..., ScriptedServer]
Prompt = Callable[..., Terminal]


@pytest.fixture
def person() -> Iterator[Person]:
    skip_without_parts()
    folder = Path(tempfile.mkdtemp(prefix="hermes-sudo-", dir="/tmp"))
    yield make_person(folder)
    shutil.rmtree(folder)


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers = []

    def make(*commands: str, **more: Any) -> ScriptedServer:
        calls = [Step(tool_calls=[Call("terminal", {"command": each, **more})]) for each in commands]
        context = scripted_server(*calls, Step(text="All done."))
        servers.append(context)
        return context.__enter__()

    yield make
    for each in servers:
        each.__exit__(None, None, None)


@pytest.fixture
def prompt(person: Person) -> Iterator[Prompt]:
    begun: list[Terminal] = []

    def start(server: ScriptedServer, **environ: str) -> Terminal:
        person.url = server.url
        terminal = Terminal(
            argv=person.in_a_terminal("--yolo"), cwd=person.folder, columns=110, rows=40,
            environ={**person.environ, **environ},
        )  # fmt: skip
        begun.append(terminal)
        return terminal.ready()

    yield start
    for terminal in begun:
        terminal.close()


def results(server: ScriptedServer) -> list[dict[str, Any]]:
    return [json.loads(each["content"]) for each in server.last["messages"] if each["role"] == "tool"]


def type_password(terminal: Terminal, password: str = PASSWORD) -> None:
    terminal.wait_for("your answer, hidden")
    time.sleep(0.1)
    terminal.send(password)
    terminal.read(0.3)
    assert password not in terminal.transcript()
    terminal.send("\r")


def files_with(text: str, *folders: Path) -> list[str]:
    found = subprocess.run(["grep", "-rlaF", text, *map(str, folders)], capture_output=True, check=False)
    return found.stdout.decode().splitlines()


def holds(words: str, count: int, text: str) -> bool:
    return text.count(words) == count


def processes_named(words: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = folder.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if words in line and "cli.py" not in line:
            found.append(line)
    return found


def test_a_password_is_typed_unseen_and_serves_the_whole_session(
    person: Person, serve: Serve, prompt: Prompt
) -> None:
    server = serve("id -u; sudo id -u", "sudo sh -c 'id -u; cat' <<< 'text for it'")
    terminal = prompt(server)
    terminal.enter("Do it.")
    terminal.wait_for("sudo asks for your password, to run: sudo id -u")
    type_password(terminal)
    terminal.wait_for("All done.")
    first, second = results(server)
    assert (first["output"], first["exit_code"]) == ("4242\n0\n", 0)
    assert second["output"] == "0\ntext for it\n"
    terminal.send("\x04")
    assert terminal.end() == 0
    assert terminal.transcript().count("asks for your password") == 1
    assert PASSWORD.encode() not in terminal.raw
    assert not files_with(PASSWORD, person.home, person.folder)
    assert files_with("text for it", person.home), "what is saved is looked at"
    assert not list(person.home.glob("tmp/hermes-4242/sudo-*")), "the door is gone with the session"


SPY = """
import os, re, sys, time
wanted = os.fsencode(sys.argv[1])[::-1]
until = time.time() + 2
stat = lambda pid: int(open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[1])
hermes = stat(os.getppid())
assert 'cli.py' in open(f'/proc/{hermes}/cmdline').read()
task = 'HERMES_TASK=' + os.environ['HERMES_TASK'].split('.')[0]
assert any(task in open(f'/proc/{pid}/cmdline').read() for pid in os.listdir('/proc') if pid.isdigit())
seen = set()
while time.time() < until:
    for pid in filter(str.isdigit, os.listdir('/proc')):
        if int(pid) == os.getpid():
            continue
        for name in ('cmdline', 'environ'):
            try:
                if wanted in open(f'/proc/{pid}/{name}', 'rb').read(): seen.add(f'{name} of {pid}')
            except OSError: pass
        try:
            name = open(f'/proc/{pid}/cmdline').read()
            if int(pid) == hermes or task in name or name.startswith('/usr/bin/sudo'):
                for number in os.listdir(f'/proc/{pid}/fd'):
                    link = os.readlink(f'/proc/{pid}/fd/{number}')
                    if 'pipe' in link or 'socket' in link:
                        seen.add(f'descriptor {number} of {name!r}')
        except OSError: pass
        try:
            lines = open(f'/proc/{pid}/maps').read().splitlines()
            with open(f'/proc/{pid}/mem', 'rb', 0) as memory:
                for line in lines:
                    found = re.match(r'(\\w+)-(\\w+) rw', line)
                    if found:
                        memory.seek(int(found[1], 16))
                        if wanted in memory.read(min(int(found[2], 16) - int(found[1], 16), 1 << 24)):
                            seen.add(f'memory of {pid}')
        except (OSError, ValueError, OverflowError): pass
print('SEEN', sorted(seen))
"""
"""Looks for a text, given backwards, in all that this user may read of any process."""


def test_another_command_of_the_task_finds_the_password_nowhere(
    person: Person, serve: Serve, prompt: Prompt
) -> None:
    (person.folder / "spy.py").write_text(SPY)
    spy = f"/usr/bin/python3 spy.py {json.dumps(PASSWORD[::-1]).replace('$', chr(92) + '$')}"
    if not Path("/usr/bin/python3").exists():
        pytest.skip("needs a python3 in /usr/bin to look around with")
    server = serve(f"export LC_ALL=C.UTF-8; {spy} & sleep 0.3; sudo id -u; sudo sleep 1; env; set; wait")
    terminal = prompt(server)
    terminal.enter("Do it.")
    type_password(terminal)
    terminal.wait_for("All done.", 20)
    output = results(server)[0]["output"]
    assert "SEEN []" in output, output[output.index("SEEN") :]
    assert PASSWORD not in output


def test_a_wrong_password_is_asked_for_three_times_and_forgotten(
    person: Person, serve: Serve, prompt: Prompt
) -> None:
    server = serve("sudo id -u", "sudo id -u")
    terminal = prompt(server)
    terminal.enter("Do it.")
    for count in range(3):
        terminal.wait_for(partial(holds, "asks for your password", count + 1))
        type_password(terminal, f"wrong{count}")
        terminal.wait_for(partial(holds, "→ (hidden)", count + 1))
    terminal.wait_for(lambda text: text.count("asks for your password") == 4)
    type_password(terminal)
    terminal.wait_for("All done.")
    first, second = results(server)
    assert first["exit_code"] == 1 and "sudo needs a password" in first["note"]
    assert second["output"] == "0\n", "the next command begins anew"
    assert terminal.transcript().count("That password was not right.") == 2


def test_who_would_rather_not_presses_enter(serve: Serve, prompt: Prompt) -> None:
    server = serve("sudo id -u; echo went on")
    terminal = prompt(server)
    terminal.enter("Do it.")
    terminal.wait_for("your answer, hidden")
    time.sleep(0.1)
    terminal.send("\r")
    terminal.wait_for("All done.")
    assert "a password is required" in results(server)[0]["output"]
    assert "went on" in results(server)[0]["output"]


def test_nobody_is_asked_where_nobody_is_there(person: Person, serve: Serve) -> None:
    server = serve("sudo id -u")
    person.url = server.url
    told = finish(person.start("-q", "Go.", "--yolo", before=person.before))
    assert told.code == 0, told.told
    (result,) = results(server)
    assert result["exit_code"] == 1 and "nobody is here" in result["note"]
    assert told.seconds < 20


def test_sudo_password_of_the_environment_is_used_and_not_passed_on(person: Person, serve: Serve) -> None:
    server = serve("sudo id -u; env; sudo env")
    person.url = server.url
    told = finish(person.start("-q", "Go.", "--yolo", before=person.before, env={"SUDO_PASSWORD": PASSWORD}))
    assert told.code == 0, told.told
    (result,) = results(server)
    assert result["output"].startswith("0\n"), result
    assert PASSWORD not in result["output"] and "SUDO_PASSWORD" not in result["output"]
    assert not files_with(PASSWORD, person.home)


def test_a_process_that_is_none_of_the_task_gets_nothing(person: Person, serve: Serve) -> None:
    stranger = "sleep 0.4; sudo id -u > stranger 2>&1; echo code $? >> stranger"
    server = serve(
        f"(env -i PATH=$PATH setsid sh -c '{stranger}' &); sudo id -u; "
        "until grep -qs code stranger; do sleep 0.1; done; cat stranger"
    )
    person.url = server.url
    finish(person.start("-q", "Go.", "--yolo", before=person.before, env={"SUDO_PASSWORD": PASSWORD}))
    output = results(server)[0]["output"]
    assert output.startswith("0\n") and output.endswith("sudo: a password is required\ncode 1\n"), output


def test_input_of_its_own_is_left_to_sudo(person: Person, serve: Serve) -> None:
    server = serve("echo nonsense | sudo -S -p '' id -u")
    person.url = server.url
    finish(person.start("-q", "Go.", "--yolo", before=person.before, env={"SUDO_PASSWORD": PASSWORD}))
    assert "incorrect password" in results(server)[0]["output"]


def test_what_sudo_runs_ends_with_its_command_and_with_hermes(
    person: Person, serve: Serve, prompt: Prompt
) -> None:
    server = serve("sudo sleep 4711", timeout=4)
    terminal = prompt(server)
    terminal.enter("Do it.")
    type_password(terminal)
    terminal.wait_for("All done.", 15)
    assert results(server)[0]["timed_out"] is True
    wait_for(lambda: not processes_named("sleep 4711"), 1.5)


def test_a_killed_hermes_leaves_nothing_of_root_behind(person: Person, serve: Serve) -> None:
    person.url = serve("sudo touch started; sudo sleep 4712").url
    process = person.start("-q", "Go.", "--yolo", before=person.before, env={"SUDO_PASSWORD": PASSWORD})
    wait_for((person.folder / "started").exists)
    wait_for(lambda: processes_named("sleep 4712"))
    process.kill()
    process.communicate()
    wait_for(lambda: not processes_named("sleep 4712"), 2.5)


def test_the_word_sudo_means_nothing_and_streams_stay_whole(person: Person, serve: Serve) -> None:
    server = serve(
        "echo 'how to use sudo apt'; echo sudo",
        "printf 'abcdef' | { sudo head -c2; cat; }; echo $?",
        "sudo sh -c 'echo out; echo err >&2; exit 7'; echo $?; cd /usr && sudo pwd; X=1 sudo -E printenv X",
    )
    person.url = server.url
    told = finish(person.start("-q", "Go.", "--yolo", before=person.before, env={"SUDO_PASSWORD": PASSWORD}))
    assert told.code == 0, told.told
    first, second, third = results(server)
    assert first["output"] == "how to use sudo apt\nsudo\n"
    assert second["output"] in ("abcdef0\n", "ab0\n"), "head may read ahead, nobody else does"
    assert third["output"].startswith("out\nerr\n7\n/usr\n")


def test_no_setting_passes_the_password_to_commands() -> None:
    passed = child_environment(
        {"SUDO_PASSWORD": PASSWORD, "OTHER": "x"}, ["SUDO_PASSWORD", "SUDO_*", "OTHER"]
    )
    assert PASSWORD not in passed.values() and passed["OTHER"] == "x"
