"""The one table of families: names, the class that reads them, aliases, and how to tell them apart."""

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from tool_call_parsers.family import Family
from tool_call_parsers.parser import ToolCallParser


class Row(NamedTuple):
    """A family in the table.

    name:    its first name
    reader:  `module:Class` in this room
    aliases: other names (vLLM's and SGLang's)
    models:  regular expression over model names, lower case; "" if none
    marks:   regular expression over a text that shows this format; "" if it cannot be told
    bare:    calls need no tags, and so look like any JSON or Python
    """

    name: str
    reader: str
    aliases: tuple[str, ...] = ()
    models: str = ""
    marks: str = ""
    bare: bool = False


# The first row that fits a model name or a text wins: the more particular stand above the more general.
JSON_ROWS: tuple[Row, ...] = (
    Row(
        "gpt_oss",
        "gpt_oss:GptOss",
        ("gpt-oss", "openai", "harmony"),
        r"gpt-?oss",
        r"( ?to=[\w.-]{1,80})?<\|channel\|>(analysis|commentary|final)",
    ),
    Row("kimi_k2", "kimi_k2:KimiK2", ("kimi",), r"kimi[-_ ]?k2|kimi", r"<\|tool_call(s_section)?_begin\|>"),
    Row(
        "deepseek_v31",
        "deepseek_v3:DeepseekV31",
        ("deepseek_v3_1", "deepseekv31"),
        r"deepseek.*v?3[._]1",
        r"(<｜tool▁calls▁begin｜>\s*)?<｜tool▁call▁begin｜>(?!function<)",
    ),
    Row(
        "deepseek_v3",
        "deepseek_v3:DeepseekV3",
        ("deepseekv3", "deepseek_r1"),
        r"deepseek.*(v3|r1)",
        r"<｜tool▁call",
    ),
    Row("plamo3", "plamo3:Plamo3", (), r"plamo", r"<\|plamo:begin_tool_request"),
    Row("mistral_v3", "mistral:Mistral", (), "", r"\[TOOL_CALLS\]\s*\["),
    Row("mistral_v11", "mistral:Mistral", (), "", r"\[TOOL_CALLS\]\s*[\w.-]+(\[CALL_ID\]|\[ARGS\])"),
    Row(
        "mistral",
        "mistral:Mistral",
        (),
        r"mistral|mixtral|magistral|devstral|ministral|codestral|voxtral|pixtral",
        r"\[TOOL_CALLS\]",
    ),
    Row("apertus", "apertus:Apertus", ("apertus2509",), r"apertus", r"<\|tools_prefix\|>"),
    Row(
        "cohere_command4",
        "cohere_command4:CohereCommand4",
        ("cohere_command3",),
        r"command-?(r|a)|cohere",
        r"<\|START_ACTION\|>",
    ),
    Row("internlm2", "internlm:Internlm", ("internlm",), r"internlm", r"<\|action_start\|><\|plugin\|>"),
    Row("interns1", "internlm:Internlm", (), r"intern-?s1", r"<\|action_start\|>"),
    Row(
        "gigachat3",
        "gigachat3:Gigachat3",
        ("gigachat",),
        r"gigachat",
        r"<\|function_call\|>|function call<\|role",
    ),
    Row("longcat", "hermes:Longcat", (), r"longcat", r"<longcat_tool_call>"),
    Row("phi4_mini_json", "phi4_mini_json:Phi4MiniJson", ("phi4",), r"phi-?4", r"functools\[\s*\{"),
    Row(
        "nemotron_json",
        "nemotron_json:NemotronJson",
        ("nemotron_nano_v2", "llama_nemotron_json", "nemotron_v2"),
        r"nemotron-?nano-?(v2|.*b-?v2)|llama-?3[._]\d-?nemotron-?(nano|super|ultra)",
        r"<TOOLCALL>\s*[\[{]",
    ),
    Row("hunyuan_a13b", "jamba:HunyuanA13b", (), r"hunyuan", ""),
    Row("jamba", "jamba:Jamba", (), r"jamba", r"<tool_calls>\s*\["),
    Row(
        "granite_20b_fc",
        "granite:Granite20bFc",
        ("granite-20b-fc",),
        r"granite.*20b",
        r"<function_call>\s*\{",
    ),
    Row("granite4", "granite:Granite4", (), r"granite-?(4|.*-4)", ""),
    Row("granite", "granite:Granite", ("granite3",), r"granite", r"<\|?tool_call\|?>\s*\["),
    Row("ernie45", "hermes:Ernie45", (), r"ernie", ""),
    Row("qwen3_json", "hermes:Hermes", ("qwen", "qwen25", "qwen2_5", "qwen3"), r"qwen|qwq", ""),
    Row("xlam", "xlam:Xlam", (), r"xlam", r"^\s*\[\s*\{\s*\"name\"\s*:", bare=True),
    Row("llama3_json_python_tag", "llama3_json:Llama3Json", (), "", r"<\|python_tag\|>\s*\{"),
    Row("llama4_json", "llama3_json:Llama3Json", (), r"llama-?4", "", bare=True),
    Row(
        "llama3_json",
        "llama3_json:Llama3Json",
        ("llama3", "llama"),
        r"llama",
        r"\{\s*\"name\"\s*:\s*\"[^\"]+\"\s*,\s*\"(parameters|arguments)\"\s*:",
        bare=True,
    ),
)
XML_ROWS: tuple[Row, ...] = (
    Row("k2_horizon", "k2_horizon:K2Horizon", (), r"k2-?horizon", r"<ifm\|tool_call"),
    Row("glm45", "glm:Glm", ("glm", "glm4"), r"glm-?4\.?5", r"<tool_call>\s*[\w.-]+\s*<arg_key>"),
    Row("glm47", "glm:Glm", (), r"glm-?(4\.?[6-9]|5)"),
    Row("ling3", "glm:Glm", (), r"ling-?3"),
    Row("poolside_v1", "glm:Poolside", ("poolside",), r"poolside|laguna"),
    Row(
        "hy_v3",
        "glm:HyV3",
        ("hunyuan",),
        r"hy-?v?3|hunyuan-?3",
        r"<tool_calls?(:opensource)?>\s*+(<tool_call(:opensource)?>)?[^<>]*+<tool_sep",
    ),
    Row("seed_oss", "qwen3_coder:SeedOss", (), r"seed-?oss", r"<seed:tool_call>"),
    Row("mimo", "qwen3_coder:Mimo", (), r"mimo", r"<tool_call><function="),
    Row("nemotron_v3", "qwen3_coder:Qwen3Coder", ("nemotron3",), r"nemotron-?(3|v3)"),
    Row("step3p5", "qwen3_coder:Qwen3Coder", (), r"step-?3[.p-]?[57]"),
    Row(
        "qwen3_coder",
        "qwen3_coder:Qwen3Coder",
        ("qwen3_xml", "qwen3_engine"),
        r"qwen3-?coder|qwen-?3\.[5-9]",
        r"(<tool_call>\s*)?<function=[^<>]+>",
    ),
    Row("dots", "dots:Dots", (), r"dots", r"<dots_function_call>"),
    Row("minimax_m3", "minimax_m3:MinimaxM3", (), r"minimax-?m3", r"\]<\]minimax\[>\["),
    Row("gemma4", "gemma:Gemma4", ("gemma",), r"gemma-?4", r"<\|tool_call>"),
    Row("functiongemma", "gemma:FunctionGemma", (), r"functiongemma", r"<start_function_call>"),
    Row("minicpm5", "minicpm5:Minicpm5", ("minicpm5xml",), r"minicpm-?5", r"<function[\s\u0120]*name="),
    Row("muse_glimmer", "muse:MuseGlimmer", (), r"muse-?glimmer"),
    Row("muse", "muse:Muse", (), r"\bmuse\b", r"<atem:(invoke|function_calls)"),
    Row("minimax_m2", "minimax:MinimaxM2", (), r"minimax-?m2", r"<minimax:tool_call>"),
    Row("deepseek_v41", "dsml:DeepseekV41", (), r"deepseek-?v4[.-]?1", r"<｜DSML｜ (calls|invoke)"),
    Row("deepseek_v4", "dsml:DeepseekV4", (), r"deepseek-?v4", r"<｜DSML｜tool_?calls>"),
    Row("deepseek_v32", "dsml:DeepseekV32", (), r"deepseek-?v3[.-]?2", r"<｜DSML｜(function_calls|invoke)"),
    Row("step3", "step3:Step3", (), r"step-?3", r"<｜tool_calls_begin｜>|<steptml:invoke"),
    Row("kimi_k3", "kimi_k3:KimiK3", (), r"kimi-?k3", r"<\|open\|>tools<\|sep\|>"),
)
PYTHON_ROWS: tuple[Row, ...] = (
    Row("lfm2", "pythonic:Lfm2", (), r"lfm-?2", r"<\|tool_call_start\|>"),
    Row("olmo3", "pythonic:Olmo3", (), r"olmo-?3", r"<function_calls>\s*[\w.]+\("),
    Row("llama4_pythonic", "pythonic:Llama4Pythonic", (), r"llama-?4", r"<\|python_start\|>\[", bare=True),
    Row("pythonic", "pythonic:Pythonic", (), r"toolace", r"^\s*\[[A-Za-z_][\w.]*\(", bare=True),
)
# Above all: its models are named after it and after the model they were made from.
HERMES = Row("hermes", "hermes:Hermes", ("hermes_tight", "nous"), r"hermes", r"<tool_call>\s*\{")
ROWS = (HERMES, *XML_ROWS, *PYTHON_ROWS, *JSON_ROWS)


