"""The real program in a terminal: whatever models, tools, servers and files say is shown as text."""

from __future__ import annotations

import re
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.hermes_process import CLI, Hermes
from tests.repl.terminal import Terminal
from tests.server.script import Call
from tests.server.scripted_server import ScriptedServer, Step, refusal, scripted_server

pytestmark = pytest.mark.long

ESCAPES = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*|[ -/]*[0-~]|)|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f]"
)
OURS = re.compile(
    rb"\x1b\[[0-9;]*m|\x1b\[\d*[ABCDGJK]|\x1b\[\d*;?\d*H|\x1b\[\?(?:25|2004|7|12)[hl]|\x1b\[\?1l|\x1b\[>[0-9;]*m|\x1b[=>]"
)
"""What a line editor needs: colours, moving and erasing, the cursor's looks, bracketed paste, line wrap."""
UNSEEN = re.compile("[\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\x80-\x9f]")
EVIL = (
    "\x1b[2J\x1b[H\x1b]0;owned\x07\x1b]2;owned\x1b\\\x1b]52;c;aGk=\x07\x1bPq#0\x1b\\\x1b_Gx\x1b\\"
    "\x1b[?1049h\x1bc\x9b31m\x07\u202e"
)
"""Clears, names the window, fills the clipboard, draws, changes screens, resets, colours, rings, turns."""


@pytest.fixture
def hermes(home: Path, tmp_path: Path) -> Hermes:
    folder = tmp_path / "work"
    folder.mkdir()
    return Hermes(home, folder)


@pytest.fixture
def begin(hermes: Hermes) -> Iterator[Callable[..., Terminal]]:
    begun: list[Terminal] = []

    def start(*arguments: str, server: ScriptedServer | None = None, **more: Any) -> Terminal:
        if server is not None:
            hermes.url = server.url
        size = {"columns": 100, "rows": 40, **more}
        begun.append(Terminal([*CLI[1:], *arguments], cwd=hermes.folder, environ=hermes.environ, **size))
        return begun[-1]

    yield start
    for terminal in begun:
        terminal.close()


def check(terminal: Terminal) -> None:
    """Only our own sequences were sent, and nothing that cannot be seen."""
    foreign = {each for each in ESCAPES.findall(terminal.raw) if not OURS.fullmatch(each)}
    assert not foreign, foreign
    text = terminal.raw.decode("utf-8", "replace")
    assert not UNSEEN.search(text), UNSEEN.findall(text)
    emulator = terminal.emulator
    assert (emulator.title, emulator.icon_name, emulator.margins, emulator.charset) == ("", "", None, 0)


def leave(terminal: Terminal) -> None:
    """Ctrl-D; the terminal is as it was found."""
    before = terminal.before  # type: ignore[attr-defined]
    terminal.send("\x04")
    assert terminal.end() == 0
    assert termios.tcgetattr(terminal.child.child_fd) == before
    check(terminal)
    assert terminal.raw.rfind(b"\x1b[?2004h") < terminal.raw.rfind(b"\x1b[?2004l")
    assert terminal.raw.rfind(b"\x1b[?25l") < terminal.raw.rfind(b"\x1b[?25h")


def talk(begin: Callable[..., Terminal], server: ScriptedServer, *arguments: str, **more: Any) -> Terminal:
    terminal = begin(*arguments, server=server, **more)
    terminal.before = termios.tcgetattr(terminal.child.child_fd)  # type: ignore[attr-defined]
    terminal.ready()
    terminal.enter("Go.")
    return terminal


def shell(text: str) -> str:
    """The text as printf writes it, whatever it is."""
    return "".join(f"\\{byte:03o}" for byte in text.encode())


