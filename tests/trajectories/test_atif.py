"""The ATIF document: exactly the keys its readers know, and nothing of the session lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conversation.message import AnswerTokens, AssistantMessage, ToolCall, ToolResult, Usage
from safety.redact import Redactor
from trajectories.formats import atif
from trajectories.prepared import Prepared
from trajectories.preparing import prepare
from trajectories.session_file import SessionWriter, fork
from trajectories.session_load import load_session
from trajectories.session_record import CompactionRecord, GitRecord, Header, RollbackRecord
from trajectories.targets import find_target

# The keys each object may have, from the schema of ATIF 1.7; those with a star have to be there.
KEYS = {
    "document": "schema_version* session_id trajectory_id agent* steps* notes final_metrics extra",
    "agent": "name* version* model_name tool_definitions extra",
    "step": "step_id* timestamp source* model_name reasoning_effort message* reasoning_content tool_calls "
    "observation metrics is_copied_context llm_call_count extra",
    "call": "tool_call_id* function_name* arguments* extra",
    "result": "source_call_id content extra",
    "metrics": "prompt_tokens completion_tokens cached_tokens cost_usd prompt_token_ids "
    "completion_token_ids logprobs extra",
    "final": "total_prompt_tokens total_completion_tokens total_cached_tokens total_cost_usd total_steps "
    "extra",
    "part": "type* text source",
    "image": "media_type* path*",
}


def check(kind: str, value: dict[str, Any]) -> dict[str, Any]:
    names = KEYS[kind].split()
    assert {name.strip("*") for name in names} >= set(value), (kind, value)
    assert {name.strip("*") for name in names if name.endswith("*")} <= set(value), (kind, value)
    assert None not in value.values()
    return value


def document(source: Any) -> dict[str, Any]:
    prepared = source if isinstance(source, Prepared) else Prepared(source.load())
    (made,) = atif.rows(prepared)
    check("document", made)
    check("agent", made["agent"])
    check("final", made["final_metrics"])
    assert [step["step_id"] for step in made["steps"]] == list(range(1, len(made["steps"]) + 1))
    for step in made["steps"]:
        check_step(step)
    json.dumps(made, allow_nan=False)
    return made


def check_step(step: dict[str, Any]) -> None:
    check("step", step)
    ids = [check("call", call)["tool_call_id"] for call in step.get("tool_calls", [])]
    assert all(isinstance(call["arguments"], dict) for call in step.get("tool_calls", []))
    results = step.get("observation", {"results": []})["results"]
    assert [check("result", result)["source_call_id"] for result in results] == ids
    if step["source"] != "agent":
        agents_only = {"model_name", "reasoning_effort", "reasoning_content", "tool_calls", "metrics"}
        assert not agents_only & set(step)
    check("metrics", step.get("metrics", {}))
    if isinstance(step["message"], list):
        for part in step["message"]:
            check("part", part)
            check("image", part.get("source", {"media_type": "", "path": ""}))


def test_each_answer_is_a_step_with_its_calls_their_results_and_what_it_cost(talk: Any) -> None:
    tokens = AnswerTokens([1, 2], [3], [-0.5])
    talk.person("hi")
    talk.call(
        "c1",
        "c2",
        text="so",
        reasoning="hm",
        model="big-model",
        finish_reason="tool_calls",
        usage=Usage(10, 5, 3, 2, 0.25),
        seconds=1.5,
        tokens=tokens,
    )
    talk.result("c2", "no", "denied").result("c1", "yes").answer("bye").end()
    steps = document(talk)["steps"]
    assert [step["source"] for step in steps] == ["system", "user", "agent", "agent"]
    step = steps[2]
    assert (step["message"], step["reasoning_content"], step["model_name"]) == ("so", "hm", "big-model")
    assert step["tool_calls"][0] == {
        "tool_call_id": "c1",
        "function_name": "terminal",
        "arguments": {"command": "ls"},
    }
    assert [result["content"] for result in step["observation"]["results"]] == ["yes", "no"]
    assert step["observation"]["results"][1]["extra"] == {"status": "denied", "seconds": 0.25}
    assert step["metrics"] == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "cached_tokens": 3,
        "cost_usd": 0.25,
        "prompt_token_ids": [1, 2],
        "completion_token_ids": [3],
        "logprobs": [-0.5],
        "extra": {"reasoning_tokens": 2, "seconds": 1.5, "finish_reason": "tool_calls"},
    }
    assert step["llm_call_count"] == 1
    assert steps[3].get("metrics") is None


def test_the_document_says_where_how_and_how_well_it_went(folder: Any) -> None:
    writer = SessionWriter.create(
        folder,
        Header(
            id="",
            model="m",
            cwd="/work",
            sandbox="docker:debian",
            hermes_version="1.2",
            sampling={"temperature": 0.5, "reasoning_effort": "high"},
        ),
    )
    from conversation.message import UserMessage

    writer.append(GitRecord(commit="abc", dirty=True))
    writer.append(UserMessage("hi"))
    writer.append(AssistantMessage("", (ToolCall("c", "rm", "{}"),)))
    writer.append(ToolResult("c", "rm", "gone", approval="once"))
    writer.append(AssistantMessage("ok"))
    writer.end_turn("limit", reason="too long", usage=Usage(4, 2), requests=2, seconds=3.0)
    writer.close()
    made = document(Prepared(load_session(writer.path)))
    assert made["schema_version"] == "ATIF-v1.7"
    assert made["session_id"] == made["trajectory_id"] == writer.path.stem
    assert made["agent"]["extra"]["sampling"] == {"temperature": 0.5, "reasoning_effort": "high"}
    assert made["agent"]["version"] == "1.2"
    extra = made["extra"]
    assert (extra["outcome"], extra["reason"], extra["cwd"]) == ("limit", "too long", "/work")
    assert (extra["git"], extra["sandbox"]) == ({"commit": "abc", "dirty": True}, "docker:debian")
    assert made["steps"][1]["reasoning_effort"] == "high"
    assert made["steps"][1]["observation"]["results"][0]["extra"]["approval"] == "once"
    assert made["final_metrics"]["total_prompt_tokens"] == 4
    assert made["final_metrics"]["extra"]["requests"] == 2


def test_what_the_loop_said_and_what_it_answered_are_steps_with_flags(talk: Any) -> None:
    talk.person("hi").answer("?", flawed="nonsense").notice("again")
    talk.call("c1", interrupted=True).result("c1", "", "interrupted").answer("so far", interrupted=True).end()
    steps = document(talk)["steps"][2:]
    assert [(step["source"], step.get("extra", {}).get("flags")) for step in steps] == [
        ("agent", ["flawed"]),
        ("user", ["injected"]),
        ("agent", ["interrupted"]),
        ("agent", ["interrupted"]),
    ]
    assert steps[0]["extra"]["flawed"] == "nonsense"
    assert steps[2]["observation"]["results"][0]["content"] == ""


def test_a_compaction_is_a_step_of_copied_context_that_names_the_steps_it_hides(talk: Any) -> None:
    for n in range(3):
        talk.person(f"question {n}").answer(f"answer {n}")
    talk.record(CompactionRecord(start=0, end=4, text="In short.", before=900, after=100))
    talk.person("last").answer("end").end()
    steps = document(talk)["steps"]
    summary = steps[7]
    assert summary["message"] == "In short."
    assert summary["is_copied_context"] is True
    assert summary["extra"] == {
        "flags": ["injected"],
        "compaction": {"before_tokens": 900, "after_tokens": 100, "first_step": 2, "last_step": 5},
    }
    assert [step["message"] for step in steps[8:]] == ["last", "end"]
    assert [step.get("is_copied_context") for step in steps if step is not summary] == [None] * 9


def test_a_compaction_hides_all_parts_of_an_answer_that_was_split(talk: Any) -> None:
    talk.person("one").call("c1", "c2", "c3").result("c1").result("c2").result("c3")
    talk.record(CompactionRecord(start=0, end=2, text="In short.")).answer("end").end()
    (row,) = atif.rows(prepare(talk.load(), split=True))
    (summary,) = (step for step in row["steps"] if step["message"] == "In short.")
    facts = summary["extra"]["compaction"]
    assert (facts["first_step"], facts["last_step"]) == (2, 5)


def test_a_compaction_that_was_rolled_back_is_no_step(talk: Any) -> None:
    for n in range(3):
        talk.person(f"question {n}").answer(f"answer {n}")
    talk.record(CompactionRecord(start=0, end=4, text="In short.")).record(RollbackRecord(keep=2))
    talk.person("other").answer("end").end()
    assert [step["message"] for step in document(talk)["steps"][1:]] == [
        "question 0",
        "answer 0",
        "other",
        "end",
    ]


def test_what_a_fork_took_over_is_copied_context(talk: Any) -> None:
    talk.person("one").call("c1").result("c1").answer("two").end()
    copy = fork(talk.path)
    from conversation.message import UserMessage

    writer, _ = SessionWriter.open(copy)
    writer.append(UserMessage("three"))
    writer.append(AssistantMessage("four"))
    writer.end_turn("done")
    writer.close()
    made = document(Prepared(load_session(copy)))
    assert [step.get("is_copied_context", False) for step in made["steps"]] == [
        False,
        True,
        True,
        True,
        False,
        False,
    ]
    assert made["extra"]["parent"] == talk.path.stem


def test_images_are_parts_and_other_parts_are_named(talk: Any) -> None:
    talk.person(
        [
            {"type": "text", "text": "see"},
            {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.webp?x=1"}},
            {"type": "file", "file": {}},
        ]
    ).answer("nice").end()
    assert document(talk)["steps"][1]["message"] == [
        {"type": "text", "text": "see"},
        {"type": "image", "source": {"media_type": "image/jpeg", "path": "data:image/jpeg;base64,AAAA"}},
        {"type": "image", "source": {"media_type": "image/webp", "path": "https://example.org/a.webp?x=1"}},
        {"type": "text", "text": "[file]"},
    ]


def test_an_unanswered_person_and_an_open_call_are_there_too(talk: Any) -> None:
    talk.person("hi").call("c1").person("hello?")
    steps = document(talk)["steps"]
    assert [step["source"] for step in steps] == ["system", "user", "agent", "user"]
    assert steps[2]["observation"]["results"][0]["extra"]["status"] == "unknown"


def test_a_session_in_which_nothing_was_said_has_no_document(talk: Any) -> None:
    talk.person("hi").record(RollbackRecord(keep=0))
    assert atif.rows(Prepared(talk.load())) == []


@pytest.mark.parametrize("family", ["llama3", "mistral", "kimi_k2"])
def test_a_document_for_a_family_is_one_as_well(family: str, talk: Any) -> None:
    talk.person("hi").call("c1", "c2", usage=Usage(3, 4)).result("c1").result("c2").answer("bye").end()
    made = document(prepare(talk.load(), target=find_target(family), redactor=Redactor()))
    assert made["extra"]["target"] == family
    assert sum(step.get("llm_call_count", 0) for step in made["steps"]) == 2
