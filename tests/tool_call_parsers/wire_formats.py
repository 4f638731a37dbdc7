"""How each family's models write calls: one function a format, from the public chat templates."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

Call = tuple[str, dict[str, Any]]
Dump = Callable[[Any], str]
Render = Callable[[list[Call], Dump], str]


def named(calls: list[Call], dump: Dump, key: str = "arguments") -> list[str]:
    return [dump({"name": name, key: arguments}) for name, arguments in calls]


def tagged(opening: str, closing: str, joint: str = "\n", key: str = "arguments") -> Render:
    """One object each, between tags."""
    return lambda calls, dump: joint.join(opening + text + closing for text in named(calls, dump, key))


def listed(opening: str, closing: str = "") -> Render:
    """One list of objects."""
    return lambda calls, dump: f"{opening}[{', '.join(named(calls, dump))}]{closing}"


def llama(opening: str) -> Render:
    return lambda calls, dump: opening + "; ".join(named(calls, dump, "parameters"))


def apertus(calls: list[Call], dump: Dump) -> str:
    return f"<|tools_prefix|>[{', '.join(dump({name: given}) for name, given in calls)}]<|tools_suffix|>"


def cohere(calls: list[Call], dump: Dump) -> str:
    elements = [
        dump({"tool_call_id": str(number), "tool_name": name, "parameters": given})
        for number, (name, given) in enumerate(calls)
    ]
    return f"<|START_ACTION|>[{', '.join(elements)}]<|END_ACTION|>"


def mistral_v11(calls: list[Call], dump: Dump) -> str:
    return "".join(f"[TOOL_CALLS]{name}[ARGS]{dump(given)}" for name, given in calls)


def kimi_k2(calls: list[Call], dump: Dump) -> str:
    inner = "".join(
        f"<|tool_call_begin|>functions.{name}:{number}<|tool_call_argument_begin|>{dump(given)}<|tool_call_end|>"
        for number, (name, given) in enumerate(calls)
    )
    return f"<|tool_calls_section_begin|>{inner}<|tool_calls_section_end|>"


def deepseek_v3(calls: list[Call], dump: Dump) -> str:
    inner = "\n".join(
        f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{dump(given)}\n```<｜tool▁call▁end｜>"
        for name, given in calls
    )
    return f"<｜tool▁calls▁begin｜>{inner}<｜tool▁calls▁end｜>"


def deepseek_v31(calls: list[Call], dump: Dump) -> str:
    inner = "".join(
        f"<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{dump(given)}<｜tool▁call▁end｜>" for name, given in calls
    )
    return f"<｜tool▁calls▁begin｜>{inner}<｜tool▁calls▁end｜>"


def plamo3(calls: list[Call], dump: Dump) -> str:
    def mark(word: str) -> str:
        return f"<|plamo:{word}:plamo|>"

    inner = "".join(
        f"{mark('begin_tool_request')}{mark('begin_tool_name')}{name}{mark('end_tool_name')}"
        f"{mark('begin_tool_arguments')}<|plamo:constrain|>json<|plamo:msg|>{dump(given)}"
        f"{mark('end_tool_arguments')}{mark('end_tool_request')}"
        for name, given in calls
    )
    return f"{mark('begin_tool_requests')}{inner}{mark('end_tool_requests')}"


def gpt_oss(calls: list[Call], dump: Dump) -> str:
    return "<|start|>assistant".join(
        f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{dump(given)}<|call|>"
        for name, given in calls
    )


def gpt_oss_addressed(calls: list[Call], dump: Dump) -> str:
    """The recipient stands in the role's header, which the prompt has begun."""
    return "<|start|>assistant".join(
        f" to=functions.{name}<|channel|>commentary json<|message|>{dump(given)}<|call|>"
        for name, given in calls
    )


def gpt_oss_text(text: str) -> str:
    return f"<|start|>assistant<|channel|>final<|message|>{text}<|end|>"


