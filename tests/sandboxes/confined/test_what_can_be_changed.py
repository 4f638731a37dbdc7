"""Which folders confined commands can change, and which they see."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sandboxes.sandbox import SandboxError
from tests.sandboxes.confined.conftest import Make


def test_the_workspace_and_temporary_files_can_be_changed_and_nothing_else(
    confined: Make, work: Path, home: Path
) -> None:
    place = confined(work)
    assert place.run('echo a > file && t=$(mktemp) && echo b > "$t" && cat file "$t"').output.text == "a\nb\n"
    assert (work / "file").read_text() == "a\n"
    for target in (home / "other", "/etc/other", "/usr/other", "/other"):
        assert place.run(f"echo a > {target}").exit_code != 0
        assert not Path(target).exists()
    assert place.sandbox.confinement.holds
    assert place.sandbox.confinement.writable == (str(work),)


def test_a_command_has_no_rights_to_gain_and_cannot_get_any(confined: Make, work: Path) -> None:
    facts = confined(work).text("grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp:' /proc/self/status")
    values = dict(line.split(":\t") for line in facts.splitlines())
    assert values.pop("NoNewPrivs") == "1"
    assert values.pop("Seccomp") == "2"
    if os.getuid() != 0:
        values.pop("CapBnd")  # to take from it would need a right; without new ones it means nothing
    assert set(values.values()) == {"0" * 16}


def test_devices_that_keep_nothing_are_there(confined: Make, work: Path) -> None:
    assert (
        confined(work).run("echo a > /dev/null && head -c 9 /dev/zero /dev/urandom > /dev/null").exit_code
        == 0
    )


def test_a_command_gets_its_three_descriptors_and_no_more(confined: Make, work: Path) -> None:
    listed = confined(work).text(
        "/usr/bin/python3 -c 'import os; print(sorted(map(int, os.listdir(\"/proc/self/fd\"))))'"
    )
    assert listed == "[0, 1, 2, 3]\n"  # the last is that of listing


def test_temporary_files_are_the_sandboxs_own_and_last_from_command_to_command(
    bubblewrap: Make, work: Path
) -> None:
    one, two = bubblewrap(work), bubblewrap(work)
    one.run("echo a > /tmp/mine; echo b > /var/tmp/mine")
    assert one.text("cat /tmp/mine /var/tmp/mine") == "a\nb\n"
    assert two.run("cat /tmp/mine").exit_code != 0
    assert not Path("/tmp/mine").exists()


def test_a_workspace_in_the_temporary_folder_is_there(confined: Make, tmp_path: Path) -> None:
    folder = tmp_path / "with space, ümläut"
    folder.mkdir()
    (tmp_path / "beside").write_text("secret")
    place = confined(folder)
    assert place.text("pwd; echo a > file; cat ../beside").startswith(f"{folder}\n")
    assert (folder / "file").read_text() == "a\n"
    assert "secret" not in place.text("cat ../beside")


def test_a_workspace_behind_a_link_is_the_folder_that_it_leads_to(
    confined: Make, work: Path, home: Path
) -> None:
    (home / "link").symlink_to(work)
    place = confined(home / "link")
    assert place.text("pwd -P; echo a > file") == f"{work}\n"
    assert (work / "file").exists()


def test_a_workspace_in_the_agents_folder_is_there_and_the_rest_is_not(confined: Make, home: Path) -> None:
    folder = home / ".hermes" / "work"
    folder.mkdir(parents=True)
    (home / ".hermes" / ".env").write_text("KEY=canary")
    place = confined(folder)
    assert place.run("echo a > file").exit_code == 0
    assert "canary" not in place.text("cat ../.env; cat ~/.hermes/.env")


def test_in_the_home_itself_what_lies_there_can_be_changed_but_nothing_hidden_and_nothing_new(
    confined: Make, home: Path
) -> None:
    (home / "project").mkdir()
    (home / ".config").mkdir()
    (home / ".bashrc").write_text("as it was")
    (home / "bin").mkdir()
    place = confined(home)
    assert place.run("echo a > project/file").exit_code == 0
    for name in (".bash_profile", ".bashrc", ".config/x", "bin/ls", "new"):
        assert place.run(f"echo a > ~/{name}").exit_code != 0
    assert (home / ".bashrc").read_text() == "as it was"
    assert not (home / ".bash_profile").exists()


@pytest.mark.parametrize("folder", ["/", "/usr", "/etc", "/home", "/proc", "/tmp"])
def test_a_folder_of_the_system_is_no_workspace(bubblewrap: Make, folder: str) -> None:
    place = bubblewrap(Path(folder))
    assert place.sandbox.confinement.writable == ()
    assert place.run("test ! -w /usr && test ! -w /etc && test ! -w ~").exit_code == 0


def test_the_agents_own_folder_is_no_workspace(confined: Make, home: Path) -> None:
    (home / ".hermes").mkdir()
    with pytest.raises(SandboxError, match="keeps its keys"):
        confined(home / ".hermes")


def test_what_the_person_names_can_be_changed_too(confined: Make, work: Path, home: Path) -> None:
    (home / ".cache").mkdir()
    place = confined(work, writable=["~/.cache"])
    assert place.run('echo a > ~/.cache/file; echo "$XDG_CACHE_HOME"').output.text == f"{home}/.cache\n"
    assert (home / ".cache" / "file").read_text() == "a\n"


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("/", "nothing confined"), ("~", "nothing confined"), ("/proc", "nothing confined"),
        ("~/none", "does not exist"), ("x", "absolute"), ("~/.ssh", "keys"),
    ],
)  # fmt: skip
def test_what_cannot_be_given_away_is_an_error(
    confined: Make, work: Path, home: Path, named: str, why: str
) -> None:
    (home / ".ssh").mkdir()
    with pytest.raises(SandboxError, match=why):
        confined(work, writable=[named])


def test_private_places_look_empty(bubblewrap: Make, work: Path, home: Path) -> None:
    for name in (".ssh/id", ".aws/credentials", ".netrc", ".bash_history", ".gnupg/key"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text("canary")
    place = bubblewrap(work)
    assert "canary" not in place.text("cat ~/.ssh/* ~/.aws/* ~/.netrc ~/.bash_history; grep -r canary ~")
    assert place.text("ls -A ~/.ssh; cat ~/.netrc") == ""


def test_the_agents_folder_is_out_of_sight_also_if_it_is_made_later(
    confined: Make, work: Path, home: Path
) -> None:
    place = confined(work)
    place.run("true")
    (home / ".hermes").mkdir(exist_ok=True)
    (home / ".hermes" / ".env").write_text("canary")
    assert "canary" not in place.text("cat ~/.hermes/.env")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_works_in_the_workspace(bubblewrap: Make, work: Path) -> None:
    place = bubblewrap(work)
    who = "git -c user.name=T -c user.email=t@localhost"
    assert place.run(f"git init -q . && echo a > a && git add a && {who} commit -qm one").exit_code == 0
    place.close()
    again = bubblewrap(work)
    done = again.run(
        f"echo b > a && {who} commit -qam two && git checkout -qb x && git init -q sub && git log --oneline"
    )
    assert done.exit_code == 0, done.output.text
    assert len(done.output.text.splitlines()) == 2


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_hooks_that_are_not_there_cannot_be_made_and_leave_no_trace(bubblewrap: Make, work: Path) -> None:
    place = bubblewrap(work)
    place.run("git init -q . && rm -rf .git/hooks")
    place.close()
    again = bubblewrap(work)
    for attempt in ("echo x > .git/hooks/pre-commit", "rm -rf .git/hooks", "mv .git g", "mkdir .git/hooks/x"):
        assert again.run(attempt).exit_code != 0
    again.run("echo ../evil > .git/commondir")
    again.close()
    assert not (work / ".git" / "hooks").exists()
    assert not (work / ".git" / "commondir").exists()


def test_settings_in_a_trusted_folder_cannot_be_made(bubblewrap: Make, work: Path) -> None:
    from configuration.home import trust

    trust(work)
    one, two = bubblewrap(work), bubblewrap(work)
    two.run("true")
    assert one.run("echo x > .hermes/config.yaml").exit_code != 0
    one.close()
    assert two.run("echo x > .hermes/config.yaml || mkdir -p .hermes/x || rmdir .hermes").exit_code != 0
    two.close()
    assert os.listdir(work) == []
