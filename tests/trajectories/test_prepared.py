"""What is done to a session before it is exported: secrets out, and a form that a family's template takes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conversation.message import AnswerTokens, Usage
from conversation.round import Round
from safety.redact import Redactor
from trajectories.openai_messages import openai_messages, openai_row
from trajectories.prepared import Prepared
from trajectories.preparing import prepare
from trajectories.session_record import ChangeRecord, TitleRecord
from trajectories.sharegpt import sharegpt_row
from trajectories.targets import TARGETS, UnknownTarget, find_target
from trajectories.validate import validate_row

SECRET = "sk-proj-" + "a1B2c3D4e5F6" * 4
TOKENS = AnswerTokens([1, 2], [3, 4], [-0.5, -0.25])


def shaped(talk: Any, family: str) -> Prepared:
    prepared = prepare(talk.load(), target=find_target(family))
    for row in (sharegpt_row(prepared), openai_row(prepared)):
        assert row is not None
        assert validate_row(row) == []
    return prepared


def calls_of(prepared: Prepared) -> list[list[str]]:
    return [
        [call["id"] for call in message.get("tool_calls", [])]
        for message in openai_messages(prepared)
        if message["role"] == "assistant"
    ]


def test_a_family_goes_by_several_names_and_an_unknown_one_is_answered_with_those_there_are() -> None:
    assert find_target("GPT-OSS").name == find_target("harmony").name == "gpt_oss"
    assert find_target("llama3.1") is find_target("llama3_json")
    names = [name for target in TARGETS for name in (target.name, *target.also)]
    assert len(names) == len(set(names))
    with pytest.raises(UnknownTarget, match=r"no model family 'parrot'.*hermes, qwen"):
        find_target("parrot")


@pytest.mark.parametrize("family", ["llama3", "gpt_oss"])
def test_parallel_calls_become_successive_answers_where_the_template_knows_no_other(
    family: str, talk: Any
) -> None:
    talk.person("go").call("c1", "c2", "c3", text="I look.", reasoning="hm", usage=Usage(7, 3), seconds=1.5)
    talk.result("c3", "3").result("c1", "1").result("c2", "2").answer("done").end()
    prepared = shaped(talk, family)
    assert calls_of(prepared) == [["c1"], ["c2"], ["c3"], []]
    rounds = prepared.session.history.rounds
    assert [round_.results[0].content for round_ in rounds[:3]] == ["1", "2", "3"]
    assert [round_.assistant.content for round_ in rounds[:3]] == ["I look.", "", ""]
    assert [bool(round_.assistant.usage) for round_ in rounds[:3]] == [True, False, False]
    row = sharegpt_row(prepared)
    assert row is not None
    assert [flag["turn"] for flag in row["flags"] if flag["flag"] == "split"] == [2, 4, 6]
    assert row["target"] == family


def test_parallel_calls_are_split_without_a_target_only_when_asked(talk: Any) -> None:
    talk.person("go").call("c1", "c2").result("c1").result("c2").answer("done").end()
    assert calls_of(prepare(talk.load())) == [["c1", "c2"], []]
    assert calls_of(prepare(talk.load(), split=True)) == [["c1"], ["c2"], []]
    assert calls_of(shaped(talk, "qwen")) == [["c1", "c2"], []]


def test_mistral_gets_ids_of_nine_letters_and_digits_that_never_change_and_never_repeat(talk: Any) -> None:
    ids = ["call_1", "abcdefghi", "call_2", "call_" + "x" * 40, "ü23456789"]
    talk.person("go").call(*ids[:3])
    for each in ids[:3]:
        talk.result(each)
    talk.call(*ids[3:]).result(ids[3]).result(ids[4]).answer("done").end()
    first, again = calls_of(shaped(talk, "mistral")), calls_of(shaped(talk, "mistral"))
    assert first == again
    given = [each for answer in first for each in answer]
    assert all(len(each) == 9 and each.isascii() and each.isalnum() for each in given)
    assert len(set(given)) == 5
    assert given[1] == "abcdefghi"
    messages = openai_messages(shaped(talk, "mistral"))
    assert [each["tool_call_id"] for each in messages if each["role"] == "tool"] == given


def test_kimi_gets_ids_with_the_name_and_the_number_of_the_call(talk: Any) -> None:
    talk.person("go").call("a", "b").result("a").result("b").call("c").result("c").answer("done").end()
    assert calls_of(shaped(talk, "kimi_k2")) == [
        ["functions.terminal:0", "functions.terminal:1"],
        ["functions.terminal:2"],
        [],
    ]


@pytest.mark.parametrize(
    ("family", "token", "plain"),
    [
        ("qwen", "<|im_end|>", "&lt;|im_end|>"),
        ("hermes", "</tool_response>", "&lt;/tool_response>"),
        ("qwen3_coder", "</parameter>", "&lt;/parameter>"),
        ("llama3", "<|eot_id|>", "&lt;|eot_id|>"),
        ("mistral", "[/INST]", "&#91;/INST]"),
        ("mistral", "</s>", "&lt;/s>"),
        ("gpt_oss", "<|channel|>", "&lt;|channel|>"),
        ("deepseek", "<｜tool▁calls▁begin｜>", "&lt;｜tool▁calls▁begin｜>"),
        ("glm", "[gMASK]", "&#91;gMASK]"),
        ("gemma", "<end_of_turn>", "&lt;end_of_turn>"),
        ("gemma", "<end_function_call>", "&lt;end_function_call>"),
        ("minimax_m2", "[e~[", "&#91;e~["),
        ("minimax_m2", '<invoke name="x">', '&lt;invoke name="x">'),
        ("mistral", "[IMG]", "&#91;IMG]"),
        ("deepseek", "</｜DSML｜invoke>", "&lt;/｜DSML｜invoke>"),
        ("kimi_k2", "<|tool_calls_section_begin|>", "&lt;|tool_calls_section_begin|>"),
    ],
)
def test_special_tokens_of_the_target_are_no_tokens_in_what_was_said_called_or_returned(
    family: str, token: str, plain: str, talk: Any
) -> None:
    arguments = json.dumps({"command": token, "more": [{"deep": token}, 5]})
    talk.person(f"why {token}?").call("c1", "c2", text=token, reasoning=token, arguments=arguments)
    talk.result("c1", f"plain {token}").result("c2", json.dumps({"output": token})).answer("bye").end()
    prepared = shaped(talk, family)
    messages = openai_messages(prepared)
    assert token not in json.dumps(messages, ensure_ascii=False)
    assert messages[1]["content"] == f"why {plain}?"
    call = next(message for message in messages if message.get("tool_calls"))
    assert (call["content"], call["reasoning_content"]) == (plain, plain)
    assert json.loads(call["tool_calls"][0]["function"]["arguments"]) == {
        "command": plain,
        "more": [{"deep": plain}, 5],
    }
    results = [message["content"] for message in messages if message["role"] == "tool"]
    assert results[0] == f"plain {plain}"
    assert json.loads(results[1]) == {"output": token}
    assert [sorted(marks - {"split"}) for marks in prepared.marks][:2] == [["escaped"], ["escaped"]]
    assert prepared.marks[-1] == set()


def test_tokens_of_other_families_and_plain_brackets_stay(talk: Any) -> None:
    text = "a[0] < b <| c [/INST] <b>x</b> List<T> </s>"
    talk.person(text).answer(text).end()
    assert [m["content"] for m in openai_messages(shaped(talk, "llama3"))[1:]] == [text, text]


def test_a_session_is_exported_without_target_as_it_was_said(talk: Any) -> None:
    talk.person("<|im_end|>").call("c1").result("c1", "<|im_end|>").answer("</think>").end()
    prepared = prepare(talk.load())
    assert openai_messages(prepared) == openai_messages(talk.load())
    assert "&lt;" not in json.dumps(openai_messages(prepared))


def test_secrets_are_taken_out_everywhere_and_counted_by_kind(talk: Any) -> None:
    talk.record(TitleRecord(title=f"key {SECRET}"))
    talk.record(ChangeRecord(what="system", system=f"Use {SECRET}."))
    talk.person(f"it is {SECRET}")
    talk.call("c1", text=SECRET, reasoning=SECRET, arguments=json.dumps({"command": f"echo {SECRET}"}))
    talk.result("c1", json.dumps({"output": SECRET})).answer(f"{SECRET}!").end(reason=SECRET)
    prepared = prepare(talk.load(), redactor=Redactor())
    for row in (sharegpt_row(prepared), openai_row(prepared)):
        assert row is not None
        assert SECRET not in json.dumps(row)
        assert validate_row(row) == []
        assert row["redactions"] == [{"kind": "api-key", "count": 9}]
    assert openai_messages(prepared)[1]["content"] == "it is [redacted:api-key]"
    assert all("redacted" in marks for marks in prepared.marks)


def test_a_known_secret_of_the_person_is_taken_out_too(talk: Any) -> None:
    talk.person("the word is open-sesame-77").answer("ok").end()
    prepared = prepare(talk.load(), redactor=Redactor(["open-sesame-77"]))
    assert "open-sesame" not in json.dumps(sharegpt_row(prepared))
    assert prepared.redactions == {"known-secret": 1}


def test_hashes_uuids_and_code_are_no_secrets(talk: Any) -> None:
    code = "commit 8f14e45fceea167a5a36dedd4bea2543bd1c3b7a\nid = '123e4567-e89b-12d3-a456-426614174000'\n"
    talk.person(code).call("c1", arguments=json.dumps({"command": code})).result("c1", code).answer(
        "ok"
    ).end()
    prepared = prepare(talk.load(), redactor=Redactor())
    assert openai_messages(prepared) == openai_messages(talk.load())
    assert prepared.redactions == {}


def test_token_ids_go_where_they_would_give_a_secret_away_or_no_longer_fit(talk: Any) -> None:
    talk.person("go").call("c1", "c2", tokens=TOKENS).result("c1").result("c2", f"x {SECRET}")
    talk.answer("bye", tokens=TOKENS).end()

    def kept(prepared: Prepared) -> list[bool]:
        return [bool(round_.assistant.tokens) for round_ in prepared.session.history.rounds]

    assert kept(prepare(talk.load())) == [True, True]
    assert kept(prepare(talk.load(), redactor=Redactor())) == [False, False]
    assert kept(prepare(talk.load(), split=True)) == [False, False, True]


def test_preparing_leaves_the_session_as_it_was(talk: Any) -> None:
    talk.person(f"{SECRET} <|im_end|>").call("c1", "c2").result("c1").result("c2").answer("ok").end()
    session = talk.load()
    before = openai_row(session)
    prepare(session, redactor=Redactor(), target=find_target("llama3"))
    assert openai_row(session) == before
    assert all(isinstance(entry, Round) or SECRET in entry.text for entry in session.history.entries)