def bare(value: Any, dump: Dump) -> str:
    return value if isinstance(value, str) else dump(value)


def elements(
    call: tuple[str, str], parameter: tuple[str, str], wrapper: tuple[str, str] = ("", ""), joint: str = ""
) -> Render:
    """Tags within tags: `%s` stands for a name; a wrapper goes round each call."""

    def render(calls: list[Call], dump: Dump) -> str:
        texts = []
        for name, given in calls:
            values = [parameter[0] % key + bare(value, dump) + parameter[1] for key, value in given.items()]
            texts.append(wrapper[0] + call[0] % name + "".join(values) + call[1] + wrapper[1])
        return joint.join(texts)

    return render


def around(opening: str, render: Render, closing: str) -> Render:
    """One wrapper round all calls."""
    return lambda calls, dump: opening + render(calls, dump) + closing


GLM = elements(("<tool_call>%s", "</tool_call>"), ("<arg_key>%s</arg_key><arg_value>", "</arg_value>"))
GLM_LINES = elements(
    ("<tool_call>%s\n", "</tool_call>"), ("<arg_key>%s</arg_key>\n<arg_value>", "</arg_value>\n"), joint="\n"
)
HY = elements(
    ("<tool_call>%s<tool_sep>", "</tool_call>"), ("<arg_key>%s</arg_key><arg_value>", "</arg_value>")
)
HY_OPEN = elements(
    ("<tool_call:opensource>%s<tool_sep:opensource>\n", "</tool_call:opensource>\n"),
    (
        "<arg_key:opensource>%s</arg_key:opensource>\n<arg_value:opensource>",
        "</arg_value:opensource>\n",
    ),
)
CODER = elements(
    ("<function=%s>\n", "</function>\n"),
    ("<parameter=%s>\n", "\n</parameter>\n"),
    ("<tool_call>\n", "</tool_call>"),
    "\n",
)
MIMO = elements(
    ("<function=%s>", "</function>"), ("<parameter=%s>", "</parameter>"), ("<tool_call>", "</tool_call>")
)
SEED = elements(
    ("<function=%s>\n", "</function>\n"),
    ("<parameter=%s>", "</parameter>\n"),
    ("<seed:tool_call>\n", "</seed:tool_call>"),
)
INVOKES = elements(('<invoke name="%s">\n', "</invoke>\n"), ('<parameter name="%s">', "</parameter>\n"))
STEP3 = elements(
    (
        '<｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name="%s">',
        "</steptml:invoke><｜tool_call_end｜>",
    ),
    ('<steptml:parameter name="%s">', "</steptml:parameter>"),
)


def dsml(calls: list[Call], dump: Dump, tag: str = "function_calls", space: str = "") -> str:
    mark = f"｜DSML｜{space}"
    texts = []
    for name, given in calls:
        values = "".join(
            f'<{mark}parameter name="{key}" string="{"true" if isinstance(value, str) else "false"}">'
            f"{bare(value, dump)}</{mark}parameter>\n"
            for key, value in given.items()
        )
        texts.append(f'<{mark}invoke name="{name}">\n{values}</{mark}invoke>\n')
    return f"<{mark}{tag}>\n{''.join(texts)}</{mark}{tag}>"


def minimax_m3(calls: list[Call], dump: Dump) -> str:
    mark = "]<]minimax[>["

    def inner(value: Any) -> str:
        if isinstance(value, dict):
            return "".join(f"{mark}<{key}>{inner(each)}{mark}</{key}>" for key, each in value.items())
        if isinstance(value, list):
            return "".join(f"{mark}<item>{inner(each)}{mark}</item>" for each in value)
        return bare(value, dump)

    texts = "".join(f'{mark}<invoke name="{name}">{inner(given)}{mark}</invoke>\n' for name, given in calls)
    return f"{mark}<tool_call>\n{texts}{mark}</tool_call>"