def _plain_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


_BY_NAME = {_plain_name(name): row for row in reversed(ROWS) for name in (*row.aliases, row.name)}


def get_parser(
    name: str,
    strict: bool = False,
    tools: Sequence[Mapping[str, Any]] | None = None,
    starts_in_reasoning: bool = False,
    declared_only: bool = False,
) -> ToolCallParser:
    """The parser of a family, by its name or an alias (case, "-" and "." do not matter).

    strict: return what a reference engine (vLLM, SGLang) would, all or nothing where it does so
    tools:  OpenAI schemas for streams, and for `parse` when it is given none
    starts_in_reasoning: the prompt ended inside a reasoning block
    declared_only: what names none of the tools is text

    Raises KeyError for a name nobody knows; the message names those there are.
    """
    family = family_of(name)
    return ToolCallParser(_row(name).name, family, strict, tools, starts_in_reasoning, declared_only)


def family_of(name: str) -> type[Family]:
    """The class that reads a family's format. Raises KeyError as `get_parser` does."""
    module, _, reader = _row(name).reader.partition(":")
    family: type[Family] = getattr(import_module(f"tool_call_parsers.{module}"), reader)
    return family


def is_bare(name: str) -> bool:
    """Whether the family's calls need no tags. Raises KeyError as `get_parser` does."""
    return _row(name).bare


def _row(name: str) -> Row:
    row = _BY_NAME.get(_plain_name(name))
    if row is None:
        raise KeyError(f"No tool-call parser is called {name!r}. There are: {', '.join(list_parsers())}.")
    return row


def list_parsers() -> list[str]:
    """The first names of all families, sorted."""
    return sorted(row.name for row in ROWS)


def detect_parser(model_name: str | None = None, text: str | None = None) -> str | None:
    """The family that a model's name suggests, else the one whose marks a text shows, else None."""
    if model_name:
        lower = model_name.lower()
        for row in ROWS:
            if row.models and re.search(row.models, lower):
                return row.name
    if text:
        for row in ROWS:
            if row.marks and re.search(row.marks, text):
                return row.name
    return None
