"""The shell reader reads as bash does, or not at all."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from safety.commands.file_names import FileNames
from safety.commands.reader import read
from safety.commands.shell_line import NotUnderstood, Simple

BASH = shutil.which("bash") or ""
VALUES = {"HOME": "/home/me", "PWD": "."}


def words(line: str) -> list[list[str]]:
    found = read(line, VALUES)
    assert not isinstance(found, NotUnderstood), found
    return [[word.text for word in simple.words] for simple in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ls -la", [["ls", "-la"]]),
        ("  ls\t-la  ", [["ls", "-la"]]),
        ("grep 'a b' \"c d\" e\\ f", [["grep", "a b", "c d", "e f"]]),
        ("grep 'it'\\''s'", [["grep", "it's"]]),
        ('grep "a\\"b\\\\c\\$d\\e"', [["grep", 'a"b\\c$d\\e']]),
        ('ls ~ ~/x "$HOME/y" ${HOME}', [["ls", "/home/me", "/home/me/x", "/home/me/y", "/home/me"]]),
        ("git log HEAD~3 HEAD@{1}", [["git", "log", "HEAD~3", "HEAD@{1}"]]),
        ("a | b && c || d; e\nf", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"]]),
        ("ls \\\n -l", [["ls", "-l"]]),
        ("ls 2>&1 >/dev/null 2>/dev/null", [["ls"]]),
        ("# note\nls # more", [["ls"]]),
        ("ls a#b", [["ls", "a#b"]]),
        ("grep x --include=*.{a,b}", [["grep", "x", "--include=*.a", "--include=*.b"]]),
        ("grep foo$ x", [["grep", "foo$", "x"]]),
        ("ls ''", [["ls", ""]]),
    ],
)
def test_simple_commands_are_read(line: str, expected: list[list[str]]) -> None:
    assert words(line) == expected


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("ls $(id)", "$("),
        ("ls `id`", "`"),
        ("ls 'x", "'x"),
        ("ls & x", "&"),
        ("X=1 ls", "X=1"),
        ("ls\x00", "\x00"),
        ("ls\r", "\r"),
        ("'ls'", "'ls'"),
        ("ls ${x@P}", "${"),
        ("ls <<E", "<<"),
        ("ls >|x", ">|"),
        ("ls \u202ex", "\u202e"),
        ("ls 12>x", "12"),
    ],
)
def test_what_is_not_understood_is_named(line: str, part: str) -> None:
    found = read(line, VALUES)
    assert isinstance(found, NotUnderstood)
    assert found.reason and part in found.part


def test_redirections_of_files_are_kept() -> None:
    found = read("sort < in > out 2>> log", VALUES)
    assert not isinstance(found, NotUnderstood)
    assert [(each.operator, each.target.text) for each in found[0].redirects] == [
        ("<", "in"),
        (">", "out"),
        (">>", "log"),
    ]


PIECES = some.lists(
    some.sampled_from(
        [
            "a",
            "b-c",
            "x.y",
            "/",
            "=",
            ",",
            "@",
            "%",
            ":",
            "+",
            "^",
            "#",
            "1",
            " ",
            "  ",
            "\t",
            "''",
            '""',
            "'a b'",
            '"a b"',
            "'$x'",
            "'`'",
            '"\'"',
            "'\"'",
            "\\ ",
            "\\\\",
            "\\'",
            '\\"',
            "\\$",
            "\\;",
            '"\\$"',
            '"\\\\"',
            '"\\a"',
            "'\\'",
            "~",
            "~/q",
            "$HOME",
            '"$HOME"',
            "${HOME}",
            "{a,b}",
            "{a}",
            "{}",
            "{a",
            "b}",
            "*",
            "?",
            "[a]",
            "é",
            "!",
            "\\\n",
            '"\\\n"',
            "$",
            '"$"',
            "-",
            "--o=",
            "é b",
            "'é'",
        ]
    ),
    max_size=9,
).map("".join)


@pytest.mark.skipif(not BASH, reason="bash is missing")
@pytest.mark.long
@pytest.mark.timeout(120)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.lists(PIECES, min_size=4, max_size=10))
@pytest.mark.thorough
def test_words_are_those_that_bash_hands_to_a_program(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    """Many lines for one bash: each is given to printf, a builtin, in an empty folder."""
    folder = tmp_path_factory.mktemp("names")
    known = []
    for line in lines:
        found = read(f"show {line}", {"HOME": "/home/me", "PWD": "."})
        if isinstance(found, NotUnderstood) or len(found) != 1 or found[0].redirects:
            continue
        known.append((line, _spelled(found[0], folder)))
    script = 'show() { printf \'%s\\0\' "$#" "$@"; }\n' + "".join(f"show {line}\n" for line, _ in known)
    done = subprocess.run(
        [BASH, "--norc", "-c", script],
        cwd=folder,
        env={"HOME": "/home/me", "PATH": "/nonexistent", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert done.stderr == b""
    given = done.stdout.decode().split("\0")[:-1]
    for line, expected in known:
        count = int(given.pop(0))
        real, given = given[:count], given[count:]
        if set("*?[") & set(line):  # a locale has an order of its own
            real, expected = sorted(real), sorted(expected)
        assert real == expected, line


def _spelled(simple: Simple, folder: Path) -> list[str]:
    spelled: list[str] = []
    for word in simple.words[1:]:
        names = FileNames().matching(word.pattern, str(folder)) if word.pattern else []
        spelled += names or [word.text]
    return spelled


@pytest.mark.skipif(not BASH, reason="bash is missing")
@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "*.md",
        "?.md",
        "[ab].md",
        "[!a].md",
        ".*",
        "s*/*.py",
        "*/",
        "sub/*",
        "*b*",
        "s?b/x.py",
        "-*",
        "no*",
        "./*",
        "'a'*",
        '"*"',
        "sub/../*.md",
    ],
)
def test_a_glob_stands_for_every_name_bash_would_put_in_its_place(tmp_path: Path, pattern: str) -> None:
    for name in (
        "a.md",
        "b.md",
        "c.txt",
        ".hidden",
        "sub/x.py",
        "sub/.y.py",
        "sib/x.py",
        "-rf",
        "ab",
        "a b.md",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    found = read(f"show {pattern}", VALUES)
    assert not isinstance(found, NotUnderstood)
    script = f"shopt -s nullglob; show() {{ printf '%s\\0' \"$@\"; }}; show {pattern}"
    done = subprocess.run([BASH, "-c", script], cwd=tmp_path, capture_output=True, check=True)
    real = set(done.stdout.decode().split("\0")[:-1]) - {""}
    assert real - {".", ".."} <= set(_spelled(found[0], tmp_path))
