"""Earlier sessions are found by what was said in them, whatever words are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from conversation.message import ToolResult, UserMessage
from tests.trajectories.conftest import Talk
from trajectories.session_file import SessionWriter
from trajectories.session_record import Header, RollbackRecord, Spawner, SupersededRecord, TitleRecord
from trajectories.session_search import Found, search_sessions
from trajectories.session_text import HIT, HIT_END, words_of

NewTalk = Callable[[], Talk]


@pytest.fixture
def logs(folder: Path) -> Path:
    return folder.parent


def found(logs: Path, question: str, **more: int) -> list[str]:
    return [each.id for each in search_sessions(logs, question, more.get("limit", 5)).sessions]


def said(logs: Path, question: str) -> str:
    sessions = search_sessions(logs, question, 1).sessions
    return sessions[0].passages[0].text if sessions and sessions[0].passages else ""


def test_a_session_is_found_by_what_person_model_and_tools_said(talk: Talk, logs: Path) -> None:
    talk.person("How do I water the ferns?").call("c1", arguments='{"command": "grep moisture"}')
    talk.result("c1", '{"output": "first\\nsecond humidity"}').answer("Twice a week, with rainwater.").end()
    for word in ("ferns", "rainwater", "moisture", "humidity", "second"):
        assert found(logs, word) == [talk.path.stem], word
    assert found(logs, "cactus") == []


def test_a_hit_tells_where_when_and_what_with_the_words_around_it(talk: Talk, logs: Path) -> None:
    talk.person("Which fern\nlikes shade?").answer("The lady fern does.").end()
    (session,) = search_sessions(logs, "shade", 5).sessions
    assert (session.id, session.title, session.cwd) == (talk.path.stem, "Which fern likes shade?", "/work")
    assert session.started == talk.writer.header.started
    (passage,) = session.passages
    assert (passage.speaker, passage.text) == ("person", f"Which fern likes {HIT}shade{HIT_END}?")
    assert passage.plain == "Which fern likes shade?"


def test_a_session_is_found_by_the_title_a_person_gave_it(talk: Talk, logs: Path) -> None:
    talk.person("hello").answer("hello").end()
    assert found(logs, "gardening") == []
    talk.record(TitleRecord(title="Gardening plans"))
    (session,) = search_sessions(logs, "gardening", 5).sessions
    assert session.title == "Gardening plans"
    assert session.passages == []


def test_what_was_rolled_back_or_superseded_is_not_found(talk: Talk, logs: Path) -> None:
    talk.person("keep the apples").answer("apples kept").end()
    talk.person("about pears").record(SupersededRecord(text="plums were shown")).answer("pears, then")
    assert found(logs, "pears") == [talk.path.stem]
    talk.record(RollbackRecord(keep=2)).person("about cherries").answer("cherries").end()
    assert found(logs, "pears") == found(logs, "plums") == []
    assert found(logs, "cherries") == found(logs, "apples") == [talk.path.stem]


def test_a_first_message_that_was_taken_back_gives_no_title(talk: Talk, logs: Path) -> None:
    talk.person("pears").record(RollbackRecord(keep=0)).person("apples").answer("yes")
    assert found(logs, "pears") == []
    (session,) = search_sessions(logs, "apples", 5).sessions
    assert session.title == "apples"


def test_sessions_with_all_the_words_come_before_those_with_some(new_talk: NewTalk, logs: Path) -> None:
    both = new_talk().person("the nginx proxy on the staging host").answer("ok")
    one = new_talk().person("nginx nginx nginx").answer("ok")
    other = new_talk().person("the staging area").answer("ok")
    ranked = found(logs, "nginx staging")
    assert ranked[0] == both.path.stem
    assert set(ranked[1:]) == {one.path.stem, other.path.stem}


def test_what_a_person_said_weighs_more_than_what_a_tool_printed(new_talk: NewTalk, logs: Path) -> None:
    printed = new_talk().person("list").call("c1").result("c1", '{"output": "kubernetes"}').answer("done")
    asked = new_talk().person("kubernetes").answer("yes")
    assert found(logs, "kubernetes") == [asked.path.stem, printed.path.stem]


def test_words_in_quotes_are_a_phrase(new_talk: NewTalk, logs: Path) -> None:
    phrase = new_talk().person("the red door is open").answer("ok")
    new_talk().person("the door is red").answer("ok")
    assert found(logs, '"red door"') == [phrase.path.stem]


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("Müller fährt nach Köln", "muller koln"),
        ("naïve café", "naive CAFÉ"),
        ("deploying the services", "deploy service"),
        ("session_index.py is slow", "session_index.py"),
        ("ﬁle with a ligature", "file"),
        ("ＦＵＬＬ width", "full"),
        ("昨日は東京で会議がありました", "会議"),
        ("昨日は東京で会議がありました", "東京 会議"),
        ("カメラのレンズを買う", "レンズ"),
        ("半角ｶﾒﾗ", "カメラ"),
        ("我们昨天讨论了数据库的备份问题", "数据库"),
        ("我们昨天讨论了数据库的备份问题", "备份"),
        ("我们昨天讨论了数据库的备份问题", "库"),
        ("회의록을 정리했습니다", "회의록"),
        ("เราคุยเรื่องฐานข้อมูล", "ฐานข้อมูล"),
        ("вчера говорили о базе", "БАЗЕ"),
    ],
)
def test_words_are_found_in_every_script_and_spelling(
    text: str, question: str, talk: Talk, logs: Path
) -> None:
    talk.person(text).answer("ok")
    assert found(logs, question) == [talk.path.stem]


def test_chinese_characters_that_do_not_stand_in_a_row_are_no_word(talk: Talk, logs: Path) -> None:
    talk.person("数学和根据仓库").answer("好")
    assert found(logs, "数据库") == []


def test_what_is_shown_of_japanese_holds_no_mark(talk: Talk, logs: Path) -> None:
    talk.person("昨日は東京で会議がありました").answer("はい")
    assert said(logs, "会議").replace(HIT, "").replace(HIT_END, "") == "昨日は東京で会議がありました"


def test_without_words_the_sessions_used_last_are_named(new_talk: NewTalk, logs: Path) -> None:
    paths = [new_talk().person(f"talk {n}").answer("ok").path for n in range(4)]
    assert found(logs, "", limit=2) == [paths[3].stem, paths[2].stem]
    assert found(logs, "?! -- *", limit=1) == [paths[3].stem]


def test_a_session_can_be_left_out(new_talk: NewTalk, logs: Path) -> None:
    first, second = (new_talk().person("apples").answer("ok") for _ in range(2))
    assert set(found(logs, "apples")) == {first.path.stem, second.path.stem}
    for question in ("apples", ""):
        left = search_sessions(logs, question, 5, without=second.path.stem)
        assert [each.id for each in left.sessions] == [first.path.stem]


def test_with_a_session_its_helpers_are_left_out_and_with_a_helper_whom_it_helps(
    folder: Path, logs: Path
) -> None:
    def save(word: str, spawner: str = "") -> str:
        spawned = Spawner(spawner, "c1") if spawner else None
        writer = SessionWriter.create(folder, Header(id="", spawned_by=spawned), sync=False)
        writer.append(UserMessage(word))
        writer.close()
        return writer.header.id

    other, main = save("apples"), save("apples")
    one, two = save("apples", main), save("apples", main)
    assert set(found(logs, "apples")) == {other, main, one, two}
    assert found(logs, "") == [main, other]
    for each in (main, one, two):
        for question in ("apples", ""):
            assert [hit.id for hit in search_sessions(logs, question, 5, without=each).sessions] == [other]


def test_what_a_search_of_old_told_is_not_found_again(new_talk: NewTalk, logs: Path) -> None:
    first = new_talk().person("zucchini").answer("ok")
    second = new_talk().person("look").record(ToolResult("c", "session_search", '{"sessions": "zucchini"}'))
    second.answer("found")
    assert found(logs, "zucchini") == [first.path.stem]


def test_a_passage_is_short_also_where_a_word_is_a_whole_file(talk: Talk, logs: Path) -> None:
    talk.person("A" * 15_000 + " needle " + "B" * 3_000).answer("ok")
    text = said(logs, "needle")
    assert "needle" in text
    assert len(text) < 450
    assert len(json.dumps(search_sessions(logs, "needle", 5).sessions)) < 2_000


def test_the_end_of_a_long_result_can_be_found_and_its_middle_costs_nothing(talk: Talk, logs: Path) -> None:
    body = "headword " + "x " * 5_000 + "middleword " + "y " * 5_000 + "tailword"
    talk.person("go").call("c1").result("c1", json.dumps({"output": body})).answer("ok")
    assert found(logs, "headword") == found(logs, "tailword") == [talk.path.stem]
    assert found(logs, "middleword") == []


OPERATORS = [
    'a"b',
    "a*",
    "NEAR(a b)",
    "a AND",
    "OR",
    "^x",
    "text:a",
    "-a",
    "(",
    '""',
    "{a b}:c",
    "a+b",
    "\0",
    "'",
]


@pytest.mark.parametrize("question", OPERATORS)
def test_what_fts5_would_obey_is_only_a_word(question: str, talk: Talk, logs: Path) -> None:
    talk.person("text a b").answer("ok")
    search_sessions(logs, question, 5)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.text(max_size=60) | some.lists(some.sampled_from([*OPERATORS, "tea", "茶"])).map(" ".join))
def test_no_question_raises(folder: Path, question: str) -> None:
    if not folder.exists():
        Talk(folder).person("a cup of tea 茶").answer("here")
    result = search_sessions(folder.parent, question, 3)
    assert isinstance(result, Found)
    if question.strip() == "tea":
        assert result.sessions


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.text(max_size=400))
def test_what_was_said_is_found_by_its_own_first_word(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    words = [each for each in text.split() if each.isascii() and each.isalnum()][:1]
    if not words or len(words[0]) > 100:
        return
    logs = tmp_path_factory.mktemp("logs")
    talk = Talk(logs / "sessions").person(text).answer("ok")
    talk.writer.close()
    if words[0] not in ("AND", "OR", "NOT", "NEAR"):
        assert found(logs, words[0]) == [talk.path.stem]


def test_a_very_long_question_is_cut(talk: Talk, logs: Path) -> None:
    talk.person("apples").answer("ok")
    assert found(logs, "apples " + "pears " * 100_000) == [talk.path.stem]
    assert len(words_of(" ".join(f"w{n}" for n in range(100)))) == 12


def test_a_call_is_found_by_its_arguments(talk: Talk, logs: Path) -> None:
    talk.person("convert").call("c1", arguments='{"command": "ffmpeg -i in.mov\\nout.webm"}').result("c1")
    assert found(logs, "ffmpeg") == found(logs, "out.webm") == [talk.path.stem]
