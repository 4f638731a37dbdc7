"""AIAgent: what it saves, what it may be handed, and what two of them do not share."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conversation.event import TurnFinished
from conversation.message import UserMessage
from models.scripted import ScriptedModel
from run_agent import AIAgent
from safety.gate import EffectRequest, PermissionAnswer
from settings import AgentSettings, RetrySettings, Settings
from tests.agent.bench_tools import calls, text
from tools.todo_tool import TodoStore
from trajectories.session_file import SessionWriter
from trajectories.session_load import load_session
from trajectories.validate import validate_line

_MADE: list[AIAgent] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """An agent that a test leaves open holds the place where its tools work."""
    yield
    while _MADE:
        _MADE.pop().close()


def agent_with(*steps: Any, **more: Any) -> AIAgent:
    more.setdefault("settings", Settings())
    _MADE.append(AIAgent(chat_model=ScriptedModel(steps), **more))
    return _MADE[-1]


def reading(path: str) -> Any:
    return calls(("read_file", {"path": path}))


def test_a_conversation_is_a_session_and_a_training_row(tmp_path: Path, home: Path) -> None:
    (tmp_path / "note.txt").write_text("seven")
    agent = agent_with(reading("note.txt"), text("It says seven."), cwd=str(tmp_path))
    result = agent.run_conversation("What does the note say?")
    assert (result["completed"], result["final_response"], result["api_calls"]) == (True, "It says seven.", 2)
    agent.close()
    logs = home / ".hermes" / "logs"
    session = load_session(logs / "sessions" / f"{result['session_id']}.jsonl")
    assert session.outcome == "done" and not session.problems
    assert session.history.messages()[1:] == result["messages"]
    row = json.loads((logs / "trajectories.jsonl").read_text())
    assert [turn["from"] for turn in row["conversations"]] == ["system", "human", "gpt", "tool", "gpt"]


def test_what_is_resumed_is_what_would_have_been_sent(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("seven")
    agent = agent_with(reading("note.txt"), text("Seven."), cwd=str(tmp_path))
    before = agent.run_conversation("Read.")["messages"]
    path = agent.session_path
    assert path is not None
    agent.close()
    again = agent_with(text("As I said."), session=SessionWriter.open(path), cwd=str(tmp_path))
    after = again.run_conversation("And?")["messages"]
    assert after[: len(before)] == before
    assert again.session_path == path
    again.close()
    assert len(load_session(path).turns) == 2


def test_a_session_that_goes_on_with_another_model_and_other_tools_has_them_in_its_row(
    tmp_path: Path, home: Path
) -> None:
    first = agent_with(text("Hi."), cwd=str(tmp_path), enabled_toolsets=["todo"])
    first.chat("Hello.")
    path = first.session_path
    assert path is not None
    first.close()
    (tmp_path / "note.txt").write_text("seven")
    again = AIAgent(
        chat_model=ScriptedModel([reading("note.txt"), text("Seven.")], name="another"),
        settings=Settings(), session=SessionWriter.open(path), cwd=str(tmp_path), enabled_toolsets=["file"],
    )  # fmt: skip
    again.chat("Read.")
    again.close()
    session = load_session(path)
    assert (session.model, session.toolsets) == ("another", ["file"])
    row = (home / ".hermes" / "logs" / "trajectories.jsonl").read_bytes().splitlines()[-1]
    assert validate_line(row) == []
    assert json.loads(row)["model"] == "another"


def test_a_session_that_goes_on_as_it_was_records_no_change(tmp_path: Path) -> None:
    first = agent_with(text("Hi."), cwd=str(tmp_path))
    first.chat("Hello.")
    path = first.session_path
    assert path is not None
    first.close()
    before = path.read_bytes()
    agent_with(text("Hi."), session=SessionWriter.open(path), cwd=str(tmp_path)).close()
    assert path.read_bytes() == before


def test_a_system_text_that_is_handed_in_is_the_one_of_the_row() -> None:
    agent = agent_with(text("One."), text("Two."))
    agent.run_conversation("First.", system_message="You are a poet.")
    handed_in = [{"role": "system", "content": "You are a judge."}, {"role": "user", "content": "Old."}]
    agent.run_conversation("Second.", conversation_history=handed_in)
    assert isinstance(agent.model, ScriptedModel)
    sent = [request.messages[0]["content"] for request in agent.model.requests]
    assert sent == ["You are a poet.", "You are a judge."]
    path = agent.session_path
    agent.close()
    assert path is not None and load_session(path).history.system == "You are a judge."


def test_no_password_of_the_server_reaches_a_file(home: Path) -> None:
    settings = Settings(retry=RetrySettings(attempts=0))
    agent = AIAgent(base_url="http://me:hunter2@127.0.0.1:9/v1", model="m", settings=settings)
    result = agent.run_conversation("Hello?")
    assert result["outcome"] == "unavailable" and "http://127.0.0.1:9/v1" in result["error"]
    path = agent.session_path
    agent.close()
    assert path is not None and load_session(path).header.base_url_host == "127.0.0.1:9"
    assert not [file for file in home.rglob("*") if file.is_file() and b"hunter2" in file.read_bytes()]


def test_a_second_turn_in_a_running_one_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    agent = agent_with(text("unused"), cwd=str(tmp_path))

    async def scene() -> None:
        events = agent.events("First.")
        await anext(events)
        with pytest.raises(RuntimeError, match="still running"):
            await agent.arun_conversation("Second.", conversation_history=[], task_id="other")
        first = agent.history.entries[0]
        assert isinstance(first, UserMessage) and first.text == "First."
        assert agent.runtime.task_id != "other"
        await events.aclose()
        await agent.aclose()

    asyncio.run(scene())


def test_the_messages_of_a_result_are_the_conversation_alone_and_can_be_handed_in_again() -> None:
    prefill = [{"role": "user", "content": "PREFILL?"}, {"role": "assistant", "content": "PREFILLED."}]
    agent = agent_with(text("One."), text("Two."), prefill_messages=prefill)
    first = agent.run_conversation("First.")["messages"]
    assert [message["content"] for message in first] == ["First.", "One."]
    second = agent.run_conversation("Second.", conversation_history=first)["messages"]
    assert [message["content"] for message in second] == ["First.", "One.", "Second.", "Two."]
    agent.close()


def test_the_task_list_ends_with_its_conversation() -> None:
    item = {"id": "1", "content": "Write a poem."}
    agent = agent_with(calls(("todo", {"items": [item]})), text("Noted."))
    agent.chat("Plan.")
    assert agent.runtime.store(TodoStore).items
    asyncio.run(agent.new_session())
    assert agent.runtime.store(TodoStore).items == []
    agent.close()


def test_nothing_is_written_when_saving_is_off(home: Path) -> None:
    agent = agent_with(text("Hi."), save=False)
    agent.chat("Hello.")
    agent.close()
    assert not (home / ".hermes" / "logs").exists()


def test_the_ephemeral_text_is_sent_and_never_saved() -> None:
    agent = agent_with(text("Hi."), ephemeral_system_prompt="Be a SECRET pirate.")
    agent.chat("Hello.")
    model, path = agent.model, agent.session_path
    assert isinstance(model, ScriptedModel) and path is not None
    assert "SECRET" in model.requests[0].messages[0]["content"]
    agent.close()
    assert "SECRET" not in path.read_text()
    assert "SECRET" not in (agent.logs / "trajectories.jsonl").read_text()


def test_prefill_messages_are_sent_and_belong_to_no_row() -> None:
    prefill = [{"role": "user", "content": "PREFILL?"}, {"role": "assistant", "content": "PREFILLED."}]
    agent = agent_with(text("Hi."), prefill_messages=prefill)
    agent.chat("Hello.")
    assert isinstance(agent.model, ScriptedModel)
    assert [m["role"] for m in agent.model.requests[0].messages] == ["system", "user", "assistant", "user"]
    agent.close()
    assert "PREFILL" not in (agent.logs / "trajectories.jsonl").read_text()


def test_a_history_that_comes_back_as_it_was_given_out_is_not_written_again(tmp_path: Path) -> None:
    agent = agent_with(text("One."), text("Two."), cwd=str(tmp_path))
    given = agent.run_conversation("First.")["messages"]
    agent.run_conversation("Second.", conversation_history=given)
    path = agent.session_path
    agent.close()
    assert path is not None
    records = [json.loads(line)["type"] for line in path.read_text().splitlines()]
    assert records == ["session", "user", "assistant", "turn", "user", "assistant", "turn"]


def test_the_time_a_person_takes_to_answer_is_not_the_tool_s(tmp_path: Path) -> None:
    async def person(request: EffectRequest, reason: str) -> PermissionAnswer:
        await asyncio.sleep(0.4)
        return "once"

    agent = agent_with(
        calls(("write_file", {"path": "a.txt", "content": "a"})),
        text("Done."),
        cwd=str(tmp_path),
        ask_permission=person,
    )
    agent.chat("Write.")
    assert agent.history.rounds[0].results[0].seconds < 0.3
    agent.close()


def test_the_token_limit_holds_also_where_the_server_counts_nothing() -> None:
    steps = [calls(("read_file", {"path": "none"})) for _ in range(5)]
    settings = Settings(agent=AgentSettings(max_tokens=50))
    result = agent_with(*steps, settings=settings).run_conversation("Read.")
    assert result["api_calls"] == 1
    assert "limit of 50 tokens is reached (about" in result["error"]


def test_a_broken_history_from_outside_is_mended_said_and_never_sent() -> None:
    history: list[dict[str, Any]] = [
        {"role": "tool", "tool_call_id": "x", "content": "orphan"},
        {"role": "user", "content": "One."},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{broken"}},
                {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "first"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "Two."},
    ]
    agent = agent_with(text("Fine."))
    result = agent.run_conversation("Three.", conversation_history=history)
    assert len(result["repaired"]) == 5
    assert isinstance(agent.model, ScriptedModel)
    sent = agent.model.requests[0].messages[1:]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool", "user", "user"]
    ids = [call["id"] for call in sent[1]["tool_calls"]]
    assert len(set(ids)) == 2 and [message["tool_call_id"] for message in sent[2:4]] == ids
    assert all(json.loads(call["function"]["arguments"]) == {} for call in sent[1]["tool_calls"])
    path = agent.session_path
    agent.close()
    assert path is not None
    assert load_session(path).history.messages()[1:] == result["messages"]


def test_two_agents_in_one_process_share_nothing(tmp_path: Path) -> None:
    first = calls(("terminal", {"command": "cd /; export WHO=first"}))
    second = calls(("terminal", {"command": "echo [$WHO] $PWD"}))
    yolo = _yolo()
    one = agent_with(first, text("a"), cwd=str(tmp_path), settings=yolo)
    two = agent_with(second, text("b"), cwd=str(tmp_path), settings=yolo)

    async def both() -> None:
        await asyncio.gather(one.achat("Go."), two.achat("Go."))

    asyncio.run(both())
    output = json.loads(two.history.rounds[0].results[0].content)["output"]
    assert output == f"[] {tmp_path}\n"
    assert one.session_id != two.session_id
    one.close()
    two.close()


def test_the_sync_door_opens_inside_a_running_loop() -> None:
    agent = agent_with(text("Hi."), save=False)

    async def caller() -> str:
        return agent.chat("Hello.")

    assert asyncio.run(caller()) == "Hi."


def test_interrupt_from_another_thread_ends_a_command_within_half_a_second(tmp_path: Path) -> None:
    agent = agent_with(calls(("terminal", {"command": "sleep 30"})), cwd=str(tmp_path), settings=_yolo())
    threading.Timer(0.6, agent.interrupt).start()
    started = time.monotonic()
    result = agent.run_conversation("Sleep.")
    assert result["interrupted"]
    assert time.monotonic() - started < 0.6 + 0.5 + 0.3
    assert agent.history.rounds[0].results[0].status == "interrupted"
    agent.close()


def test_leaving_the_events_early_interrupts_the_turn(tmp_path: Path) -> None:
    agent = agent_with(calls(("terminal", {"command": "sleep 30"})), cwd=str(tmp_path), settings=_yolo())

    async def peek() -> float:
        events = agent.events("Sleep.")
        async for event in events:
            if type(event).__name__ == "ToolStarted":
                break
        started = time.monotonic()
        await events.aclose()
        return time.monotonic() - started

    assert asyncio.run(peek()) < 1
    assert agent.history.rounds[0].results[0].status == "interrupted"
    agent.close()


def test_undo_takes_the_last_message_back_also_from_the_file() -> None:
    agent = agent_with(text("One."), text("Two."))
    agent.chat("First.")
    agent.chat("Second.")
    assert agent.undo() == "Second."
    assert len(agent.history.entries) == 2
    path = agent.session_path
    agent.close()
    assert path is not None and len(load_session(path).history.entries) == 2


def test_a_new_session_begins_empty_and_the_old_one_is_kept() -> None:
    agent = agent_with(text("One."), text("Two."))
    agent.chat("First.")
    old = agent.session_path
    asyncio.run(agent.new_session())
    agent.chat("Second.")
    assert agent.session_path != old and old is not None and old.exists()
    people = [entry.text for entry in agent.history.entries if isinstance(entry, UserMessage)]
    assert people == ["Second."]
    agent.close()


def test_what_was_allowed_for_a_session_ends_with_it_also_on_resume(tmp_path: Path) -> None:
    asked: list[str] = []

    async def person(request: Any, reason: str) -> Any:
        asked.append(request.grant)
        return "session"

    def write(name: str) -> Any:
        return calls(("write_file", {"path": name, "content": "x"}))

    steps = [write("a"), text("One."), write("b"), text("Two."), write("c"), text("Three.")]
    agent = agent_with(*steps, cwd=str(tmp_path), ask_permission=person)
    agent.chat("First.")
    agent.chat("Second.")
    assert asked == ["file edits in the working folder"]
    asyncio.run(agent.resume(_another_session(tmp_path)))
    agent.chat("Third.")
    assert asked == ["file edits in the working folder"] * 2
    agent.close()


def _another_session(folder: Path) -> str:
    other = agent_with(text("Hi."), cwd=str(folder))
    other.chat("Hello.")
    other.close()
    return other.session_id


def test_toolsets_and_personality_change_for_the_session_only() -> None:
    agent = agent_with(text("Arr."))
    agent.set_toolsets(["todo"])
    assert [tool.name for tool in agent.tools] == ["todo"]
    with pytest.raises(ValueError, match="nothing"):
        agent.set_toolsets(["nothing"])
    assert [tool.name for tool in agent.tools] == ["todo"]
    plain = agent.history.system
    agent.set_personality("pirate")
    assert agent.history.system != plain
    with pytest.raises(ValueError, match="nobody"):
        agent.set_personality("nobody")
    agent.close()


def test_what_the_gate_would_ask_is_denied_where_nobody_is_there(tmp_path: Path) -> None:
    agent = agent_with(calls(("terminal", {"command": "touch made"})), text("No."), cwd=str(tmp_path))
    agent.chat("Touch.")
    result = agent.history.rounds[0].results[0]
    assert result.status == "denied" and "--policy" in result.content
    assert not (tmp_path / "made").exists()
    agent.close()


def test_a_turn_that_ends_tells_how(tmp_path: Path) -> None:
    agent = agent_with(text("Hi."), save=False)

    async def last() -> Any:
        return [event async for event in agent.events("Hello.")][-1]

    finished = asyncio.run(last())
    assert isinstance(finished, TurnFinished) and finished.outcome == "done"


def test_what_cannot_work_is_refused_when_the_agent_is_made(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        agent_with(text("Hi."), cwd=str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="max_iterations"):
        agent_with(text("Hi."), max_iterations=0)


def test_a_closed_agent_says_that_it_is_closed() -> None:
    agent = agent_with(text("Hi."), save=False)
    agent.close()
    agent.close()
    with pytest.raises(RuntimeError, match="closed"):
        agent.chat("Hello?")


def _yolo() -> Settings:
    import msgspec

    from settings import GateSettings

    return msgspec.structs.replace(Settings(), gate=GateSettings(mode="yolo"))


def test_a_callback_that_fails_breaks_no_session(tmp_path: Path) -> None:
    def fail(name: str, preview: str) -> None:
        raise RuntimeError("the caller's own bug")

    (tmp_path / "note.txt").write_text("seven")
    agent = agent_with(
        reading("note.txt"), text("Well again."), cwd=str(tmp_path), tool_progress_callback=fail
    )
    result = agent.run_conversation("Read.")
    assert result["failed"] and "the caller's own bug" in result["error"]
    assert agent.run_conversation("Again.")["final_response"] == "Well again."
    path, sent = agent.session_path, agent.history.messages()
    assert path is not None
    agent.close()
    session = load_session(path)
    assert not session.problems and session.history.messages() == sent


def test_a_session_knows_what_was_approved_and_where_its_folder_stood(tmp_path: Path) -> None:
    import subprocess

    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b")
    for command in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "first")):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    answers: list[PermissionAnswer] = ["once", "deny"]

    async def person(request: EffectRequest, reason: str) -> PermissionAnswer:
        return answers.pop(0)

    steps = [
        calls(("read_file", {"path": "none.txt"})),
        calls(("write_file", {"path": "a.txt", "content": "a"})),
        calls(("write_file", {"path": "b.txt", "content": "b"})),
        text("Done."),
    ]
    agent = agent_with(*steps, cwd=str(tmp_path), ask_permission=person)
    agent.run_conversation("Write two files.")
    path = agent.session_path
    agent.close()
    assert path is not None
    session = load_session(path)
    assert [result.approval for each in session.history.rounds for result in each.results] == [
        "",
        "once",
        "refused",
    ]
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert session.git is not None
    assert (session.git.commit, session.git.dirty) == (head.stdout.strip(), False)
    assert session.header.sandbox == "local"


def test_a_passing_folder_is_not_named_to_the_model(tmp_path: Path) -> None:
    agent = agent_with(text("Hi."), cwd=str(tmp_path), passing_folder=True)
    agent.chat("Hello.")
    assert str(tmp_path) not in agent.history.system
    assert "Date:" in agent.history.system
    agent.close()


def test_the_person_s_own_keys_are_in_no_training_row(tmp_path: Path, home: Path) -> None:
    agent = agent_with(text("I saw my-own-passphrase-77."), cwd=str(tmp_path), api_key="my-own-passphrase-77")
    agent.chat("What did you see? AKIAIOSFODNN7EXAMPLE?")
    saved = Path(agent.save_to("row.json")).read_text()
    agent.close()
    row = (home / ".hermes" / "logs" / "trajectories.jsonl").read_text()
    for written in (saved, row):
        assert "my-own-passphrase-77" not in written
        assert "AKIAIOSFODNN7EXAMPLE" not in written
        assert "[redacted:" in written
