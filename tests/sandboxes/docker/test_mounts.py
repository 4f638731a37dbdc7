"""What of the person's machine is seen in a container."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from configuration.home import trust
from sandboxes.sandbox import SandboxError
from tests.sandboxes.docker.conftest import Begin
from tests.sandboxes.engine import Engine


def test_the_working_folder_is_at_the_same_path_and_both_sides_see_it(
    engine: Engine, begin: Begin, folder: Path
) -> None:
    (folder / "mine").write_text("from outside\n")
    container = begin(engine)
    assert container.text("pwd; cat mine; mkdir -p sub && echo inside > sub/theirs").splitlines() == [
        str(folder), "from outside",
    ]  # fmt: skip
    assert (folder / "sub" / "theirs").read_text() == "inside\n"


def test_what_is_made_there_belongs_to_the_folder_s_owner(engine: Engine, begin: Begin, folder: Path) -> None:
    os.chown(folder, 4711, 4711)
    begin(engine).run("echo x > made; mkdir sub")
    assert {(folder / name).stat().st_uid for name in ("made", "sub")} == {4711}


def test_nothing_else_of_the_machine_is_there(engine: Engine, begin: Begin, tmp_path: Path) -> None:
    (tmp_path / "beside").write_text("x")
    assert begin(engine).text(f"ls -A '{tmp_path}'").splitlines() == ['my wörk, a:b "c"']


def test_a_folder_to_read_cannot_be_changed(engine: Engine, begin: Begin, folder: Path) -> None:
    (folder / "mine").write_text("old\n")
    container = begin(engine, mount="read")
    result = container.run("cat mine; echo new > mine; rm mine; touch more; cd /tmp && touch here && echo ok")
    assert result.output.text.splitlines()[0] == "old"
    assert result.output.text.splitlines()[-1] == "ok"
    assert (folder / "mine").read_text() == "old\n"
    assert os.listdir(folder) == ["mine"]


@pytest.fixture
def mounted(folder: Path) -> Iterator[Path]:
    """A folder in the working folder, with a file system of its own."""
    inner = folder / "inner"
    inner.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(inner)], check=True)
    try:
        yield inner
    finally:
        subprocess.run(["umount", "-l", str(inner)], check=True)


def test_a_mount_in_a_folder_to_read_cannot_be_changed_either(
    docker: Engine, begin: Begin, folder: Path, mounted: Path
) -> None:
    begin(docker, mount="read").run("echo x > inner/x; touch y")
    assert os.listdir(mounted) == []
    assert os.listdir(folder) == ["inner"]


def test_without_a_mount_there_is_an_own_folder_that_goes_with_the_container(
    engine: Engine, begin: Begin, folder: Path
) -> None:
    container = begin(engine, mount="none")
    assert container.text("pwd; echo x > made && ls").split() == ["/workspace", "made"]
    assert os.listdir(folder) == []
    assert container.run(f"ls '{folder}'").exit_code != 0


@pytest.fixture
def agent_home(folder: Path) -> Path:
    made = folder / ".hermes"
    (made / "logs" / "sessions").mkdir(parents=True)
    (made / ".env").write_text("KEY=sk-canary\n")
    (made / "logs" / "sessions" / "1.jsonl").write_text("sk-canary\n")
    return made


@pytest.mark.parametrize("mode", ["write", "read"])
def test_the_agent_s_own_folder_is_empty_inside(
    engine: Engine, begin: Begin, folder: Path, agent_home: Path, mode: str
) -> None:
    container = begin(engine, mount=mode, hidden=[str(agent_home), str(agent_home / "logs")])
    shown = container.text(
        "cat .hermes/.env; find . -type f; grep -r sk-[c]anary . /tmp; echo x > .hermes/.env"
    )
    assert "sk-canary" not in shown
    assert (agent_home / ".env").read_text() == "KEY=sk-canary\n"


def test_it_cannot_be_moved_to_be_seen(docker: Engine, begin: Begin, agent_home: Path) -> None:
    container = begin(docker, hidden=[str(agent_home)])
    assert container.run("mv .hermes seen").exit_code != 0
    assert (agent_home / ".env").exists()


def test_it_stays_hidden_when_it_is_made_later(docker: Engine, begin: Begin, folder: Path) -> None:
    later = folder / "home" / ".hermes"
    container = begin(docker, hidden=[str(later)])
    container.run("true")
    (later / ".env").write_text("sk-canary")
    assert "canary" not in container.text("cat home/.hermes/.env; grep -r canary . ; true").replace(
        "grep", ""
    )


def test_a_link_to_it_leads_nowhere(docker: Engine, begin: Begin, folder: Path, tmp_path: Path) -> None:
    home = tmp_path / ".hermes"
    home.mkdir()
    (home / ".env").write_text("sk-canary")
    (folder / "link").symlink_to(home)
    assert "sk-canary" not in begin(docker, hidden=[str(home)]).text("cat link/.env")


def test_private_places_of_the_person_are_hidden(docker: Engine, begin: Begin, home: Path) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh" / "id_ed25519").write_text("canary")
    (home / ".netrc").write_text("canary")
    (home / "project").mkdir()
    container = begin(docker, home)
    shown = container.text("cat .ssh/id_ed25519 .netrc; ls -A .ssh; ls")
    assert "canary" not in shown
    assert shown.splitlines()[-1].split()[-1] == "run"


def test_a_folder_of_the_agent_is_no_working_folder(docker: Engine, begin: Begin, agent_home: Path) -> None:
    for place in (agent_home, agent_home / "logs"):
        with pytest.raises(SandboxError, match="belongs to the agent"):
            begin(docker, place, hidden=[str(agent_home)])


@pytest.mark.parametrize("place", ["/", "/etc", "/var/run", "/proc/self", "/dev/shm", "/tmp"])
def test_a_folder_of_the_system_is_no_working_folder(docker: Engine, begin: Begin, place: str) -> None:
    with pytest.raises(SandboxError, match="a folder of the system"):
        begin(docker, Path(place))
    assert begin(docker, Path(place), mount="none").text("pwd") == "/workspace\n"


def test_more_writable_folders_are_mounted_too(docker: Engine, begin: Begin, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    container = begin(docker, terminal={"writable": [str(more)]}, mount="read")
    assert container.sandbox.confinement.writable == (str(more),)
    container.run(f"echo x > {more}/made")
    assert (more / "made").read_text() == "x\n"


@pytest.fixture
def repository(folder: Path) -> Path:
    """In the working folder, with a file that was committed."""
    call = ["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*call, "init", "-q"], check=True)
    (folder / "file").write_text("1\n")
    subprocess.run([*call, "add", "file"], check=True)
    subprocess.run([*call, "commit", "-q", "-m", "one"], check=True)
    return folder / ".git"


def test_git_works_but_its_hooks_and_settings_stay(engine: Engine, begin: Begin, repository: Path) -> None:
    settings = (repository / "config").read_bytes()
    container = begin(engine)
    commit = "git -c user.name=B -c user.email=b@example.org commit -qam two && git log --oneline | wc -l"
    assert container.text(f"echo 2 > file; {commit}") == "2\n"
    for deed in (
        "git config core.fsmonitor /tmp/x",
        "echo x >> .git/config",
        "echo x > .git/hooks/post-checkout",
        "mv .git/hooks .git/old",
        "mv .git moved",
        "rm -rf .git/hooks .git/config",
    ):
        assert container.run(deed).exit_code != 0, deed
    assert (repository / "config").read_bytes() == settings
    assert not (repository / "hooks" / "post-checkout").exists()


def test_a_repository_without_hooks_gets_none(docker: Engine, begin: Begin, repository: Path) -> None:
    for each in (repository / "hooks").iterdir():
        each.unlink()
    (repository / "hooks").rmdir()
    container = begin(docker)
    assert container.run("mkdir -p .git/hooks; echo x > .git/hooks/pre-commit").exit_code != 0
    assert os.listdir(repository / "hooks") == []


def test_settings_of_the_agent_cannot_be_put_into_a_folder_whose_settings_count(
    docker: Engine, begin: Begin, folder: Path, home: Path
) -> None:
    trust(folder, environ := {"HOME": str(home), "HERMES_HOME": str(home / ".hermes")})
    container = begin(docker, environ=environ)
    assert container.run("mkdir -p .hermes; echo 'gate: {mode: yolo}' > .hermes/config.yaml").exit_code != 0
    assert os.listdir(folder / ".hermes") == []
