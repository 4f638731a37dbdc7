"""Commands that pass as reading are really run: nothing in the folder changes, and nothing appears."""

from __future__ import annotations

import contextlib
import random
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from safety.commands.rules import find_rule
from tests.security.commands.workplace import corpus, decided, gate_for, make_project

BASH = shutil.which("bash") or ""
pytestmark = [pytest.mark.skipif(not BASH, reason="bash is missing")]
ENDLESS = ("tail -f", "docker", "kubectl", "gh ", "journalctl -f", "sleep", "top")
PROGRAMS = """
ls cat tac head tail wc grep sort uniq cut tr paste join comm fold expand diff cmp md5sum cksum
base64 od nl find sed awk file stat du df basename dirname realpath readlink seq shuf date test
printf echo tar gzip unzip tree rg jq column hexdump xxd strings expr bc git
"""
OPERANDS = """
a.txt b.txt out sub . x=1 s/a/b/ 1p p {print} NR==1 '{print > "out"}' '1w out' 's/a/b/w out' -- - 10
5 +%F a b status log diff show branch tag ls-files config HEAD main *.txt * out/new
'BEGIN{system("touch out")}'
"""
DANGEROUS = """
-o -oout --output=out --output out -i --in-place -delete -fprint -fprintf -fls -exec touch ; -T
--out=out -d -D -m -M -f --files0-from=a.txt --compress-program=touch -c --to-command=touch -x -r -s
--set=1 -w -W -O -v -I -e -E --checkpoint=1 --checkpoint-action=exec=touch -C -R -ok
--use-compress-program=touch -z --pre=touch
"""


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and ".git/index" not in str(file)  # git renews what it knows of the times of files
    }


def run(command: str, folder: Path) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            [BASH, "--norc", "-c", command], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
            check=False, timeout=3,
        )  # fmt: skip


@pytest.mark.timeout(300)
@pytest.mark.long
def test_everyday_commands_that_pass_as_reading_change_nothing(home: Path) -> None:
    project = make_project(home / "project")
    gate = gate_for(project, home, trusted=False)
    before = snapshot(project)  # in the home programs keep their own logs and caches
    passed = [
        command
        for command in corpus("benign.txt")
        if not command.startswith(ENDLESS) and decided(gate, command).verdict == "allow"
    ]
    assert len(passed) > 250
    for command in passed:
        run(command, project)
    assert snapshot(project) == before


@pytest.mark.timeout(300)
@pytest.mark.thorough
def test_commands_made_at_random_that_pass_as_reading_change_nothing(home: Path) -> None:
    """Each program with its own options and with dangerous ones, in any order; what passes is run."""
    project = home / "project"
    (project / "sub").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "sub/c.txt"):
        (project / name).write_text("b\na\n")
    subprocess.run(["git", "init", "-q", "-b", "main", str(project)], check=True)
    gate = gate_for(project, home, trusted=False)
    before = snapshot(home)
    source = random.Random(20261121)
    passed = 0
    for _ in range(6_000):
        command = _made_up(source)
        if decided(gate, command).verdict != "allow":
            continue
        passed += 1
        run(command, project)
        if passed % 100 == 0:
            assert snapshot(home) == before, command
    assert snapshot(home) == before
    assert passed > 300


def _made_up(source: random.Random) -> str:
    program = source.choice([each for each in PROGRAMS.split() if shutil.which(each) or each == "test"])
    found = find_rule([program])
    options = sorted(found[0].flags | set(found[0].values)) if found else []
    words = [program]
    for _ in range(source.randint(1, 5)):
        kind = source.random()
        if kind < 0.45 and options:
            words.append(shlex.quote(source.choice(options)))
        elif kind < 0.6:
            words.append(shlex.quote(source.choice(DANGEROUS.split())))
        else:
            word = source.choice(shlex.split(OPERANDS))
            words.append(word if "*" in word and "{" not in word else shlex.quote(word))
    return " ".join(words)
