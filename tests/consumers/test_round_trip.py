"""Calls exported for TRL, written by a real chat template, come back from our parser for its family."""

from __future__ import annotations

import pytest

from tests.consumers.conversations import CASES, case_session
from tests.consumers.round_trip import loss_of, parser_of, verdict
from tests.consumers.templates import Template, all_templates
from trajectories.session_load import Session


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Session]:
    folder = tmp_path_factory.mktemp("sessions")
    return {case.name: case_session(folder, case) for case in CASES}


@pytest.mark.parametrize("template", all_templates(), ids=lambda template: str(template.name))
def test_the_calls_are_the_same_or_the_loss_is_listed(
    template: Template, sessions: dict[str, Session]
) -> None:
    parser = parser_of(template)
    if parser is None:
        pytest.skip("a model without calls, or of a format that nothing here reads")
    lost, found_again = {}, []
    for name, session in sessions.items():
        found = verdict(template, parser, session)
        listed = loss_of(template, name)
        if found.kind in ("same", "target"):
            found_again += [name] if listed else []
        elif not listed:
            lost[name] = found
    assert not lost
    assert not found_again, "these are listed in losses.yaml, and come back"