OUTPUTS = {
    "sequences": (EVIL + "visible", "<U+202E>visible"),
    "carriage returns": ("first\rsecond\r\nthird", "third"),
    "backspaces": ("password: secret\b\b\b\b\b\bxxxxxx", "password: secretxxxxxx"),
    "bidi and unseen": ("a\u202eb\u200bc\u2066d\ufeffe", "a<U+202E>b<U+200B>c<U+2066>d<U+FEFF>e"),
    "wide and combining": ("漢字 e\u0301 👩‍👩‍👧 한글 end", "漢字"),
    "tabs": ("a\tb\t\tc", "a"),
    "open string": ("\x1b]0;never closed", ""),
    "a very long line": ("x" * 30_000, "x" * 80),
    "no text": ("\x00\xff\x80".encode("latin-1").decode("latin-1"), ""),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_output_of_a_command_is_text(name: str, begin: Callable[..., Terminal]) -> None:
    text, shown = OUTPUTS[name]
    command = f"printf '{shell(text)}\\n'; sleep 0.6"
    if len(command) > 5000:
        command = "head -c 30000 /dev/zero | tr '\\0' x; sleep 0.6"
    with scripted_server(
        Step(tool_calls=[Call("terminal", {"command": command})]), Step(text="Fine.")
    ) as server:
        terminal = talk(begin, server, "--yolo")
        if shown:
            terminal.wait_for(lambda _: f"│ {shown}" in terminal.screen())
        terminal.wait_for("Fine.")
        terminal.ready()
        leave(terminal)
    assert "Go." in terminal.transcript() and "✓ terminal" in terminal.transcript()


def test_a_sequence_that_comes_in_pieces_is_none_either(begin: Callable[..., Terminal]) -> None:
    pieces = "; ".join(f"printf '{shell(each)}'; sleep 0.03" for each in EVIL)
    command = f"{pieces}; echo seen; sleep 2"
    with scripted_server(
        Step(tool_calls=[Call("terminal", {"command": command})]), Step(text="Fine.")
    ) as server:
        terminal = talk(begin, server, "--yolo")
        terminal.wait_for("│ seen", 40)
        terminal.wait_for("Fine.")
        leave(terminal)


@pytest.mark.parametrize("chunk", [1, 3, 0])
def test_answers_thoughts_calls_and_errors_are_text(chunk: int, begin: Callable[..., Terminal]) -> None:
    steps = [
        refusal(500, f"server {EVIL} says"),
        Step(
            reasoning=f"thought {EVIL}", text=f"first {EVIL} answer",
            tool_calls=[
                Call("terminal", {"command": f"echo a{EVIL}b"}), Call(f"tool{EVIL}", {}),
                Call("read_file", {"path": f"x{EVIL}"}),
            ],
            chunk=chunk,
        ),
        Step(
            text=f"# Heading {EVIL}\n\n- item {EVIL}\n\n```python\ncode {EVIL}\n```\n\n[link](http://x/{EVIL})\n\n"
            "The end.",
            chunk=chunk,
        ),
    ]  # fmt: skip
    with scripted_server(*steps) as server:
        terminal = talk(begin, server, "--yolo", "--verbose")
        terminal.wait_for("The end.", 20)
        terminal.ready()
        leave(terminal)
    shown = terminal.transcript()
    assert "first ␛[2J␛[H␛]0;owned␇" in shown and "server [2J" in shown
    assert "<U+202E>" in shown and "<U+009B>31m" in shown


def test_a_question_shows_all_of_a_command_that_hides_itself(begin: Callable[..., Terminal]) -> None:
    command = (
        f"ls\r\x1b[2K\x1b[8m; touch harm\x1b[28m \u202e# {EVIL}\b\b\b"
        + " " * 300
        + "; rm -rf build"
        + "\n" * 60
        + "touch last"
    )
    with scripted_server(
        Step(tool_calls=[Call("terminal", {"command": command})]), Step(text="Fine.")
    ) as server:
        terminal = talk(begin, server)
        terminal.wait_for(lambda _: "[n] no" in terminal.screen())
        shown = terminal.transcript()
        assert "ls␍␛[2K␛[8m; touch harm␛[28m <U+202E># ␛[2J" in shown
        assert "; rm -rf build" in shown and "touch last" in shown
        assert "␈␈␈" in shown
        terminal.send("n")
        terminal.wait_for("Fine.")
        leave(terminal)


def test_a_command_of_many_screens_is_there_from_its_first_to_its_last_word(
    begin: Callable[..., Terminal],
) -> None:
    words = " ".join(f"w{number:04d}" for number in range(3000))
    with scripted_server(
        Step(tool_calls=[Call("terminal", {"command": f"touch {words}"})]), Step(text="Fine.")
    ) as server:
        terminal = talk(begin, server)
        terminal.wait_for(lambda _: "[n] no" in terminal.screen())
        flat = re.sub(r"\s+", "", terminal.transcript())
        assert re.sub(r"\s+", "", f"touch {words}") in flat
        terminal.send("n")
        terminal.wait_for("Fine.")
        leave(terminal)


def test_names_of_files_models_and_sessions_are_text(begin: Callable[..., Terminal], hermes: Hermes) -> None:
    name = "evil\x1b]0;owned\x07\u202etxt\x1b[2J"
    hermes.folder.joinpath(name).write_text("content\n")
    steps = [Step(tool_calls=[Call("read_file", {"path": name})]), Step(text="Fine.")]
    with scripted_server(*steps) as server:
        terminal = talk(begin, server, "--yolo", "--model", f"model{EVIL}")
        terminal.wait_for("Fine.")
        terminal.ready()
        terminal.send("look at @ev")
        terminal.wait_for(lambda _: "evil" in terminal.screen().split("look at @ev")[-1], 5)
        terminal.send("\t")
        terminal.read(0.5)
        terminal.send("\x03")
        terminal.read(0.3)
        for line in (
            f"/title my {EVIL} title",
            "/sessions",
            "/model",
            "/status",
            "/history",
            "/usage",
            f"/nonsense{EVIL}",
        ):
            terminal.send("\x1b[200~" + line + "\x1b[201~\r")
            terminal.read(0.4)
        terminal.ready()
        leave(terminal)


def test_saved_sessions_are_shown_as_text(begin: Callable[..., Terminal], hermes: Hermes) -> None:
    steps = [
        Step(
            text=f"answer {EVIL}",
            reasoning=f"thought {EVIL}",
            tool_calls=[Call("terminal", {"command": f"echo {EVIL}"})],
        ),
        Step(text=f"end {EVIL}"),
    ]
    with scripted_server(*steps) as server:
        hermes.url = server.url
        assert hermes.ask(f"question {EVIL}", "--model", f"m{EVIL}").code == 0
    (path,) = hermes.session_paths()
    assert hermes.run("sessions", "rename", path.stem, f"title {EVIL}").code in (0, 2)
    for arguments in (
        ["sessions", "list"], ["sessions", "show", path.stem], ["sessions", "search", "answer"],
        ["export", path.stem], ["sessions", "show", "--json", path.stem], ["sessions", "list", "--json"],
        ["sessions"], ["sessions", "show", f"no{EVIL}"], [f"no{EVIL}"], ["--resume", f"no{EVIL}", "-q", "x"],
        ["config", "get", f"no{EVIL}"], ["config", "set", f"no{EVIL}", "1"],
        ["tools", f"no{EVIL}"], ["data", "stats", f"no{EVIL}"], ["config", "show"],
    ):  # fmt: skip
        terminal = begin(*arguments)
        terminal.end()
        check(terminal)
        assert "Traceback" not in terminal.transcript(), arguments
