"""Everyday commands made hostile: whatever is joined to one that is allowed, it is allowed no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from safety.gate import Gate
from tests.security.commands.workplace import corpus, decided, gate_for, make_project

APPENDED = (
    "; x",
    ";x",
    " && x",
    " || x",
    " | x",
    " |x",
    " |& x",
    " & x",
    " &",
    "\nx",
    "\n\nx -y",
    " $(x)",
    " `x`",
    ' "$(x)"',
    " <(x)",
    " >(x)",
    " > f",
    " >f",
    " >> f",
    " 2> f",
    " &> f",
    " >| f",
    " <> f",
    " << E\nx\nE",
    " ${x@P}",
    " $((x))",
    " $'\\x41'",
    " $x",
    ' "$x"',
    "\x00",
    "\r",
    "\u202e",
    " \u200b",
    "; rm -rf ~",
    " | sh",
    " | xargs rm",
    " 'unclosed",
    ' "unclosed',
    " \\",
    " ~root/x",
    " {a..b}",
    " ; }",
)
PREPENDED = (
    "X=1 ",
    "PATH=. ",
    "GIT_PAGER=x ",
    "env ",
    "sudo ",
    "command ",
    "exec ",
    "eval ",
    "nohup ",
    "xargs ",
    "sh -c ",
    "! ",
    "( ",
    "{ ",
    "x; ",
    "x && ",
    "x | ",
    "> f ",
    "$(x) ",
    "`x` ",
    "./",
    "/tmp/",
    "\\",
    "x=$(y) ",
    "if ",
    "coproc ",
    "nice ",
    "alias a=",
    "builtin ",
    "time -o f ",
    "timeout --foreground 1 ",
    "doas ",
    "\u200b",
    "f() ",
)
_ANY = ("echo", "printf", "test", "[", "true", "basename", "dirname", "expr", "#")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("mutations") / "project")


@pytest.fixture(scope="module")
def gate(project: Path) -> Gate:
    return gate_for(project, project.parent, trusted=True)


@pytest.fixture(scope="module")
def allowed(gate: Gate) -> list[str]:
    return [command for command in corpus("benign.txt") if decided(gate, command).verdict == "allow"]


@pytest.mark.parametrize("more", APPENDED, ids=repr)
def test_what_is_appended_is_asked_about(gate: Gate, allowed: list[str], more: str) -> None:
    passed = [command for command in allowed if decided(gate, command + more).verdict == "allow"]
    assert passed == []


@pytest.mark.parametrize("before", PREPENDED, ids=repr)
def test_what_is_put_before_is_asked_about(gate: Gate, allowed: list[str], before: str) -> None:
    passed = [command for command in allowed if decided(gate, before + command).verdict == "allow"]
    known = ("#", "vendor/") if before == "./" else ("#",)  # comments; a name that the tables have, too
    assert [each for each in passed if not each.startswith(known)] == []


@pytest.mark.parametrize(
    "place",
    ["/etc/shadow", "~/.ssh/id_rsa", "../../secret", "$HOME/.aws/credentials", ".env", "/proc/self/environ"],
)
def test_a_file_that_is_put_in_the_place_of_another_is_looked_at(
    gate: Gate, allowed: list[str], place: str
) -> None:
    named = ("README.md", "src/app.py", "data.csv", "data.json", "app.log", "notes.txt", "package.json")
    tried = 0
    for command in allowed:
        for name in named:
            swapped = command.replace(f" {name}", f" {place}")
            if (
                swapped == command
                or command.split()[0] in _ANY
                or command.startswith(("[", "cd", "ls", "stat"))
            ):
                continue
            if command.split()[0] in ("realpath", "readlink", "find", "file"):
                continue  # these tell of a file that it is there, and not what is in it
            tried += 1
            assert decided(gate, swapped).verdict != "allow", swapped
    assert tried > 50


WORDS = some.sampled_from(
    [
        "ls",
        "cat",
        "git",
        "status",
        "log",
        "grep",
        "-r",
        "-n",
        "x",
        "src",
        "README.md",
        "find",
        ".",
        "-name",
        "sort",
        "-o",
        "--output=f",
        "--",
        "-",
        "'a b'",
        '"a b"',
        "a\\ b",
        "~",
        "$HOME",
        "*.md",
        "[a]",
        "{a,b}",
        "#",
        "!",
    ]
)
META = some.sampled_from(
    [";", "&", "|", "$(x)", "`x`", ">", ">>f", "<(x)", "(", ")", "\n", "$x", "&&", "||", "${x}"]
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.lists(WORDS, min_size=1, max_size=6), META, some.data())
def test_a_sign_of_the_shell_makes_no_command_more_welcome(
    gate: Gate, words: list[str], sign: str, data: some.DataObject
) -> None:
    """Followed by a program that nobody knows, where it joins; alone it is asked about or changes nothing."""
    command = " ".join(words)
    at = data.draw(some.integers(0, len(words)))
    changed = " ".join([*words[:at], sign, "frobnicate", *words[at:]])
    if decided(gate, command).verdict == "ask" and "#" not in words:
        assert decided(gate, changed).verdict == "ask"


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    some.text(max_size=200)
    | some.binary(max_size=200).map(lambda data: data.decode("utf-8", "surrogateescape"))
)
def test_whatever_is_judged_nothing_is_raised(gate: Gate, text: str) -> None:
    assert decided(gate, text).verdict in ("allow", "ask")


_SHELL: Callable[[], some.SearchStrategy[str]] = lambda: some.text(  # noqa: E731
    alphabet="ls catgitx-/.~$\"'\\;&|<>(){}[]*?!#=%@^`\n\t 0129", max_size=60
)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_SHELL())
def test_text_made_of_the_shells_own_signs_is_judged_without_a_fault(gate: Gate, text: str) -> None:
    found = decided(gate, text)
    if found.verdict == "allow":
        assert not set("`(") & set(text.replace("\\", "")) or "'" in text or '"' in text