def k2_horizon(calls: list[Call], dump: Dump) -> str:
    def value(key: str, value: Any) -> str:
        tag = "<ifm|arg_key>{}</ifm|arg_key><ifm|arg_value>{}</ifm|arg_value>"
        return tag.format(key, bare(value, dump))

    texts = [
        f"<ifm|tool_call>{name}{''.join(value(*each) for each in given.items())}</ifm|tool_call>"
        for name, given in calls
    ]
    return "<ifm|tool_calls>" + "\n".join(texts) + "</ifm|tool_calls>"


def kimi_k3(calls: list[Call], dump: Dump) -> str:
    kinds = {str: "string", bool: "boolean", int: "number", float: "number", list: "array", dict: "object"}
    texts = []
    for number, (name, given) in enumerate(calls):
        values = "".join(
            f'<|open|>argument key="{key}" type="{kinds.get(type(value), "null")}"<|sep|>'
            f"{bare(value, dump)}<|close|>argument<|sep|>"
            for key, value in given.items()
        )
        texts.append(f'<|open|>call tool="{name}" index="{number}"<|sep|>{values}<|close|>call<|sep|>')
    return "<|open|>tools<|sep|>" + "".join(texts) + "<|close|>tools<|sep|>"


def minicpm5(calls: list[Call], dump: Dump) -> str:
    def value(given: Any) -> str:
        text = bare(given, dump)
        return f"<![CDATA[{text}]]>" if set(text) & set("<>&\n ") else text

    return "\n".join(
        f'<function name="{name}">'
        + "".join(f'<param name="{key}">{value(each)}</param>' for key, each in given.items())
        + "</function>"
        for name, given in calls
    )


def muse(calls: list[Call], dump: Dump) -> str:
    inner = elements(
        ('<atem:invoke name="%s">\n', "</atem:invoke>\n"),
        ('<atem:parameter name="%s">', "</atem:parameter>\n"),
    )
    return "<|eom|>".join(
        f"<|start|>assistant to={call[0]}<|message|>"
        f"<atem:function_calls>\n{inner([call], dump)}</atem:function_calls>"
        for call in calls
    )


def muse_glimmer(calls: list[Call], dump: Dump) -> str:
    """Every value may be JSON, and so a string that would be read as another type stands in quotes."""

    def safe(value: Any) -> Any:
        try:
            json.loads(value)
        except (TypeError, ValueError):
            return value
        return dump(value)

    return muse([(name, {key: safe(each) for key, each in given.items()}) for name, given in calls], dump)


def gemma(opening: str, closing: str, quote: str) -> Render:
    def inner(value: Any, dump: Dump) -> str:
        if isinstance(value, str):
            return quote + value + quote
        if isinstance(value, dict):
            return "{" + members(value, dump) + "}"
        if isinstance(value, list):
            return "[" + ",".join(inner(each, dump) for each in value) + "]"
        return json.dumps(value)

    def members(given: dict[str, Any], dump: Dump) -> str:
        return ",".join(f"{key}:{inner(value, dump)}" for key, value in given.items())

    return lambda calls, dump: "".join(
        f"{opening}call:{name}{{{members(given, dump)}}}{closing}" for name, given in calls
    )


def seed_python(calls: list[Call], _: Dump) -> str:
    """Every value as Python writes it."""
    return SEED(calls, str)


def functiongemma_python(calls: list[Call], _: Dump) -> str:
    """Every value between marks, as Python writes it."""
    return "".join(
        f"<start_function_call>call:{name}{{"
        + ",".join(f"{key}:<escape>{value}<escape>" for key, value in given.items())
        + "}<end_function_call>"
        for name, given in calls
    )


def python(opening: str, closing: str, joint: str = ", ") -> Render:
    def one(name: str, given: dict[str, Any]) -> str:
        return f"{name}({', '.join(f'{key}={value!r}' for key, value in given.items())})"

    return lambda calls, dump: opening + joint.join(one(*call) for call in calls) + closing


