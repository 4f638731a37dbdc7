"""The tool mixture_of_agents: several models answer the same question, and one makes the best of it.

After "Mixture-of-Agents Enhances Large Language Model Capabilities" (https://arxiv.org/abs/2406.04692), with
one layer of reference models.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configuration.tool_settings import ModelChoice
from conversation.message import AssistantMessage, Usage
from models.chat_model import ModelError
from tools.auxiliary import answer_of, chosen_name, is_main, why_unreachable
from tools.runtime import ToolReply, ToolRuntime
from tools.surroundings import Surroundings, surroundings_here
from tools.tool import cut_answer, error_reply, ok_reply, tool

_PROMPT = Path(__file__).with_name("moa_prompt.md")
_MOST_QUOTED = 40_000
"""Characters of one answer that the aggregator reads; together they must fit its window."""
_MOST_TEXT = 60_000


def check_moa_requirements(around: Surroundings | None = None) -> str:
    """The reason and the fix where there is nobody to mix, else ""."""
    around = around or surroundings_here()
    if not around.settings.moa.models:
        return "moa.models names no reference models: hermes config set moa.models '[MODEL, MODEL]'"
    problem = next(filter(None, (why_unreachable(around, each) for each in _choices(around))), "")
    return f"moa: {problem}" if problem else ""


@tool(effects=("read",), requires=check_moa_requirements)
async def mixture_of_agents(runtime: ToolRuntime, prompt: str) -> ToolReply:
    """Ask several models; for hard problems."""
    *references, aggregator = _choices(runtime.around)
    if not references:
        return error_reply(check_moa_requirements(runtime.around))
    answers = await asyncio.gather(*(_reference(runtime, each, prompt) for each in references))
    costs = [_cost(runtime, each, answer) for each, answer in zip(references, answers, strict=True)]
    failed = [
        f"{each.name}: {answer}"
        for each, answer in zip(references, answers, strict=True)
        if isinstance(answer, str)
    ]
    good = [answer.content.strip() for answer in answers if isinstance(answer, AssistantMessage)]
    more: dict[str, Any] = {"failed": failed} if failed else {}
    if not good:
        return error_reply("none of the reference models answered", **more)
    try:
        joined = await answer_of(
            runtime, aggregator, _question(prompt, good), system=_PROMPT.read_text(encoding="utf-8")
        )
    except ModelError as error:
        name = _name(runtime, aggregator)
        return error_reply(
            f"the aggregator {name} failed: {error}. {error.hint}", **more,
            answers=[text[: _MOST_TEXT // len(good)] for text in good], costs=[*filter(None, costs)],
        )  # fmt: skip
    costs.append(_cost(runtime, aggregator, joined))
    return ok_reply(**cut_answer(joined.content.strip(), _MOST_TEXT), **more, costs=[*filter(None, costs)])


def _choices(around: Surroundings) -> list[ModelChoice]:
    """The reference models, then the aggregator."""
    moa = around.settings.moa
    aggregator = ModelChoice(moa.aggregator, moa.provider) if moa.aggregator else ModelChoice()
    return [*(ModelChoice(name, moa.provider) for name in moa.models), aggregator]


async def _reference(runtime: ToolRuntime, choice: ModelChoice, prompt: str) -> AssistantMessage | str:
    """Its answer, or why there is none."""
    limit = runtime.settings.moa.timeout
    try:
        async with asyncio.timeout(limit):
            return await answer_of(runtime, choice, prompt)
    except TimeoutError:
        return f"no answer within {limit:g} s (moa.timeout)"
    except ModelError as error:
        return f"{error}. {error.hint}"


def _question(prompt: str, answers: Sequence[str]) -> str:
    """The marks hold a number drawn by lot: no answer can end its quotation itself."""
    lot = secrets.token_hex(4)
    parts = [f"The question:\n\n{prompt}"]
    for number, answer in enumerate(answers, 1):
        quoted = answer if len(answer) <= _MOST_QUOTED else answer[:_MOST_QUOTED] + "\n[cut]"
        parts.append(f"--- answer {number} ({lot}) ---\n{quoted}\n--- end of answer {number} ({lot}) ---")
    return "\n\n".join(parts)


def _cost(runtime: ToolRuntime, choice: ModelChoice, answer: AssistantMessage | str) -> dict[str, Any]:
    """What one model used; dollars only where they are known. Empty where it gave no answer."""
    if isinstance(answer, str):
        return {}
    usage = answer.usage or Usage()
    dollars = {} if usage.cost is None else {"dollars": round(usage.cost, 6)}
    return {"model": _name(runtime, choice), "tokens": usage.total_tokens, **dollars}


def _name(runtime: ToolRuntime, choice: ModelChoice) -> str:
    if is_main(choice) and runtime.model is not None:
        return runtime.model.name
    return chosen_name(runtime.around, choice)
