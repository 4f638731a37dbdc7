"""Models that tools ask themselves, over the wire of a server on loopback."""

from __future__ import annotations

import asyncio
import base64
import time
from pathlib import Path
from typing import Any

import pytest

from configuration.tool_settings import AuxiliarySettings, ModelChoice
from conversation.message import Usage
from models.chat_model import ModelError
from settings import ModelSettings, Settings
from tests.server.scripted_server import Step, refusal, scripted_server
from tests.tools.asked_models import ModelWorkshop
from tools.auxiliary import AuxiliaryModels, ask_model, connect_choice, sees_images, why_no_vision
from tools.surroundings import Surroundings

NONE = ModelChoice()


class Task(ModelWorkshop):
    def ask(self, choice: ModelChoice, prompt: str = "What is it?", **more: Any) -> str:
        async def asked() -> str:
            try:
                return await ask_model(self.runtime, choice, prompt, **more)
            finally:
                await self.runtime.aclose()
                await self.main.aclose()

        return asyncio.run(asked())


def test_the_main_model_is_asked_where_nothing_is_chosen_and_its_usage_counts(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 10}
    with scripted_server(Step(text="  A cat. ", usage=usage)) as server:
        task = Task(tmp_path, server, price_prompt=2.0, price_completion=10.0)
        assert task.ask(NONE, system="Be brief.", max_tokens=50) == "A cat."
    assert [each["role"] for each in server.last["messages"]] == ["system", "user"]
    assert server.last["model"] == "main-model"
    assert server.last["max_tokens"] == 50
    assert task.spent == [Usage(1000, 10, cost=0.0021)]


def test_pictures_go_along_as_data_urls_after_the_text(tmp_path: Path) -> None:
    with scripted_server(Step(text="A dot.", usage={})) as server:
        task = Task(tmp_path, server)
        task.ask(NONE, images=[("image/png", b"\x89PNG")])
    text, picture = server.last["messages"][0]["content"]
    assert text == {"type": "text", "text": "What is it?"}
    assert picture["image_url"]["url"] == "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()
    assert task.spent[0].prompt_tokens > 500  # estimated, without the letters of the picture
    assert task.spent[0].prompt_tokens < 2000
    assert task.spent[0].cost is None


def test_another_server_gets_its_own_key_and_nothing_that_was_meant_for_the_main_one(tmp_path: Path) -> None:
    secrets = {"MAIN_KEY": "main-secret", "EYE_KEY": "eye-secret"}
    with scripted_server() as main, scripted_server(Step(text="seen")) as eye:
        task = Task(
            tmp_path, main, secrets=secrets, key_env="MAIN_KEY", temperature=0.3,
            extra_headers={"X-Team": "mine"}, extra_body={"team": "mine"},
        )  # fmt: skip
        assert task.ask(ModelChoice("eye", base_url=eye.url, key_env="EYE_KEY")) == "seen"
    assert not main.requests
    assert eye.requests[0].headers["authorization"] == "Bearer eye-secret"
    assert "x-team" not in eye.requests[0].headers
    assert not {"team", "temperature"} & set(eye.last)
    assert eye.last["model"] == "eye"


def test_another_model_of_the_same_server_is_asked_there_with_the_same_key(tmp_path: Path) -> None:
    with scripted_server(Step(text="seen"), api_key="main-secret") as server:
        task = Task(
            tmp_path, server, secrets={"MAIN_KEY": "main-secret"}, key_env="MAIN_KEY", price_prompt=1.0
        )
        assert task.ask(ModelChoice("eye")) == "seen"
    assert server.last["model"] == "eye"