HERMES = tagged("<tool_call>\n", "\n</tool_call>")
FORMATS: dict[str, Render] = {
    **dict.fromkeys(("hermes", "qwen3_json", "granite4", "ernie45"), HERMES),
    "hermes_tight": tagged("<tool_call>", "</tool_call>", ""),
    "longcat": tagged("<longcat_tool_call>\n", "\n</longcat_tool_call>"),
    "granite_20b_fc": tagged("<function_call> ", ""),
    "gigachat3": tagged("function call<|role_sep|>\n", "", "<|message_sep|>\n\n"),
    "internlm2": tagged("<|action_start|><|plugin|>\n", "<|action_end|>", "", "parameters"),
    "interns1": tagged("<|action_start|> <|plugin|>\n", "<|action_end|>", "", "parameters"),
    **dict.fromkeys(("jamba", "hunyuan_a13b"), listed("<tool_calls>", "</tool_calls>")),
    "nemotron_json": listed("<TOOLCALL>", "</TOOLCALL>"),
    "granite": listed("<|tool_call|>"),
    "mistral_v3": listed("[TOOL_CALLS] "),
    **dict.fromkeys(("mistral", "mistral_v11"), mistral_v11),
    "xlam": listed(""),
    "phi4_mini_json": listed("functools"),
    **dict.fromkeys(("llama3_json", "llama4_json"), llama("")),
    "llama3_json_python_tag": llama("<|python_tag|>"),
    "apertus": apertus,
    "cohere_command4": cohere,
    "kimi_k2": kimi_k2,
    "deepseek_v3": deepseek_v3,
    "deepseek_v31": deepseek_v31,
    "plamo3": plamo3,
    "gpt_oss": gpt_oss,
    "harmony": gpt_oss_addressed,
    **dict.fromkeys(("glm45", "poolside_v1"), GLM_LINES),
    **dict.fromkeys(("glm47", "ling3"), GLM),
    "hy_v3": around("<tool_calls>", HY, "</tool_calls>"),
    "hunyuan": around("<tool_calls:opensource>\n", HY_OPEN, "</tool_calls:opensource>"),
    **dict.fromkeys(("qwen3_coder", "nemotron_v3", "step3p5"), CODER),
    "mimo": MIMO,
    "seed_oss": SEED,
    "dots": around("<dots_function_call>", INVOKES, "</dots_function_call>"),
    "minimax_m2": around("<minimax:tool_call>\n", INVOKES, "</minimax:tool_call>"),
    "minimax_m3": minimax_m3,
    "step3": around("<｜tool_calls_begin｜>", STEP3, "<｜tool_calls_end｜>"),
    "deepseek_v32": dsml,
    "deepseek_v4": lambda calls, dump: dsml(calls, dump, "tool_calls"),
    "deepseek_v41": lambda calls, dump: dsml(calls, dump, "calls", " "),
    "k2_horizon": k2_horizon,
    "kimi_k3": kimi_k3,
    "minicpm5": minicpm5,
    "muse": muse,
    "muse_glimmer": muse_glimmer,
    "gemma4": gemma("<|tool_call>", "<tool_call|>", '<|"|>'),
    "functiongemma": gemma("<start_function_call>", "<end_function_call>", "<escape>"),
    "lfm2": python("<|tool_call_start|>[", "]<|tool_call_end|>"),
    "olmo3": python("<function_calls>", "</function_calls>", "\n"),
    **dict.fromkeys(("pythonic", "llama4_pythonic"), python("[", "]")),
}
"""By family, and by alias where a family is written in more than one way."""


