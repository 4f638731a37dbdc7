"""The first request: what is at hand stands in its system text, and all of it together costs little."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from configuration.sandbox_settings import DockerSettings
from configuration.tool_settings import MoaSettings
from models.scripted import ScriptedModel
from run_agent import AIAgent
from settings import AgentSettings, ModelSettings, Settings, TerminalSettings
from tests.agent.bench_tools import calls, text

MOST_TOKENS = 3_000


@pytest.fixture
def skill(home: Path) -> Path:
    folder = home / ".hermes" / "skills" / "release"
    folder.mkdir(parents=True)
    folder.joinpath("SKILL.md").write_text("---\nname: release\ndescription: How we release.\n---\nTag it.\n")
    return folder


@pytest.fixture
def note(home: Path) -> Path:
    folder = home / ".hermes" / "memory"
    folder.mkdir(parents=True)
    folder.joinpath("habits.md").write_text("Short answers.\n")
    return folder / "habits.md"


def first_request(cwd: Path, **more: Any) -> tuple[str, list[dict[str, Any]]]:
    """The system text and the tool definitions."""
    model = ScriptedModel([text("Hello.")])
    agent = AIAgent(chat_model=model, cwd=str(cwd), **{"settings": Settings(), **more})
    try:
        agent.chat("Hello?")
    finally:
        agent.close()
    request = model.requests[0]
    return str(request.messages[0]["content"]), list(request.tools)


def test_skills_and_notes_are_named_in_the_system_text(tmp_path: Path, skill: Path, note: Path) -> None:
    system, tools = first_request(tmp_path)
    assert "How we release." in system and "habits" in system
    assert "Tag it." not in system and "Short answers." not in system
    assert {"skill_view", "memory"} <= {tool["function"]["name"] for tool in tools}


def test_where_their_tools_are_off_they_are_not_named(tmp_path: Path, skill: Path, note: Path) -> None:
    system, _ = first_request(tmp_path, enabled_toolsets=["file"])
    assert "How we release." not in system and "habits" not in system


def test_what_becomes_training_data_in_bulk_knows_nothing_of_the_person(tmp_path: Path, note: Path) -> None:
    system, tools = first_request(tmp_path, impersonal=True)
    assert "habits" not in system
    assert not {"memory", "session_search"} & {tool["function"]["name"] for tool in tools}


def test_all_default_toolsets_together_cost_little(
    tmp_path: Path, skill: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FAL_KEY", "FIRECRAWL_API_KEY", "BROWSERBASE_API_KEY", "BROWSERBASE_PROJECT_ID"):
        monkeypatch.setenv(name, "k" * 20)
    settings = Settings(
        model=ModelSettings(name="gpt-4o", base_url="http://127.0.0.1:9/v1", sees_images=True),
        moa=MoaSettings(models=["one", "two"]),
        agent=AgentSettings(personality="concise"),
    )
    system, tools = first_request(tmp_path, settings=settings)
    names = [tool["function"]["name"] for tool in tools]
    assert len(names) >= 29, names
    tokens = (len(json.dumps(tools, ensure_ascii=False, separators=(",", ":")).encode()) + len(system)) / 4
    assert tokens <= MOST_TOKENS, tokens


@pytest.mark.parametrize(
    "call",
    [("memory", {"action": "list"}), ("session_search", {"query": "x"}), ("web_search", {"query": " "})],
)
def test_what_works_nowhere_in_particular_needs_no_place(tmp_path: Path, call: Any) -> None:
    settings = Settings(
        terminal=TerminalSettings(backend="docker"), docker=DockerSettings(host="unix:///none")
    )
    agent = AIAgent(
        chat_model=ScriptedModel([calls(call), text("Done.")]), cwd=str(tmp_path), settings=settings
    )
    try:
        messages = agent.run_conversation("Go.")["messages"]
    finally:
        agent.close()
    assert "docker" not in messages[-2]["content"]
