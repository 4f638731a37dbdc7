"""Rows for trainers: what each of them refuses or misreads is not in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from conversation.message import AnswerTokens, AssistantMessage, UserMessage
from trajectories.formats import axolotl, llamafactory, nemo, trl
from trajectories.formats.registry import FORMATS
from trajectories.prepared import Prepared
from trajectories.preparing import prepare
from trajectories.session_file import SessionWriter
from trajectories.session_load import load_session
from trajectories.session_record import CompactionRecord, Header
from trajectories.targets import find_target
from trajectories.validate import validate_row

TRAINERS = ["trl", "axolotl", "nemo", "llamafactory"]
MESSAGES = ["trl", "axolotl", "nemo"]


def row(name: str, talk: Any, family: str = "") -> dict[str, Any]:
    target = find_target(family) if family else None
    (made,) = FORMATS[name].rows(prepare(talk.load(), target=target))
    if name in MESSAGES:
        assert validate_row(made, "openai") == []
    return dict(made)


def roles(name: str, made: dict[str, Any]) -> list[str]:
    if name == "llamafactory":
        return [turn["from"] for turn in made["conversations"]]
    return [message["role"] for message in made["messages"]]


@pytest.mark.parametrize("name", MESSAGES)
def test_a_row_has_messages_that_a_template_can_render(name: str, talk: Any) -> None:
    talk.person("hi").call("c1", "c2", reasoning="hm").result("c2", "2").result("c1", "").answer("bye").end()
    made = row(name, talk)
    assert roles(name, made) == ["system", "user", "assistant", "tool", "tool", "assistant"]
    call, first, second = made["messages"][2:5]
    assert (call["content"], call["reasoning_content"]) == ("", "hm")
    assert (first["tool_call_id"], first["content"]) == ("c1", "")
    assert (second["tool_call_id"], second["content"]) == ("c2", "2")
    assert json.loads(made["tools"])[0]["function"]["name"] == "terminal"
    assert "<tools>" not in json.dumps(made["messages"])
    assert (made["id"], made["completed"]) == (talk.path.stem, True)


def test_arguments_are_an_object_for_trl_and_text_for_those_who_parse_it(talk: Any) -> None:
    talk.person("hi").call("c1").result("c1").answer("bye").end()

    def arguments(name: str) -> Any:
        return row(name, talk)["messages"][2]["tool_calls"][0]["function"]["arguments"]

    assert arguments("trl") == {"command": "ls"}
    assert arguments("axolotl") == arguments("nemo") == '{"command": "ls"}'


@pytest.mark.parametrize("name", TRAINERS)
def test_a_row_ends_on_an_answer(name: str, talk: Any) -> None:
    talk.person("hi").answer("hello").end().person("and now?").call("c1").result("c1").person("well?")
    talk.person("hm?").end("interrupted")
    made = row(name, talk)
    last = {"llamafactory": "function_call"}.get(name, "assistant")
    assert roles(name, made)[-1] == last
    assert (made["completed"], made["outcome"]) == (False, "interrupted")


@pytest.mark.parametrize("name", TRAINERS)
def test_a_session_without_an_answer_has_no_row(name: str, talk: Any) -> None:
    talk.person("hi").end("unavailable")
    assert FORMATS[name].rows(Prepared(talk.load())) == []


@pytest.mark.parametrize("name", TRAINERS)
def test_messages_of_the_person_in_a_row_are_one(name: str, talk: Any) -> None:
    talk.person("one").person([{"type": "text", "text": "two"}, {"type": "image_url"}]).answer("three").end()
    made = row(name, talk)
    said = [turn["value"] for turn in made.get("conversations", []) if turn["from"] == "human"]
    said += [message["content"] for message in made.get("messages", []) if message["role"] == "user"]
    assert said == ["one\n\ntwo\n[image_url]"]


def test_a_person_after_results_follows_a_blank_answer_only_where_the_template_wants_turns(
    talk: Any,
) -> None:
    talk.person("one").call("c1").result("c1", "", "interrupted").person("no, this").answer("ok").end()
    usual = ["system", "user", "assistant", "tool", "user", "assistant"]
    assert roles("axolotl", row("axolotl", talk, "qwen")) == usual
    made = row("axolotl", talk, "mistral")
    assert roles("axolotl", made) == [*usual[:4], "assistant", *usual[4:]]
    assert made["messages"][4] == {"role": "assistant", "content": " ", "train": False}
    assert [answer["message"] for answer in json.loads(made["facts"])["answers"]] == [2, 6]
    assert roles("llamafactory", row("llamafactory", talk)) == [
        "human",
        "function_call",
        "tool",
        "gpt",
        "human",
        "gpt",
    ]


def test_gpt_oss_gets_its_reasoning_as_thinking_and_never_beside_the_text_of_a_call(talk: Any) -> None:
    talk.person("hi").call("c1", "c2", text="I look.", reasoning="hm").result("c1").result("c2")
    talk.answer("bye", reasoning="done").end()
    messages = row("trl", talk, "gpt_oss")["messages"]
    assert (messages[2]["content"], messages[2]["thinking"]) == ("", "hm\n\nI look.")
    assert messages[-1] == {"role": "assistant", "content": "bye", "thinking": "done"}
    assert all("reasoning_content" not in message for message in messages)
    assert [len(message["tool_calls"]) for message in messages if "tool_calls" in message] == [1, 1]
    assert row("nemo", talk, "gpt_oss")["messages"][-1]["reasoning_content"] == "done"


def test_axolotl_is_told_which_messages_to_learn_from(talk: Any) -> None:
    talk.person("hi").call("c1", flawed="unknown tool").result("c1", "no such tool", "error")
    talk.answer("half", interrupted=True).person("go on").answer(
        "cut o", finish_reason="length", flawed="cut"
    )
    talk.person("again").call("c2").result("c2").answer("good").end()
    made = row("axolotl", talk)
    assert [(m["role"], m["train"]) for m in made["messages"] if m["role"] == "assistant"] == [
        ("assistant", False),
        ("assistant", False),
        ("assistant", False),
        ("assistant", True),
        ("assistant", True),
    ]
    assert not any(m["train"] for m in made["messages"] if m["role"] != "assistant")


def test_no_part_of_an_interrupted_answer_is_learned(talk: Any) -> None:
    talk.person("hi").call("c1", "c2", interrupted=True).result("c1").result("c2").answer("bye").end()
    (made,) = FORMATS["axolotl"].rows(prepare(talk.load(), split=True))
    answers = [message for message in made["messages"] if message["role"] == "assistant"]
    assert [answer["train"] for answer in answers] == [False, False, True]


def test_facts_of_an_answer_name_its_place_in_the_list_that_the_row_has(talk: Any) -> None:
    talk.person("hi").call("c1").result("c1").person("wait").answer("bye").end()
    made = row("llamafactory", talk)
    places = [answer["turn"] for answer in json.loads(made["facts"])["answers"]]
    assert [made["conversations"][place]["from"] for place in places] == ["function_call", "gpt"]
    assert made["conversations"][places[1]]["value"] == "bye"


def test_what_else_is_known_of_each_answer_is_one_json_text(talk: Any) -> None:
    talk.person("hi").call("c1", tokens=AnswerTokens([1], [2], [-0.1]), model="m", seconds=2.0)
    talk.result("c1", "no", "denied").answer("bye", finish_reason="stop").end()
    facts = json.loads(row("trl", talk)["facts"])
    first, second = facts["answers"]
    assert (first["message"], first["model"], first["seconds"]) == (2, "m", 2.0)
    assert (first["results"][0]["status"], second["finish_reason"]) == ("denied", "stop")
    assert "tokens" not in first
    assert facts["sampling"] == {}


def test_a_compaction_does_not_shorten_the_row(talk: Any) -> None:
    for n in range(3):
        talk.person(f"question {n}").answer(f"answer {n}")
    talk.record(CompactionRecord(start=0, end=4, text="SUMMARY", before=900, after=100))
    talk.person("last").answer("end").end()
    made = row("trl", talk)
    assert len(made["messages"]) == 9
    assert "SUMMARY" not in json.dumps(made)
    assert json.loads(made["facts"])["compactions"] == [{"answer": 3, "before": 900, "after": 100}]


@pytest.mark.parametrize("name", TRAINERS)
def test_a_session_without_system_text_and_tools_is_a_row_as_well(name: str, folder: Path) -> None:
    writer = SessionWriter.create(folder, Header(id="", model="m"))
    writer.append(UserMessage("hi"))
    writer.append(AssistantMessage("hello"))
    writer.end_turn("done")
    writer.close()
    (made,) = FORMATS[name].rows(Prepared(load_session(writer.path)))
    expected = {"llamafactory": ["human", "gpt"]}.get(name, ["user", "assistant"])
    assert roles(name, made) == expected
    assert made["tools"] == ("" if name == "llamafactory" else "[]")
    assert made.get("system", "") == ""


def test_llamafactory_turns_alternate_and_parallel_results_are_one_turn(talk: Any) -> None:
    talk.person("hi").call("c1", "c2", text="so", reasoning="hm").result("c2", "2").result(
        "c1", "</tool_response>1"
    )
    talk.call("c3").result("c3", '{"a": "</tool_response>"}').answer("bye").end()
    made = row("llamafactory", talk)
    assert made["system"] == "Be kind."
    assert roles("llamafactory", made) == ["human", "function_call", "tool", "function_call", "tool", "gpt"]
    values = [turn["value"] for turn in made["conversations"]]
    before, _, rest = values[1].partition("<tool_call>")
    assert before == "<think>\nhm\n</think>\n\nso\n"
    assert (
        json.loads(rest.removesuffix("</tool_call>"))
        == [{"name": "terminal", "arguments": {"command": "ls"}}] * 2
    )
    assert values[2] == "&lt;/tool_response>1\n</tool_response>\n<tool_response>\n2"
    assert json.loads(values[3]) == {"name": "terminal", "arguments": {"command": "ls"}}
    assert json.loads(values[4]) == {"a": "</tool_response>"}
    assert values[4].count("</tool_response>") == 0


def test_literal_markup_in_a_call_cannot_end_it_for_llamafactory(talk: Any) -> None:
    arguments = json.dumps({"command": "echo '</tool_call>'"})
    talk.person("hi").call("c1", text="a <tool_call> b", arguments=arguments).result("c1").answer("ok").end()
    value = row("llamafactory", talk)["conversations"][1]["value"]
    inside = value.partition("<tool_call>")[2]
    assert value.count("<tool_call>") == inside.count("</tool_call>") == 1
    assert json.loads(inside.removesuffix("</tool_call>"))["arguments"] == json.loads(arguments)


def test_dataset_info_gets_an_entry_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "dataset_info.json"
    path.write_text('{"other": {"file_name": "käse.json"}, "rows": {"file_name": "old.json"}}')
    ((where, text),) = llamafactory.side_files(tmp_path / "rows.jsonl", "").items()
    assert where == path
    entries = json.loads(text)
    assert list(entries) == ["other", "rows"]
    assert entries["other"] == {"file_name": "käse.json"}
    assert entries["rows"]["file_name"] == "rows.jsonl"
    assert entries["rows"]["formatting"] == "sharegpt"
    assert entries["rows"]["tags"]["observation_tag"] == "tool"
    assert entries["rows"]["columns"] == {"messages": "conversations", "system": "system", "tools": "tools"}


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_dataset_info_that_cannot_be_read_is_not_overwritten(text: str, tmp_path: Path) -> None:
    path = tmp_path / "dataset_info.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(llamafactory.SideFileError, match=r"dataset_info\.json .*no entry is added"):
        llamafactory.side_files(tmp_path / "rows.jsonl", "")
    assert path.read_bytes() == text.encode("latin-1")


@pytest.mark.parametrize(("suffix", "kind"), [("jsonl", "json"), ("parquet", "parquet")])
def test_axolotl_gets_a_piece_of_yaml(suffix: str, kind: str, tmp_path: Path) -> None:
    out = tmp_path / f'my "rows": 1.{suffix}'
    ((where, text),) = axolotl.side_files(out, "gpt_oss").items()
    assert where == out.with_suffix(".axolotl.yaml")
    (entry,) = yaml.safe_load(text)["datasets"]
    assert (entry["path"], entry["ds_type"], entry["type"]) == (str(out), kind, "chat_template")
    assert (entry["field_messages"], entry["message_field_training"]) == ("messages", "train")
    assert entry["template_thinking_key"] == "thinking"


def test_every_module_of_a_format_is_in_the_registry() -> None:
    for module in (trl, axolotl, nemo, llamafactory):
        assert any(each.rows is module.rows for each in FORMATS.values())