def test_a_connected_choice_is_kept_for_the_task_and_closed_with_it(tmp_path: Path) -> None:
    async def work(task: Task) -> None:
        for _ in range(2):
            await ask_model(task.runtime, ModelChoice("eye"), "?")
        assert task.runtime.store(AuxiliaryModels).connected(task.runtime, NONE) is task.main
        await task.runtime.aclose()
        assert AuxiliaryModels not in task.runtime.stores

    with scripted_server(Step(text="seen")) as server:
        asyncio.run(work(Task(tmp_path, server)))
        assert server.connections == 1


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (refusal(401, "no such key"), "auth"),
        (refusal(402, "no credit"), "payment"),
        (refusal(400, "this model takes no image input"), "bad_request"),
        (Step(refuse=True), "connection"),
        (Step(text=""), "empty"),
        (Step(text="", reasoning="hm", finish_reason="length"), "empty"),
    ],
)
def test_a_failure_says_what_happened_and_what_helps(tmp_path: Path, step: Step, kind: str) -> None:
    with scripted_server(step) as server, pytest.raises(ModelError) as caught:
        Task(tmp_path, server).ask(NONE)
    assert caught.value.kind == kind
    assert caught.value.hint


def test_an_interrupt_ends_the_request(tmp_path: Path) -> None:
    async def work(task: Task) -> float:
        asking = asyncio.create_task(ask_model(task.runtime, NONE, "?"))
        while not server.requests:
            await asyncio.sleep(0.01)
        began = time.monotonic()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await task.main.aclose()
        return time.monotonic() - began

    with scripted_server(Step(text="late", delay=30)) as server:
        assert asyncio.run(work(Task(tmp_path, server))) < 1


@pytest.mark.parametrize(
    ("name", "sees"),
    [
        ("gpt-4o-mini", True), ("gpt-4.1", True), ("gpt-5.1", True), ("gemini-3-pro", True),
        ("anthropic/claude-sonnet-4.5", True), ("google/gemini-2.5-flash", True), ("qwen2.5vl:7b", True),
        ("nvidia/llama-3.1-nemotron-nano-vl-8b-v1", True), ("llama3.2-vision", True), ("gemma3:12b", True),
        ("Hermes-4-405B", False), ("deepseek/deepseek-r1", False), ("openai/gpt-oss-120b", False),
        ("gpt-3.5-turbo", False), ("gemma3:1b", False), ("some-new-model", None), ("", None),
    ],
)  # fmt: skip
def test_whether_a_model_sees_is_known_by_its_name(name: str, sees: bool | None) -> None:
    assert sees_images(Surroundings(Settings(model=ModelSettings(name))), NONE) is sees


def test_the_setting_beats_the_name_for_the_main_model_alone() -> None:
    around = Surroundings(Settings(model=ModelSettings("gpt-4o", sees_images=False)))
    assert sees_images(around, NONE) is False
    assert sees_images(around, ModelChoice("gpt-4.1")) is True


def around_of(model: ModelSettings, vision: ModelChoice = NONE, **secrets: str) -> Surroundings:
    return Surroundings(Settings(model=model, auxiliary=AuxiliarySettings(vision=vision)), secrets, {})


def test_why_nothing_can_look_is_said_with_the_fix() -> None:
    local = "http://127.0.0.1:9/v1"
    assert why_no_vision(around_of(ModelSettings("gpt-4o", base_url=local))) == ""
    assert why_no_vision(around_of(ModelSettings("some-new-model", base_url=local))) == ""
    assert why_no_vision(around_of(ModelSettings(provider="openai"), OPENAI_API_KEY="k")) == ""
    blind = why_no_vision(around_of(ModelSettings("Hermes-4-70B", base_url=local)))
    assert "Hermes-4-70B cannot look at pictures" in blind
    assert "auxiliary.vision.name" in blind
    assert "no model is connected" in why_no_vision(around_of(ModelSettings()))
    no_key = around_of(ModelSettings("Hermes-4-70B", base_url=local), ModelChoice("gpt-4o", "openai"))
    assert why_no_vision(no_key).startswith("auxiliary.vision: OpenAI needs a key")
    unknown = around_of(ModelSettings("Hermes-4-70B", base_url=local), ModelChoice(base_url=local))
    assert why_no_vision(unknown) == ""


def test_without_a_main_model_an_empty_choice_is_what_the_settings_name() -> None:
    around = Surroundings(Settings(model=ModelSettings("gpt-4o", base_url="http://127.0.0.1:9/v1")))
    assert connect_choice(around, NONE, None).name == "gpt-4o"