ENDS_THE_TURN = frozenset({"granite", "granite_20b_fc", "longcat"})
"""What follows the calls is not shown."""
SPREAD = elements(
    ("\n<function=%s>\n\n", "\n</function>\n"),
    ("  <parameter=%s>\n", "\n</parameter>\n\n"),
    ("<tool_call>\n", "\n</tool_call>\n"),
)
TIGHT_CODER = elements(
    ("<function=%s>", "</function>"), ("<parameter=%s>", "</parameter>"), ("<tool_call>", "</tool_call>")
)
OTHER_LAYOUTS: list[tuple[str, Render]] = [
    *((family, GLM) for family in ("glm45", "poolside_v1")),
    *((family, GLM_LINES) for family in ("glm47", "ling3")),
    *((family, layout) for family in ("qwen3_coder", "nemotron_v3") for layout in (SPREAD, TIGHT_CODER)),
    ("hy_v3", around("<tool_calls>\n", HY, "\n</tool_calls>")),
    ("hunyuan", around("<tool_calls:opensource>", HY_OPEN, "\n</tool_calls:opensource>\n")),
    ("seed_oss", seed_python),
    ("functiongemma", functiongemma_python),
    ("nemotron_json", listed("<TOOLCALL>\n", "\n</TOOLCALL>\n")),
    ("hermes", tagged("<tool_call>", "</tool_call>")),
    ("hermes", tagged("<tool_call>  \n\n", "  </tool_call>", "\n\n")),
    ("hermes", tagged("<tool_call>\n", "\n</tool_call>", "\n", "parameters")),
    ("jamba", listed("<tool_calls>\n", "\n</tool_calls>")),
    ("granite", listed("<tool_call>", "</tool_call>")),
    ("granite", listed("<|tool_call|> ")),
    ("granite_20b_fc", tagged("<function_call>", "")),
    ("gigachat3", tagged("<|function_call|>", "")),
    ("mistral_v3", listed("[TOOL_CALLS]")),
    ("mistral", listed("[TOOL_CALLS] ")),
    ("mistral_v11", lambda calls, dump: mistral_v11(calls, dump).replace("[ARGS]", "")),
    ("xlam", listed("```json\n", "\n```")),
    ("xlam", listed("<tool_call>", "</tool_call>")),
    ("llama3_json", lambda calls, dump: "\n".join(named(calls, dump, "parameters"))),
    ("llama3_json", lambda calls, dump: ";".join(named(calls, dump))),
    ("minimax_m2", around("<minimax:tool_call>", INVOKES, "\n\n</minimax:tool_call>\n")),
    ("olmo3", python("<function_calls>\n", "\n</function_calls>", "\n")),
    ("pythonic", python("[\n  ", "\n]", ",\n  ")),
    ("llama4_pythonic", python("<|python_start|>[", "]<|python_end|>")),
    ("lfm2", python("<|tool_call_start|>", "<|tool_call_end|>")),
]
"""Other ways in which models of a family lay out the same."""
THINKS = {
    "hunyuan": ("<think:opensource>", "</think:opensource>"),
    "gpt_oss": ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant"),
    "seed_oss": ("<seed:think>", "</seed:think>"),
    "kimi_k3": ("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
    **dict.fromkeys(("muse", "muse_glimmer"), ("to=self<|message|>", "<|eom|>")),
    "gemma4": ("<|channel>thought\n", "<channel|>"),
    "mistral": ("[THINK]", "[/THINK]"),
    "cohere_command4": ("<|START_THINKING|>", "<|END_THINKING|>"),
    "apertus": ("<|inner_prefix|>", "<|inner_suffix|>"),
    "plamo3": ("<|plamo:begin_think:plamo|>", "<|plamo:end_think:plamo|>"),
    "minimax_m3": ("<mm:think>", "</mm:think>"),
    "longcat": ("<longcat_think>", "</longcat_think>"),
}
"""What stands round reasoning, where it is not `<think>`."""


def dumps(**style: Any) -> Dump:
    return lambda value: json.dumps(value, **style)


def all_dumps() -> Iterable[Dump]:
    yield dumps(ensure_ascii=False)
    yield dumps(ensure_ascii=True, separators=(",", ":"))
    yield dumps(ensure_ascii=False, indent=2)
