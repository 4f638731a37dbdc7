"""What the gate says to code that no rule can judge (execute_code)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from safety.confinement import Confinement
from safety.gate import EffectRequest, Gate, Mode, PermissionAnswer

CODE = EffectRequest("execute_code", ("exec",), "print(1)", command="python3 -", cwd="/work", program=True)
HELD = Confinement("bubblewrap", network=False, writable=("/work",), keys=False)
WITH_NETWORK = replace(HELD, network=True)


def gate(mode: Mode, held: Confinement | None = None, *, trusted: bool = False) -> Gate:
    return Gate(mode, workspace="/work", explicit=True, trusted=trusted, confinement=held or Confinement())


@pytest.mark.parametrize("mode", ["ask", "auto-edit"])
def test_code_is_asked_about_unless_the_place_holds_it_without_a_network(mode: Mode) -> None:
    assert gate(mode).decide(CODE).verdict == "ask"
    assert gate(mode, trusted=True).decide(CODE).verdict == "ask"
    assert gate(mode, WITH_NETWORK).decide(CODE).verdict == "ask"
    held = gate(mode, HELD).decide(CODE)
    assert (held.verdict, held.reason) == ("allow", "the sandbox holds it, without network")


def test_the_policies_that_say_it_all_say_it_of_code() -> None:
    assert gate("deny", HELD).decide(CODE).verdict == "deny"
    assert gate("yolo").decide(CODE).verdict == "allow"


def test_who_read_secrets_and_text_of_others_is_asked_about_code_that_could_send() -> None:
    for held, verdict in ((None, "ask"), (WITH_NETWORK, "ask"), (HELD, "allow")):
        asked = gate("yolo", held)
        asked.note_untrusted("a page")
        asked.note_private("a key")
        assert asked.decide(CODE).verdict == verdict


def test_a_word_for_code_lasts_for_this_one_time() -> None:
    asked: list[str] = []

    async def person(request: EffectRequest, reason: str) -> PermissionAnswer:
        asked.append(request.grant)
        return "session"

    asking = gate("ask")
    asking.ask = person
    for _ in range(2):
        assert asyncio.run(asking.authorize(CODE)).approval == "once"
    assert asked == ["", ""]


def test_a_command_that_looks_like_it_is_judged_as_before() -> None:
    command = replace(CODE, tool="terminal", program=False, command="ls", summary="ls")
    assert gate("ask").decide(command).verdict == "allow"
