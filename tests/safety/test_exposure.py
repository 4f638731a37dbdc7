"""Private data, untrusted text and a way out: together they are asked about again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from safety.confinement import UNCONFINED, Confinement
from safety.gate import Decision, Effect, EffectRequest, Gate, Mode, PermissionAnswer

SEALED = Confinement("bubblewrap", network=False, writable=("/work-of-nobody",), keys=False)


def running(gate: Gate, command: str) -> EffectRequest:
    return EffectRequest("terminal", ("exec",), command, command=command, cwd=gate.workspace)


def reading(path: Path) -> EffectRequest:
    return EffectRequest("read_file", ("read",), "read", (str(path),))


def tool(*effects: Effect) -> EffectRequest:
    return EffectRequest("web_extract", effects, "fetch https://host/x", grant="web pages")


def authorize(gate: Gate, request: EffectRequest) -> Decision:
    return asyncio.run(gate.authorize(request))


def exposed(here: Path, mode: Mode, *, confinement: Confinement = UNCONFINED, answer: str = "") -> Gate:
    async def person(request: EffectRequest, reason: str) -> PermissionAnswer:
        assert request.grant == ""
        return "once" if answer == "once" else "deny"

    gate = Gate(
        mode, workspace=str(here), explicit=True, trusted=True, confinement=confinement,
        ask=person if answer else None,
    )  # fmt: skip
    gate.note_untrusted("https://evil.example/page")
    gate.note_private("/home/me/.ssh/id_rsa")
    return gate


def test_one_source_that_is_both_private_and_of_others_is_not_the_two_together(tmp_path: Path) -> None:
    gate = Gate("yolo", workspace=str(tmp_path), explicit=True, trusted=True)
    for _ in range(2):
        gate.note_untrusted("earlier session")
        gate.note_private("earlier session")
    assert gate.decide(running(gate, "curl https://a.example")).verdict == "allow"
    gate.note_untrusted("web page")
    decision = gate.decide(running(gate, "curl https://a.example"))
    assert decision.verdict == "ask" and "(web page)" in decision.reason


@pytest.mark.parametrize("command", ["git pull", "git clone https://x.example/y", "pip install x", "npx x"])
def test_what_commands_fetch_is_text_that_others_wrote(tmp_path: Path, command: str) -> None:
    gate = Gate("yolo", workspace=str(tmp_path), explicit=True, trusted=True)
    gate.note_private("/home/me/.ssh/id_rsa")
    assert authorize(gate, running(gate, "git commit")).verdict == "allow"
    assert authorize(gate, running(gate, command)).verdict == "allow"
    assert gate.decide(running(gate, "curl https://evil.example")).verdict == "ask"


@pytest.mark.parametrize("mode", ["ask", "auto-edit", "yolo"])
@pytest.mark.parametrize(
    "command", ["curl https://evil.example", "python3 -c 1", "pytest", "x $(y)", "gh pr list"]
)
def test_what_could_send_is_asked_about_again_and_names_both_sources(
    tmp_path: Path, mode: Mode, command: str
) -> None:
    gate = exposed(tmp_path, mode)
    decision = gate.decide(running(gate, command))
    assert decision.verdict == "ask"
    assert "https://evil.example/page" in decision.reason and "id_rsa" in decision.reason
    alone = authorize(gate, running(gate, command))
    assert alone.verdict == "deny" and "nobody is here" in alone.reason


def test_a_web_tool_is_asked_about_again_also_where_everything_is_allowed(tmp_path: Path) -> None:
    gate = exposed(tmp_path, "yolo")
    assert gate.decide(tool("net")).verdict == "ask"
    assert gate.decide(tool("read", "net")).verdict == "ask"
    assert gate.decide(tool("read", "write")).verdict == "allow"


def test_what_only_reads_here_and_what_cannot_reach_a_network_goes_on(tmp_path: Path) -> None:
    assert exposed(tmp_path, "ask").decide(running(exposed(tmp_path, "ask"), "git status")).verdict == "allow"
    sealed = exposed(tmp_path, "yolo", confinement=SEALED)
    assert sealed.decide(running(sealed, "curl https://evil.example")).verdict == "allow"
    assert sealed.decide(tool("net")).verdict == "ask"


def test_a_persons_word_counts_for_this_one_time(tmp_path: Path) -> None:
    gate = exposed(tmp_path, "yolo", answer="once")
    assert authorize(gate, tool("net")).approval == "once"
    assert gate.decide(tool("net")).verdict == "ask"


def test_one_of_the_two_is_not_enough(tmp_path: Path) -> None:
    for note in (Gate.note_private, Gate.note_untrusted):
        gate = Gate("yolo", workspace=str(tmp_path))
        note(gate, "a source")
        assert gate.decide(tool("net")).verdict == "allow"


def test_the_gate_itself_notes_what_is_read(tmp_path: Path, home: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for trusted, path, untrusted, private in (
        (True, here / "a.txt", False, False),
        (False, here / "a.txt", True, False),
        (True, tmp_path / "other.txt", True, False),
        (True, here / ".env", False, True),
        (True, home / ".ssh" / "id_rsa", True, True),
    ):
        gate = Gate("yolo", workspace=str(here), trusted=trusted)
        authorize(gate, reading(path))
        assert (bool(gate.exposure.untrusted), bool(gate.exposure.private)) == (untrusted, private)
        gate = Gate("yolo", workspace=str(here), trusted=trusted)
        authorize(gate, running(gate, f"cat {path}"))
        assert (bool(gate.exposure.untrusted), bool(gate.exposure.private)) == (untrusted, private)
    gate = Gate("yolo", workspace=str(here), trusted=True)
    authorize(gate, tool("net"))
    authorize(gate, EffectRequest("vault", ("secret",), "a password"))
    assert gate.exposure.complete


def test_what_was_refused_is_not_noted(tmp_path: Path, home: Path) -> None:
    gate = Gate("ask", workspace=str(tmp_path), trusted=True)
    authorize(gate, reading(home / ".ssh" / "id_rsa"))
    assert gate.exposure.private == ""


def test_a_new_conversation_has_read_nothing(tmp_path: Path) -> None:
    gate = exposed(tmp_path, "yolo")
    gate.forget_grants()
    assert gate.decide(tool("net")).verdict == "allow"


def test_a_name_with_line_ends_does_not_pass_for_more_in_a_question(tmp_path: Path) -> None:
    gate = Gate("ask", workspace=str(tmp_path))
    gate.note_untrusted("/repo/a\n\n  terminal needs your word: it reads\n    ls\r\n")
    gate.note_private("\n")
    assert "\n" not in gate.exposure.reason()
    assert gate.exposure.private == "an unknown source"
