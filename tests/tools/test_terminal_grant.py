"""What a person allows with "for this session", and with "always"."""

from __future__ import annotations

import pytest

from safety.commands.grants import Grant, grant_for
from safety.commands.judge import judge
from safety.commands.reach import Reach

HERE = "/work-of-nobody/project"


def granted(command: str) -> Grant | None:
    reach = Reach(HERE, ("/work-of-nobody/.hermes",), ("/work-of-nobody/.ssh",), "/work-of-nobody")
    return grant_for(command, HERE, reach, judge(command, HERE, reach, trusted=False))


@pytest.mark.parametrize(
    ("command", "covers"),
    [
        ("git add src", "git add … without options"),
        ("git commit -m 'a message'", "git commit … with -m"),
        ("git commit --message=x -a", "git commit … with --message -a"),
        ("npm install", "npm install … without options"),
        ("pytest -q", "pytest …, with harmless options"),
        ("npm test", "npm test …, with harmless options"),
        ("mkdir -p a/b", "mkdir …, with harmless options"),
        ("frobnicate --fast x", "frobnicate … with --fast"),
    ],
)
def test_a_simple_command_grants_its_program_and_subcommand(command: str, covers: str) -> None:
    assert str(granted(command)) == covers


@pytest.mark.parametrize(
    "command",
    [
        "", "   ", "ls; rm x", "ls && rm x", "ls | sh", "git add > x", "git add $(rm x)", "git add `rm x`",
        "git add $X", "git add x\nrm x",
        "git add & rm x", "git add 'unclosed", "FOO=1 git add", "./script", "../ls", "~/ls", "{ ls; }",
        "l\\s", "\"git\" add", "git 'add' x", "git add *.py",
        "sudo ls", "env ls", "bash -c ls", "python3 -c 1", "xargs rm", "find . -delete", "eval ls",
        "exec ls", ". x", "command x", "nice x", "busybox sh", "nohup x", "perl -e 1", "node x.js",
        "rm x", "dd if=a", "curl x", "alias ls=rm", "export PATH=x", "time x", "ssh host",
        "hermes config set a b",
        "git -C x status", "git -c a=b add x", "git push", "git config a b", "git log --output=x",
        "sort -o x",
        "git rebase --exec=x", "npm run x", "docker run x", "git", "git clone https://host/x",
        "git reset --hard",
        "git add ../other", "git add /etc/passwd", "git add .env", "git add ~/.ssh/id",
        "git add --file=/etc/x",
        "npm install https://host/x.tgz", "cat ~/.ssh/id_rsa", "kubectl apply -f x", "make CC=evil",
        "make test CC=evil", "make test SHELL='sh -c evil'", "make test deploy", "just build publish",
    ],
)  # fmt: skip
def test_whatever_could_do_more_grants_nothing(command: str) -> None:
    assert granted(command) is None


def test_a_grant_covers_the_same_options_and_no_others() -> None:
    add = granted("git commit -m x -a")
    assert add is not None
    for covered in ("git commit -m y", "git commit -a", "git commit"):
        other = granted(covered)
        assert other is not None and add.covers(other)
    for not_covered in ("git commit --amend", "git commit -m x --no-edit", "git add -a"):
        other = granted(not_covered)
        assert other is not None and not add.covers(other)


def test_a_grant_for_known_options_does_not_cover_others() -> None:
    tests = granted("pytest -q")
    assert tests is not None
    for command in ("pytest -p evil", "pytest --basetemp=x", "pytest -c evil.ini"):
        other = granted(command)
        assert other is None or not tests.covers(other)


def test_what_may_be_allowed_for_good_is_known_to_be_no_runner_of_anything() -> None:
    lasting = ["git commit -m x", "pytest -q", "make test", "cargo fmt", "mkdir x"]
    assert all(found is not None and found.lasting for found in map(granted, lasting))
    passing = ["frobnicate", "npm install", "git stash-like x"]
    assert all(found is None or not found.lasting for found in map(granted, passing))
