"""Models that tools ask for themselves: to look at a picture, to shorten a page, to compare answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from conversation.event import Answer, RetryScheduled
from conversation.message import PICTURE_TOKENS, AssistantMessage, Usage
from models.chat_model import ChatModel, ModelError, ModelRequest
from settings import ModelSettings, Settings
from tools.pictures import image_part
from tools.surroundings import Surroundings

if TYPE_CHECKING:
    from configuration.tool_settings import ModelChoice
    from tools.runtime import ToolRuntime


class AuxiliaryModels:
    """The models that were asked in a task, connected once; `ToolRuntime.store` keeps it."""

    def __init__(self) -> None:
        self._connected: dict[ModelChoice, ChatModel] = {}

    def connected(self, runtime: ToolRuntime, choice: ModelChoice) -> ChatModel:
        if is_main(choice) and runtime.model is not None:
            return runtime.model
        if choice not in self._connected:
            self._connected[choice] = connect_choice(runtime.around, choice, runtime.model)
        return self._connected[choice]

    async def aclose(self) -> None:
        models, self._connected = self._connected, {}
        for model in models.values():
            await model.aclose()


def is_main(choice: ModelChoice) -> bool:
    """True if it names nothing, which means the model that is talked to."""
    return not (choice.name or choice.provider or choice.base_url or choice.key_env)


def connect_choice(around: Surroundings, choice: ModelChoice, main: ChatModel | None) -> ChatModel:
    """`main` if the choice is empty, else a model of its own, which the caller closes.

    What is wrong with the choice shows at the first request, as a ModelError.
    """
    if is_main(choice) and main is not None:
        return main
    from models.connect import connect_model

    return connect_model(chosen_settings(around.settings, choice), around.secrets)


def chosen_settings(settings: Settings, choice: ModelChoice) -> Settings:
    """`settings` with the section `model` as the choice wants it.

    What was set for one model (its window, prices, sampling) does not go over to another, nor what was set
    for one server (its key, headers, body fields).
    """
    if is_main(choice):
        return settings
    model = settings.model
    elsewhere = bool(choice.base_url or choice.provider)
    chosen = ModelSettings(
        name=choice.name or ("" if elsewhere else model.name),
        provider=choice.provider if elsewhere else model.provider,
        base_url=choice.base_url if elsewhere else model.base_url,
        key_env=choice.key_env or ("" if elsewhere else model.key_env),
        stream=model.stream,
        proxy=model.proxy,
        ca_file=model.ca_file,
    )
    if not elsewhere:
        chosen = replace(
            chosen,
            extra_body=model.extra_body,
            extra_headers=model.extra_headers,
            provider_order=model.provider_order,
            provider_only=model.provider_only,
            provider_ignore=model.provider_ignore,
            provider_sort=model.provider_sort,
        )
    return replace(settings, model=chosen)


async def ask_model(
    runtime: ToolRuntime,
    choice: ModelChoice,
    prompt: str,
    *,
    system: str = "",
    images: Sequence[tuple[str, bytes]] = (),
    max_tokens: int | None = None,
) -> str:
    """The text of one answer. `images` are pairs of media type ("image/png") and bytes.

    What it used is told to `runtime.spend`. An interrupt ends the request.

    Raises:
        ModelError: it failed for good; its `hint` is the fix. An answer without text is of the kind `empty`.
    """
    message = await answer_of(runtime, choice, prompt, system=system, images=images, max_tokens=max_tokens)
    return message.content.strip()


async def answer_of(
    runtime: ToolRuntime,
    choice: ModelChoice,
    prompt: str,
    *,
    system: str = "",
    images: Sequence[tuple[str, bytes]] = (),
    max_tokens: int | None = None,
) -> AssistantMessage:
    """As `ask_model`; the whole message, whose `usage` is estimated where the server gave none."""
    model = runtime.store(AuxiliaryModels).connected(runtime, choice)
    content: str | list[dict[str, Any]] = prompt
    if images:
        content = [{"type": "text", "text": prompt}, *(image_part(*image) for image in images)]
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    extra = {_limit_name(runtime.around, choice): max_tokens} if max_tokens else {}
    async for event in model.stream(ModelRequest(messages, extra=extra)):
        if isinstance(event, Answer):
            message = event.message
            read = len(system + prompt) // 4 + PICTURE_TOKENS * len(images)
            written = len(message.content + message.reasoning) // 4
            usage = (message.usage or Usage(read, written)).priced(model.prices)
            runtime.spend(usage)
            if not message.content.strip():
                cut = message.finish_reason == "length"
                why = "it was cut off while it was thinking" if cut else "its answer has no text"
                raise ModelError("empty", f"{model.name} gave no answer: {why}", hint="Ask another model.")
            return replace(message, usage=usage)
        if isinstance(event, RetryScheduled):
            runtime.emit(event)
    raise ModelError("bad_body", f"{model.name} ended its stream without an answer")


def sees_images(around: Surroundings, choice: ModelChoice, main: ChatModel | None = None) -> bool | None:
    """Whether the chosen model can look at pictures; None if it is not known.

    `model.sees_images` decides for the model that is talked to, then the model's name.
    """
    from models.known_models import sees_images as known_to_see

    if is_main(choice) and around.settings.model.sees_images is not None:
        return around.settings.model.sees_images
    name = main.name if main is not None and is_main(choice) else chosen_name(around, choice)
    return known_to_see(name)


def chosen_name(around: Surroundings, choice: ModelChoice) -> str:
    """The chosen model's name; "" if only its server can say."""
    from models.providers import default_model, resolve_endpoint

    settings = chosen_settings(around.settings, choice)
    return settings.model.name or default_model(resolve_endpoint(settings, around.secrets))


def why_unreachable(around: Surroundings, choice: ModelChoice) -> str:
    """ "" if there is somebody to ask, as far as the settings tell, else the reason and the fix."""
    from models.providers import resolve_endpoint

    endpoint = resolve_endpoint(chosen_settings(around.settings, choice), around.secrets)
    if endpoint.name == "offline":
        return "no model is connected: hermes config set-key OPENROUTER_API_KEY, or set model.base_url"
    return endpoint.problem


def why_no_vision(around: Surroundings) -> str:
    """ "" if a model may look at pictures, else the reason and the fix: for a tool's `requires`."""
    choice = around.settings.auxiliary.vision
    problem = why_unreachable(around, choice)
    if problem:
        own = problem.replace("model.base_url", "base_url")
        return problem if is_main(choice) else f"auxiliary.vision: {own}"
    if sees_images(around, choice) is not False:
        return ""
    name = chosen_name(around, choice) or "the model"
    return f"{name} cannot look at pictures: hermes config set auxiliary.vision.name MODEL names one that can"


def _limit_name(around: Surroundings, choice: ModelChoice) -> str:
    """OpenAI's own reasoning models refuse the older name; other servers may not know the newer one."""
    from models.providers import resolve_endpoint

    endpoint = resolve_endpoint(chosen_settings(around.settings, choice), around.secrets)
    return "max_completion_tokens" if endpoint.is_openai else "max_tokens"
