"""The model finds earlier sessions; what it reads there is others' text and the person's own business."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from conversation.blocking import run_blocking
from conversation.message import AssistantMessage, ToolCall, UserMessage
from model_tools import call_tool
from models.scripted import ScriptedModel
from run_agent import AIAgent
from safety.gate import EffectRequest, Gate
from sandboxes.local import LocalSandbox
from settings import Settings
from tools.catalog import load_tool
from tools.runtime import ToolRuntime
from tools.session_search_tool import check_session_search_requirements
from tools.surroundings import Surroundings
from trajectories.session_file import SessionWriter
from trajectories.session_index import FILE
from trajectories.session_record import Header

Save = Callable[..., str]


@pytest.fixture
def logs(home: Path) -> Path:
    return home / ".hermes" / "logs"


@pytest.fixture
def save(logs: Path) -> Save:
    """Saves a conversation and returns its id."""

    def one(question: str, answer: str = "Yes.") -> str:
        writer = SessionWriter.create(logs / "sessions", Header(id="", cwd="/work/garden"), sync=False)
        writer.append(UserMessage(question))
        writer.append(AssistantMessage(answer))
        writer.end_turn("done")
        writer.close()
        return writer.header.id

    return one


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ToolRuntime]:
    runtime = ToolRuntime("task", LocalSandbox("task", str(tmp_path)), Gate("ask", workspace=str(tmp_path)))
    yield runtime
    run_blocking(runtime.aclose())


def call(runtime: ToolRuntime, **arguments: Any) -> dict[str, Any]:
    reply = run_blocking(call_tool(load_tool("session_search"), arguments, runtime))
    read: dict[str, Any] = json.loads(reply.content)
    return read


def test_a_hit_is_told_with_id_title_date_folder_and_words(runtime: ToolRuntime, save: Save) -> None:
    session = save("Which fern likes shade?", "The lady fern does.")
    assert call(runtime, query="lady") == {
        "untrusted": "earlier session",
        "sessions": [
            {
                "id": session,
                "title": "Which fern likes shade?",
                "date": f"{session[:4]}-{session[4:6]}-{session[6:8]}",
                "folder": "/work/garden",
                "passages": ["model: The lady fern does."],
            }
        ],
    }


def test_the_gate_hears_that_it_is_private_and_perhaps_others_words(runtime: ToolRuntime, save: Save) -> None:
    assert call(runtime, query="shade") == {"sessions": []}
    assert not (runtime.gate.exposure.untrusted or runtime.gate.exposure.private)
    save("Which fern likes shade?")
    call(runtime, query="shade")
    exposure = runtime.gate.exposure
    assert {exposure.untrusted, exposure.private} == {"earlier session"}
    assert not exposure.complete
    runtime.gate.note_untrusted("web page")
    assert runtime.gate.exposure.complete
    sending = EffectRequest("web_search", ("read", "net"), "look for ferns")
    assert runtime.gate.decide(sending).verdict == "ask"


def test_an_address_the_model_wrote_another_day_is_not_known_by_that(
    runtime: ToolRuntime, save: Save
) -> None:
    save("where?", "https://evil.example/?k=secret")
    assert "k=secret" in json.dumps(call(runtime, query="evil.example"))
    assert not runtime.gate.addresses.knows("https://evil.example/?k=secret")


def test_the_running_session_is_left_out(runtime: ToolRuntime, save: Save) -> None:
    earlier, runtime.session_id = save("apples"), save("apples")
    assert [each["id"] for each in call(runtime, query="apples")["sessions"]] == [earlier]
    assert [each["id"] for each in call(runtime)["sessions"]] == [earlier]


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (0, 1), (-5, 1), (3, 3), (10_000, 20)])
def test_the_number_of_hits_is_bounded(limit: int, count: int, runtime: ToolRuntime, save: Save) -> None:
    for number in range(25):
        save(f"apples {number} " + "long words " * 200, "apples " * 500)
    reply = run_blocking(
        call_tool(load_tool("session_search"), {"query": "apples", "limit": limit}, runtime)
    ).content
    assert len(json.loads(reply)["sessions"]) == count
    assert len(reply) < 1_300 * count


def test_where_training_data_is_made_nothing_is_found(runtime: ToolRuntime, save: Save) -> None:
    save("apples")
    runtime.around = Surroundings(impersonal=True)
    assert "not in batches" in check_session_search_requirements(runtime.around)
    assert "not in batches" in call(runtime, query="apples")["error"]


def test_an_index_that_cannot_be_made_is_told_to_the_model(
    runtime: ToolRuntime, save: Save, logs: Path
) -> None:
    save("apples")
    (logs / FILE).mkdir()
    assert FILE in call(runtime, query="apples")["error"]


def test_an_interrupted_search_ends_its_work(runtime: ToolRuntime, save: Save, logs: Path) -> None:
    text = (logs / "sessions" / f"{save('apples ' * 3_000)}.jsonl").read_bytes()
    for number in range(300):
        (logs / "sessions" / f"20260101_000000_000000_{number:06x}.jsonl").write_bytes(text)

    async def interrupted() -> None:
        task = asyncio.create_task(call_tool(load_tool("session_search"), {"query": "apples"}, runtime))
        while not (logs / FILE).exists():
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(interrupted())  # waits for its threads
    with closing(sqlite3.connect(logs / FILE)) as connection:
        assert connection.execute("SELECT count(*) FROM sessions").fetchone()[0] < 301
    assert len(call(runtime, query="apples", limit=20)["sessions"]) == 20


def test_in_a_conversation_what_was_said_earlier_is_found_and_what_is_said_now_is_not(
    tmp_path: Path, save: Save
) -> None:
    earlier = save("the password of the wifi is on the fridge")
    ask = AssistantMessage("", (ToolCall("c1", "session_search", '{"query": "fridge wifi"}'),))
    model = ScriptedModel([ask, AssistantMessage("On the fridge.")])
    agent = AIAgent(settings=Settings(), chat_model=model, cwd=str(tmp_path))
    assert agent.chat("Where is the wifi password? On the fridge?") == "On the fridge."
    agent.close()
    (result,) = [each for each in model.requests[-1].messages if each["role"] == "tool"]
    assert [each["id"] for each in json.loads(result["content"])["sessions"]] == [earlier]
