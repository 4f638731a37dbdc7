"""Pictures at the prompt: named, dropped into the terminal, or pasted from the clipboard."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from repl.named_pictures import named_pictures
from tests.faults.hermes_process import CLI
from tests.repl.terminal import Terminal
from tests.server.scripted_server import Step, refusal, scripted_server
from tests.tools import drawn

Start = Callable[..., Terminal]
SEEN = "[picture: image/png, 1 KB]"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("look at @shot.png, please", ["shot.png"]),
        ("@a/b.JPG and @'with blanks.webp' and @\"c d.gif\"", ["a/b.JPG", "with blanks.webp", "c d.gif"]),
        ("/tmp/shot.png what is it", ["/tmp/shot.png"]),
        ("what is '/tmp/my shot.png'?", ["/tmp/my shot.png"]),
        ("what is /tmp/my\\ shot.png ?", ["/tmp/my shot.png"]),
        ("file:///tmp/my%20shot.jpeg", ["/tmp/my shot.jpeg"]),
        ("first line\n/tmp/a.png\n/tmp/a.png\n@b.png", ["/tmp/a.png", "b.png"]),
        ("render logo.png in src/logo.png anew", []),
        ("https://example.org/a.png and me@mail.png", []),
        ("@notes.txt /etc/passwd /tmp/a.png.txt", []),
        ("it's @a.png", ["a.png"]),
        ("", []),
    ],
)
def test_what_counts_as_naming_a_picture(text: str, names: list[str]) -> None:
    assert named_pictures(text) == names


def test_a_path_with_blanks_pasted_as_it_is_counts_where_it_leads_somewhere(tmp_path: Path) -> None:
    path = tmp_path / "a shot of it.png"
    assert named_pictures(str(path)) == []
    path.write_bytes(drawn.png())
    assert named_pictures(f" {path}\n") == [str(path)]


def test_a_picture_in_the_home_is_found_by_its_tilde(home: Path) -> None:
    assert named_pictures("~/shot.png") == [str(home / "shot.png")]


def test_a_named_picture_is_shown_to_the_model_and_told_in_the_transcript(
    repl: Terminal, tmp_path: Path
) -> None:
    (tmp_path / "red.png").write_bytes(drawn.png())
    repl.send("look at @red.png please ")  # the blank closes the completion menu
    repl.send("\r")
    text = repl.wait_for(SEEN)
    assert "❯ look at @red.png please" in text
    assert "[picture: red.png, 74 bytes]" in text
    assert "look at @red.png please\n" in text.split("I see:")[1]


@pytest.mark.long
def test_a_picture_dropped_into_the_terminal_is_shown_by_its_path(repl: Terminal, tmp_path: Path) -> None:
    (tmp_path / "my shot.gif").write_bytes(drawn.GIF)
    repl.send(f"look \x1b[200~'{tmp_path}/my shot.gif'\x1b[201~\r")
    assert "[picture: my shot.gif, 51 bytes]" in repl.wait_for("[picture: image/gif, 1 KB]")


@pytest.mark.long
def test_a_plain_terminal_shows_pictures_too(start: Start, tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(drawn.png())
    repl = start(environ={"TERM": "dumb"})
    repl.wait_for("❯")
    repl.enter("look @red.png")
    assert "[picture: red.png, 74 bytes]" in repl.wait_for(SEEN)


def test_a_picture_that_is_none_is_told_in_one_line_and_the_text_goes(repl: Terminal, tmp_path: Path) -> None:
    (tmp_path / "red.png").write_text("just words\n")
    repl.send("look @red.png @none.png \r")
    text = repl.wait_for("I see:")
    assert "not shown to the model: red.png is text, not a picture" in text
    assert "not shown to the model: none.png: No such file" in text
    assert "[picture" not in text


def test_a_blind_model_gets_the_text_and_one_line_says_so(start: Start, tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(drawn.png())
    repl = start(environ={"SCRIPTED_BLIND": "1"}).ready()
    repl.send("look @red.png \r")
    text = repl.wait_for("I see:")
    assert "scripted cannot look at pictures; auxiliary.vision.name" in text
    assert "[picture" not in text


@pytest.fixture
def clipboard(tmp_path: Path) -> Callable[[bytes], dict[str, str]]:
    """Puts a picture where `wl-paste` takes it from; returns the environment for that."""

    def put(data: bytes) -> dict[str, str]:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "picture").write_bytes(data)
        program = folder / "wl-paste"
        program.write_text(
            f'#!/bin/sh\ntest "$*" = "--no-newline --type image/png" && exec cat {folder}/picture\n'
        )
        program.chmod(0o755)
        return {"PATH": f"{folder}:{os.environ['PATH']}", "WAYLAND_DISPLAY": "wayland-1", "DISPLAY": ""}

    return put


def test_ctrl_v_pastes_the_picture_of_the_clipboard(
    start: Start, clipboard: Callable[[bytes], dict[str, str]]
) -> None:
    repl = start(environ=clipboard(drawn.png())).ready()
    repl.send("look at \x16")
    repl.wait_for("❯ look at [picture: pasted-1.png, 74 bytes]")
    repl.send(" closely\r")
    assert "look at [picture: pasted-1.png, 74 bytes] closely" in repl.wait_for(SEEN)


@pytest.mark.long
def test_an_empty_paste_is_how_some_terminals_announce_a_picture(
    start: Start, clipboard: Callable[[bytes], dict[str, str]]
) -> None:
    repl = start(environ=clipboard(drawn.png())).ready()
    repl.send("\x1b[200~\x1b[201~")
    repl.wait_for("❯ [picture: pasted-1.png, 74 bytes]")


@pytest.mark.long
def test_a_pasted_picture_whose_mark_is_deleted_is_not_sent(
    start: Start, clipboard: Callable[[bytes], dict[str, str]]
) -> None:
    repl = start(environ=clipboard(drawn.png())).ready()
    repl.send("look \x16")
    repl.wait_for("pasted-1.png")
    repl.send("\x15look again\r")
    assert SEEN not in repl.wait_for("I see:")


@pytest.mark.long
def test_a_blind_model_is_given_the_path_of_what_was_pasted_as_long_as_hermes_runs(
    start: Start, clipboard: Callable[[bytes], dict[str, str]], tmp_path: Path
) -> None:
    environ = {"SCRIPTED_BLIND": "1", "TMPDIR": str(tmp_path), **clipboard(drawn.png())}
    repl = start(environ=environ, columns=200).ready()
    repl.send("look \x16")
    repl.wait_for("pasted-1.png")
    repl.send("\r")
    repl.wait_for("I see:")
    (saved,) = tmp_path.glob("hermes-pasted-*.png")
    assert repl.wait_for(f"look {saved}")
    assert saved.read_bytes() == drawn.png()
    assert saved.stat().st_mode & 0o077 == 0
    repl.enter("/quit")
    repl.end()
    assert not saved.exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("data", "word"), [(b"", "no picture in the clipboard"), (b"words", "is text, not a picture")]
)
def test_a_clipboard_without_a_picture_is_said(
    start: Start, clipboard: Callable[[bytes], dict[str, str]], data: bytes, word: str
) -> None:
    repl = start(environ=clipboard(data)).ready()
    repl.send("\x16")
    repl.wait_for(word)


@pytest.mark.long
def test_without_a_clipboard_program_those_that_would_do_are_named(repl: Terminal) -> None:
    repl.send("\x16")
    repl.wait_for("wl-paste, xclip or pngpaste")


@pytest.mark.long
def test_a_server_that_refuses_pictures_is_explained_and_undo_takes_them_back(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "red.png").write_bytes(drawn.png())
    with scripted_server(refusal(400, "image input is not supported"), Step(text="Hello again.")) as server:
        arguments = [*CLI[1:], "--base-url", server.url, "--model", "scripted-1", "--yolo"]
        repl = start(argv=arguments, columns=120, rows=40).ready()
        repl.send("what is @red.png \r")
        text = repl.wait_for("/undo takes yours back", 20)
        assert "[picture: red.png, 74 bytes]" in text
        assert "image input is not supported" in text
        repl.ready()
        assert server.last["messages"][-1]["content"][1]["type"] == "image_url"
        repl.enter("/undo")
        repl.ready()
        repl.send("\x15hello\r")
        repl.wait_for("Hello again.")
        assert [each["content"] for each in server.last["messages"][1:]] == ["hello"]
