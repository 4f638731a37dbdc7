"""image_generate: OpenAI's images API and FAL's queue, played at the wire."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configuration.tool_settings import ImageSettings
from safety.gate import EffectRequest, PermissionAnswer
from settings import ModelSettings, Settings
from tests.server.scripted_server import refused_url
from tests.tools import drawn
from tests.tools.asked_models import ModelWorkshop
from tests.tools.played_server import Asked, Page, Played, as_json, played_server
from tools.catalog import load_tool
from tools.image_tools import check_image_requirements, file_name
from tools.images.drawing import drawer
from tools.surroundings import Surroundings

PICTURE = {"data": [{"b64_json": base64.b64encode(drawn.png()).decode()}]}
GENERATE = "POST /v1/images/generations"
FAL_ID = "/fal-ai/flux/dev/requests/r1"


@pytest.fixture
def server() -> Iterator[Played]:
    with played_server() as played:
        played.pages[GENERATE] = as_json(PICTURE)
        yield played


def painter(root: Path, server: Played | str, **images: Any) -> ModelWorkshop:
    url = server if isinstance(server, str) else f"{server.url}/v1"
    images = {"base_url": url, "key_env": "DRAW_KEY", **images}
    settings = Settings(images=ImageSettings(**images))
    return ModelWorkshop(
        root, settings=settings, secrets={"DRAW_KEY": "draw-secret", "FAL_KEY": "fal-secret"}
    )


def fal(root: Path, server: Played, **images: Any) -> ModelWorkshop:
    """With a queue that has the picture ready at the second look."""
    base = server.url
    addresses = {f"{what}_url": f"{base}{FAL_ID}{'/' + what if what != 'response' else ''}"
                 for what in ("status", "response", "cancel")}  # fmt: skip
    server.pages |= {
        "POST /fal-ai/flux/dev": as_json({"request_id": "r1", **addresses}),
        f"GET {FAL_ID}/status": [
            as_json({"status": "IN_QUEUE", "queue_position": 1}), as_json({"status": "COMPLETED"}),
        ],
        f"GET {FAL_ID}": as_json({"images": [{"url": f"{base}/made.png"}], "has_nsfw_concepts": [False]}),
        f"PUT {FAL_ID}/cancel": as_json({"status": "CANCELLATION_REQUESTED"}),
        "GET /made.png": (200, "image/png", drawn.png()),
    }  # fmt: skip
    return painter(root, server.url, provider="fal", **images)


def test_a_picture_is_drawn_into_a_file_named_for_the_prompt(tmp_path: Path, server: Played) -> None:
    called = painter(tmp_path, server).call("image_generate", prompt="A red fox!", size="wide")
    assert called.data == {"path": "a-red-fox.png", "size": "7x5", "bytes": "74 bytes"}
    assert (tmp_path / "a-red-fox.png").read_bytes() == drawn.png()
    (asked,) = server.asked
    assert asked.headers["authorization"] == "Bearer draw-secret"
    assert asked.json == {
        "prompt": "A red fox!", "n": 1, "size": "1536x1024", "response_format": "b64_json",
    }  # fmt: skip


def test_nothing_is_ever_overwritten(tmp_path: Path, server: Played) -> None:
    shop = painter(tmp_path, server)
    shop.put("a-red-fox.png", "mine")

    async def thrice() -> list[str]:
        calls = [shop.acall("image_generate", prompt="A red fox!") for _ in range(3)]
        return [called.data["path"] for called in await asyncio.gather(*calls)]

    assert sorted(asyncio.run(thrice())) == ["a-red-fox-2.png", "a-red-fox-3.png", "a-red-fox-4.png"]
    assert (tmp_path / "a-red-fox.png").read_text() == "mine"


def test_each_model_of_openai_is_asked_in_its_own_way(tmp_path: Path, server: Played) -> None:
    for model, size, form in (("gpt-image-1", "1024x1536", None), ("dall-e-3", "1024x1792", "b64_json")):
        painter(tmp_path, server, model=model).call("image_generate", prompt="fox", size="tall")
        body = server.asked[-1].json
        assert (body["model"], body["size"], body.get("response_format")) == (model, size, form)


def test_the_file_ends_as_what_it_is(tmp_path: Path, server: Played) -> None:
    server.pages[GENERATE] = as_json({"data": [{"b64_json": base64.b64encode(drawn.WEBP).decode()}]})
    assert painter(tmp_path, server).call("image_generate", prompt="fox").data["path"] == "fox.webp"


def test_a_picture_behind_a_url_of_the_server_is_fetched_without_the_key(
    tmp_path: Path, server: Played
) -> None:
    server.pages[GENERATE] = as_json({"data": [{"url": f"{server.url}/made.png"}]})
    server.pages["GET /made.png"] = (200, "image/png", drawn.png())
    assert painter(tmp_path, server).call("image_generate", prompt="fox").data["path"] == "fox.png"
    assert "authorization" not in server.asked[-1].headers


def test_a_url_of_another_private_host_is_not_followed(tmp_path: Path, server: Played) -> None:
    with played_server() as other:
        other.pages["GET /made.png"] = (200, "image/png", drawn.png())
        server.pages[GENERATE] = as_json({"data": [{"url": f"{other.url}/made.png"}]})
        called = painter(tmp_path, server).call("image_generate", prompt="fox")
        assert "cannot be had" in called.error
        assert other.asked == []
    assert list(tmp_path.iterdir()) == []


def openai_error(status: int, message: str, **more: str) -> Page:
    return as_json({"error": {"message": message, **more}}, status)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (openai_error(401, "Incorrect API key"), ["refused the key in DRAW_KEY", "Check the key"]),
        (openai_error(429, "quota", code="insufficient_quota"), ["wants to be paid", "Add credit"]),
        (openai_error(400, "rejected by our safety system", code="moderation_blocked"),
         ["safety system", "Change the prompt"]),
        (openai_error(404, "no such model"), ["images.model", "images.base_url"]),
        (openai_error(503, "busy"), ["has a fault", "Try again later"]),
        (as_json({"data": []}), ["without a picture"]),
        (as_json({"data": [{}]}), ["without a picture"]),
        (as_json([1]), ["no JSON object"]),
        ((200, "text/html", b"<html>login"), ["no JSON object"]),
        (as_json({"data": [{"b64_json": "!!"}]}), ["no base64"]),
        (as_json({"data": [{"b64_json": base64.b64encode(b"sorry, no").decode()}]}), ["text, not a picture"]),
        ((200, "application/json", b'{"data": "' + b"x" * 41_000_000 + b'"}'), ["more than 40 MB"]),
        (openai_error(400, "x" * 10_000_000), ["refused the request"]),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_said_with_its_fix_and_leaves_no_file(
    tmp_path: Path, server: Played, page: Page, words: list[str]
) -> None:
    server.pages[GENERATE] = page
    called = painter(tmp_path, server).call("image_generate", prompt="fox")
    assert called.status == "error"
    assert [word for word in words if word not in called.error] == []
    assert "draw-secret" not in called.error
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_gone_is_an_error_with_its_fix(tmp_path: Path) -> None:
    called = painter(tmp_path, refused_url()).call("image_generate", prompt="fox")
    assert "cannot reach" in called.error
    assert "images.base_url" in called.error


def test_a_server_that_takes_too_long_is_left(tmp_path: Path, server: Played) -> None:
    going = threading.Event()

    def slow(_: Asked) -> Page:
        going.wait(10)
        return as_json(PICTURE)

    server.pages[GENERATE] = slow
    began = time.monotonic()
    called = painter(tmp_path, server, timeout=0.3).call("image_generate", prompt="fox")
    going.set()
    assert "has not drawn it within 0.3 s" in called.error
    assert time.monotonic() - began < 3


def test_fal_draws_in_its_queue(tmp_path: Path, server: Played) -> None:
    called = fal(tmp_path, server).call("image_generate", prompt="A red fox!", size="tall")
    assert called.data["path"] == "a-red-fox.png"
    assert server.asked[0].json["image_size"] == "portrait_4_3"
    assert server.paths()[1:] == [f"GET {FAL_ID}/status"] * 2 + [f"GET {FAL_ID}", "GET /made.png"]
    keys = [each.headers.get("authorization") for each in server.asked]
    assert keys == ["Key fal-secret"] * 4 + [None]


def test_fal_is_told_when_nobody_waits_any_more(tmp_path: Path, server: Played) -> None:
    shop = fal(tmp_path, server)
    server.pages[f"GET {FAL_ID}/status"] = as_json({"status": "IN_PROGRESS"})

    async def interrupted() -> float:
        drawing = asyncio.create_task(shop.acall("image_generate", prompt="fox"))
        await asyncio.to_thread(server.wait_for, f"GET {FAL_ID}/status")
        began = time.monotonic()
        drawing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await drawing
        return time.monotonic() - began

    assert asyncio.run(interrupted()) < 0.5
    assert server.paths()[-1] == f"PUT {FAL_ID}/cancel"


def test_fal_takes_its_time_and_no_more_than_is_allowed(tmp_path: Path, server: Played) -> None:
    shop = fal(tmp_path, server, timeout=0.8)
    server.pages[f"GET {FAL_ID}/status"] = as_json({"status": "IN_QUEUE"})
    assert "within 0.8 s" in shop.call("image_generate", prompt="fox").error
    assert server.paths()[-1] == f"PUT {FAL_ID}/cancel"


def test_a_key_goes_to_no_address_that_the_queue_makes_up(tmp_path: Path, server: Played) -> None:
    shop = fal(tmp_path, server)
    with played_server() as other:
        taken = {f"{what}_url": f"{other.url}/take" for what in ("status", "response", "cancel")}
        server.pages["POST /fal-ai/flux/dev"] = as_json({"request_id": "r1", **taken})
        assert "no status_url of its own" in shop.call("image_generate", prompt="fox").error
        assert other.asked == []


@pytest.mark.parametrize(
    ("path", "page", "words"),
    [
        ("POST /fal-ai/flux/dev", as_json({"detail": "Invalid key"}, 401), ["refused the key in FAL_KEY"]),
        ("POST /fal-ai/flux/dev", as_json({"detail": "User is locked. Reason: Exhausted balance."}, 403),
         ["Exhausted balance"]),
        (f"GET {FAL_ID}", as_json({"detail": [{"msg": "flagged", "type": "content_policy_violation"}]}, 422),
         ["flagged", "Change the prompt"]),
        (f"GET {FAL_ID}", as_json({"images": [{"url": "/x"}], "has_nsfw_concepts": [True]}), ["its filter"]),
        (f"GET {FAL_ID}", as_json({"images": []}), ["without a picture"]),
        (f"GET {FAL_ID}/status", as_json({"status": "FAILED"}), ["'FAILED'"]),
        ("GET /made.png", (200, "image/png", b"expired"), ["text, not a picture"]),
    ],
)  # fmt: skip
def test_what_goes_wrong_at_fal_is_said(
    tmp_path: Path, server: Played, path: str, page: Page, words: list[str]
) -> None:
    shop = fal(tmp_path, server)
    server.pages[path] = page
    called = shop.call("image_generate", prompt="fox")
    assert [word for word in words if word not in called.error] == []
    assert "fal-secret" not in called.error


@pytest.mark.long
def test_a_status_that_fails_to_come_is_asked_for_again(tmp_path: Path, server: Played) -> None:
    shop = fal(tmp_path, server)
    server.pages[f"GET {FAL_ID}/status"] = [
        as_json({}, 502),
        as_json({}, 502),
        as_json({"status": "COMPLETED"}),
    ]
    assert shop.call("image_generate", prompt="fox").status == "ok"
    server.pages[f"GET {FAL_ID}/status"] = as_json({}, 502)
    assert "has a fault" in shop.call("image_generate", prompt="fox").error


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("A red fox!", "a-red-fox.png"), ("Élan über Öl", "elan-uber-ol.png"),
        ("../../.bashrc", "bashrc.png"),
        ("赤い狐", "picture.png"), ("x" * 90, "x" * 40 + ".png"), ("a\nb\0c", "a-b-c.png"),
        ("the quick brown fox jumps over the lazy dog again", "the-quick-brown-fox-jumps-over-the-lazy.png"),
    ],
)  # fmt: skip
def test_names_come_from_the_prompt_and_stay_in_the_folder(prompt: str, name: str) -> None:
    assert file_name(prompt, ".png") == name


def around(
    images: ImageSettings | None = None, model: ModelSettings | None = None, **secrets: str
) -> Surroundings:
    settings = Settings(images=images or ImageSettings(), model=model or ModelSettings())
    return Surroundings(settings, secrets, {})


def who(place: Surroundings) -> str:
    chosen = drawer(place)
    return f"{chosen.endpoint.base_url} {chosen.model} {chosen.endpoint.api_key}" if chosen else ""


def test_who_draws_is_told_by_settings_and_keys() -> None:
    own = ImageSettings(base_url="http://127.0.0.1:8080/v1", model="sd")
    openai = "https://api.openai.com/v1 gpt-image-1 o"
    assert who(around()) == ""
    assert who(around(OPENAI_API_KEY="o")) == openai
    assert who(around(OPENAI_API_KEY="o", FAL_KEY="f")) == "https://queue.fal.run fal-ai/flux/dev f"
    assert who(around(ImageSettings("openai"), OPENAI_API_KEY="o", FAL_KEY="f")) == openai
    assert who(around(own, FAL_KEY="f")) == "http://127.0.0.1:8080/v1 sd None"
    assert who(around(ImageSettings("off"), FAL_KEY="f")) == ""


def test_a_key_that_is_meant_for_another_server_does_not_go_to_openai() -> None:
    elsewhere = ModelSettings("m", base_url="https://models.example.org/v1")
    assert who(around(model=elsewhere, OPENAI_API_KEY="theirs")) == ""
    other = ModelSettings("m", base_url="https://models.example.org/v1", key_env="THEIR_KEY")
    assert who(around(model=other, OPENAI_API_KEY="o", THEIR_KEY="t")) != ""


def test_without_a_key_the_reason_and_the_fix_are_one_line() -> None:
    for place, word in (
        (around(), "hermes config set-key FAL_KEY"),
        (around(ImageSettings("off")), "images.provider is off"),
        (around(ImageSettings("fal")), "FAL needs a key"),
        (around(ImageSettings("openai")), "OpenAI needs a key"),
        (around(ImageSettings(base_url="x")), "images.base_url 'x' is not a URL"),
        (around(ImageSettings("fal", "http://fal.example"), FAL_KEY="f"), "https://"),
    ):
        reason = check_image_requirements(place)
        assert word in reason
        assert "\n" not in reason
    assert check_image_requirements(around(FAL_KEY="f")) == ""


def test_a_person_is_asked_with_the_whole_prompt(tmp_path: Path, server: Played) -> None:
    shop = painter(tmp_path, server)
    request = load_tool("image_generate").effect_request(shop.runtime, {"prompt": "A red fox!\nBig."})
    assert isinstance(request, EffectRequest)
    assert request.effects == ("write", "net")
    assert request.paths == (str(tmp_path / "a-red-fox-big.png"),)
    assert "A red fox!\nBig." in request.summary
    assert "127.0.0.1" in request.summary
    assert request.deed.startswith("it sends the description to ")


def test_the_person_is_asked_about_the_file_that_will_be_written(tmp_path: Path, server: Played) -> None:
    asked: list[EffectRequest] = []

    async def yes(request: EffectRequest, reason: str) -> PermissionAnswer:
        asked.append(request)
        if len(asked) == 2:
            shop.put("a-red-fox-3.png", "taken meanwhile")
        return "once"

    shop = painter(tmp_path, server)
    shop.runtime.gate.mode, shop.runtime.gate.ask = "ask", yes
    shop.put("a-red-fox.png", "mine")
    drawn_into = [shop.call("image_generate", prompt="A red fox!").data["path"] for _ in range(2)]
    assert drawn_into == ["a-red-fox-2.png", "a-red-fox-4.png"]
    assert [each.paths[0] for each in asked] == [str(tmp_path / f"a-red-fox-{n}.png") for n in (2, 3)]
    assert f"draw into {tmp_path}/a-red-fox-2.png:\n" in asked[0].summary


def test_an_empty_prompt_is_sent_nowhere(tmp_path: Path, server: Played) -> None:
    assert "empty" in painter(tmp_path, server).call("image_generate", prompt=" ").error
    assert server.asked == []


def test_its_schema_is_small() -> None:
    schema = load_tool("image_generate").schema()
    assert len(json.dumps(schema, separators=(",", ":"))) / 4 <= 60
