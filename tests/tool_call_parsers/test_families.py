"""Every family reads its own format: calls, and the text around them."""

import json
from typing import Any

import pytest

from tool_call_parsers import detect_parser, get_parser, list_parsers


def calls_of(tool_calls: list[Any]) -> list[list[Any]]:
    """Name and arguments of calls; arguments that are not JSON stay text."""
    found = []
    for made in tool_calls:
        arguments = made["function"]["arguments"]
        try:
            value = json.loads(arguments)
        except ValueError:
            value = arguments
        found.append([made["function"]["name"], value])
    return found


def test_a_text_gives_its_calls_and_what_is_left(case: dict[str, Any]) -> None:
    content, calls = get_parser(case["family"]).parse(case["text"], case.get("tools"))
    assert calls_of(calls) == case["calls"]
    assert (content or "").strip() == case.get("content", "").strip()


def test_strict_mode_gives_what_a_reference_engine_gives(strict_case: dict[str, Any]) -> None:
    parser = get_parser(strict_case["family"], strict=True)
    parsed = parser.parse(strict_case["text"], strict_case.get("tools"))
    assert calls_of(parsed.tool_calls) == strict_case["strict"]


def test_calls_have_the_shape_of_openai_and_ids_of_their_own() -> None:
    text = '<tool_call>{"name": "a", "arguments": {}}</tool_call>' * 3
    calls = get_parser("hermes").parse(text).tool_calls
    assert all(call["type"] == "function" and call["function"]["arguments"] == "{}" for call in calls)
    assert len({call["id"] for call in calls}) == 3


def test_numbers_and_digits_in_strings_come_through_as_written() -> None:
    arguments = '{"n": 12345678901234567890, "f": 1.0, "e": 1e400, "s": "00123", "u": "\\u00e9"}'
    text = f'<tool_call>{{"name": "a", "arguments": {arguments}}}</tool_call>'
    (call,) = get_parser("hermes").parse(text).tool_calls
    assert call["function"]["arguments"] == arguments


def test_an_id_that_the_model_wrote_is_kept_where_its_template_wants_it_back() -> None:
    text = "<|tool_call_begin|>functions.a:3<|tool_call_argument_begin|>{}<|tool_call_end|>"
    assert get_parser("kimi_k2").parse(text).tool_calls[0]["id"] == "functions.a:3"


@pytest.mark.parametrize("text", ["[TOOL_CALLS]a{}", '[TOOL_CALLS][{"name": "a", "arguments": {}}]'])
def test_mistral_ids_are_nine_letters_or_digits(text: str) -> None:
    (call,) = get_parser("mistral").parse(text).tool_calls
    assert len(call["id"]) == 9
    assert call["id"].isalnum()


@pytest.mark.parametrize("name", list_parsers())
def test_plain_text_is_content_and_nothing_is_none(name: str) -> None:
    text = "The answer is 42. No tools needed: use f(x) = {x} or [1, 2]."
    assert get_parser(name).parse(text) == (text, [])
    assert get_parser(name).parse("") == (None, [])


@pytest.mark.parametrize(
    "name", ["Qwen2.5", "qwen25", "DeepSeek-V3.1", "deepseek_v31", "granite-20b-fc", "openai"]
)
def test_names_are_found_however_they_are_written(name: str) -> None:
    assert get_parser(name).name in list_parsers()


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(KeyError, match="hermes"):
        get_parser("nobody")


@pytest.mark.parametrize(
    ("model", "parser"),
    [
        ("NousResearch/Hermes-4-70B", "hermes"),
        ("NousResearch/Hermes-3-Llama-3.2-3B", "hermes"),
        ("DeepHermes-3-Mistral-24B-Preview", "hermes"),
        ("meta-llama/Llama-3.2-3B-Instruct", "llama3_json"),
        ("Salesforce/Llama-xLAM-2-8b-fc-r", "xlam"),
        ("qwen3.5:27b", "qwen3_coder"),
        ("deepseek-ai/DeepSeek-V3.2", "deepseek_v32"),
        ("LiquidAI/LFM2-8B-A1B", "lfm2"),
        ("zai-org/GLM-4.7-Flash", "glm47"),
        ("ByteDance-Seed/Seed-OSS-36B", "seed_oss"),
        ("MiniMaxAI/MiniMax-M2", "minimax_m2"),
        ("ibm-granite/granite-4.0-h-tiny", "granite4"),
        ("ibm-granite/granite-3.3-8b-instruct", "granite"),
        ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B", "nemotron_v3"),
        ("nvidia/NVIDIA-Nemotron-Nano-9B-v2", "nemotron_json"),
        ("nvidia/NVIDIA-Nemotron-Nano-12B-v2-VL-BF16", "nemotron_json"),
        ("nvidia/Llama-3_3-Nemotron-Super-49B-v1_5", "nemotron_json"),
        ("nvidia/Llama-3.1-Nemotron-70B-Instruct-HF", "llama3_json"),
        ("gpt-5", None),
        ("anthropic/claude-sonnet-4.5", None),
        ("gemini-3-pro", None),
        ("Qwen/Qwen2.5-7B-Instruct", "qwen3_json"),
        ("Qwen/Qwen3-Coder-30B", "qwen3_coder"),
        ("deepseek-ai/DeepSeek-V3-0324", "deepseek_v3"),
        ("deepseek-ai/DeepSeek-V3.1", "deepseek_v31"),
        ("moonshotai/Kimi-K2-Instruct", "kimi_k2"),
        ("mistralai/Devstral-Small-2507", "mistral"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama3_json"),
        ("openai/gpt-oss-120b", "gpt_oss"),
        ("zai-org/GLM-4.5-Air", "glm45"),
        ("someone/unheard-of", None),
    ],
)
def test_a_model_name_tells_the_family(model: str, parser: str | None) -> None:
    assert detect_parser(model) == parser


@pytest.mark.parametrize(
    ("text", "parser"),
    [
        ('Hi <tool_call>\n{"name": "a"', "hermes"),
        ("<tool_call>\n<function=a>\n", "qwen3_coder"),
        ("<｜tool▁call▁begin｜>a<｜tool▁sep｜>{}", "deepseek_v31"),
        ("<｜tool▁call▁begin｜>function<｜tool▁sep｜>a", "deepseek_v3"),
        ("[TOOL_CALLS]a[ARGS]{}", "mistral_v11"),
        ("<|channel|>final<|message|>x", "gpt_oss"),
        (" to=functions.a<|channel|>commentary json<|message|>{}", "gpt_oss"),
        ("<tool_calls:opensource>\n<tool_call:opensource>a<tool_sep:opensource>", "hy_v3"),
        ('<TOOLCALL>[{"name"', "nemotron_json"),
        ("just words", None),
    ],
)
def test_a_text_tells_the_family(text: str, parser: str | None) -> None:
    assert detect_parser(text=text) == parser


def test_a_name_that_is_not_known_leaves_the_text_to_tell() -> None:
    assert detect_parser("someone/unheard-of", '<tool_call>{"name"') == "hermes"
