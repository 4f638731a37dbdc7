"""Which layer gives a setting, and what is said when one cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from settings import LoadedSettings, Settings, SettingsError, load_settings, project_file


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


class Person:
    """Someone with a home and a project folder."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.project = folder / "project"
        self.project.mkdir(parents=True)

    def has(self, text: str) -> Path:
        return write(self.home / "config.yaml", text)

    def project_has(self, text: str) -> Path:
        return write(project_file(self.project), text)

    def load(
        self, trusted: bool = True, flags: dict[str, Any] | None = None, **environ: str
    ) -> LoadedSettings:
        return load_settings(
            flags=flags or {},
            cwd=self.project,
            project_trusted=trusted,
            environ={"HERMES_HOME": str(self.home), **environ},
        )

    def problems(self, **environ: Any) -> list[str]:
        with pytest.raises(SettingsError) as caught:
            self.load(**environ)
        return caught.value.problems


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


def test_without_any_file_the_defaults_hold(person: Person) -> None:
    loaded = person.load()
    assert loaded.settings == Settings()
    assert loaded.files == []
    assert loaded.origin("agent.max_turns") == "built-in"


def test_each_layer_beats_the_one_below_and_is_named_as_the_origin(person: Person) -> None:
    home = person.has("# mine\nagent:\n  max_turns: 10\n")
    assert person.load().settings.agent.max_turns == 10
    assert person.load().origin("agent.max_turns") == f"{home}:3"
    project = person.project_has("agent:\n  max_turns: 20\n")
    assert person.load().settings.agent.max_turns == 20
    assert person.load().origin("agent.max_turns") == f"{project}:2"
    assert person.load().files == [home, project]
    by_variable = person.load(HERMES_MAX_ITERATIONS="30")
    assert by_variable.settings.agent.max_turns == 30
    assert by_variable.origin("agent.max_turns") == "environment variable HERMES_MAX_ITERATIONS"
    by_flag = person.load(flags={"agent.max_turns": 40}, HERMES_MAX_ITERATIONS="30")
    assert by_flag.settings.agent.max_turns == 40
    assert by_flag.origin("agent.max_turns") == "flag"
    assert [value for _, value in by_flag.given("agent.max_turns")] == [10, 20, 30, 40]


def test_a_layer_changes_only_the_keys_it_has(person: Person) -> None:
    person.has("model:\n  name: a\n  temperature: 0.5\n")
    person.project_has("model:\n  name: b\n")
    assert person.load().settings.model.name == "b"
    assert person.load().settings.model.temperature == 0.5


def test_the_project_file_is_not_even_read_in_a_folder_that_is_not_trusted(person: Person) -> None:
    person.project_has("this: [is broken")
    loaded = person.load(trusted=False)
    assert loaded.settings == Settings()
    assert loaded.files == []


def test_a_home_that_is_also_the_project_is_read_once(tmp_path: Path) -> None:
    home = write(tmp_path / ".hermes" / "config.yaml", "model: {name: a}\n")
    environ = {"HOME": str(tmp_path)}
    loaded = load_settings(cwd=tmp_path, project_trusted=True, environ=environ)
    assert loaded.files == [home]


def test_lists_are_replaced_and_tables_are_merged_by_name(person: Person) -> None:
    person.has("tools: {enabled: [a, b]}\npersonalities: {x: one, y: two}\nproviders: {p: {base_url: u}}\n")
    person.project_has("tools: {enabled: [c]}\npersonalities: {y: three}\nproviders: {q: {key_env: K}}\n")
    settings = person.load().settings
    assert settings.tools.enabled == ["c"]
    assert settings.personalities == {"x": "one", "y": "three"}
    assert settings.providers["p"].base_url == "u"
    assert settings.providers["q"].key_env == "K"


def test_the_hooks_of_a_folder_come_on_top_of_the_persons(person: Person) -> None:
    person.has("hooks:\n  - {event: before_tool, command: guard, required: true}\n")
    person.project_has("hooks:\n  - {event: after_tool, command: format}\n")
    assert [hook.command for hook in person.load().settings.hooks] == ["guard", "format"]
    assert [hook.command for hook in person.load(trusted=False).settings.hooks] == ["guard"]


@pytest.mark.parametrize(
    ("entry", "line", "problem"),
    [
        ("{event: befor_tool, command: x}", 2, "hooks.0.event must be one of before_tool, after_tool,"),
        (
            "event: after_tool\n    comand: x",
            3,
            "hooks.0 has no place for comand; there are: event, command,",
        ),
        ("event: after_tool", 2, "hooks.0 has no command: text (not empty)"),
        (
            "event: after_tool\n    command: ''",
            3,
            "hooks.0.command must be text (not empty), found the text ''",
        ),
        (
            "event: after_tool\n    command: x\n    timeout: 0",
            4,
            "hooks.0.timeout must be a number (above 0)",
        ),
        ("guard.sh", 2, "hooks.0 must be a mapping with event, command, tools, timeout, required, found"),
    ],
)
def test_what_is_wrong_in_an_entry_of_a_list_is_told_with_its_line(
    person: Person, entry: str, line: int, problem: str
) -> None:
    path = person.has(f"hooks:\n  - {entry}\n")
    assert any(each.startswith(f"{path}:{line}: {problem}") for each in person.problems())


def test_a_section_or_table_without_a_value_is_empty(person: Person) -> None:
    person.has("model:\n  # name: x\nproviders:\ntools:\n  custom:\n")
    assert person.load().settings == Settings()


def test_nothing_is_a_value_where_nothing_is_allowed(person: Person) -> None:
    person.has("model: {temperature: 0.5}\n")
    person.project_has("model: {temperature: null}\n")
    assert person.load().settings.model.temperature is None


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("HERMES_MODEL", "some/model", "model.name", "some/model"),
        ("HERMES_MODEL", "123", "model.name", "123"),
        ("OPENAI_BASE_URL", "http://x/v1", "model.base_url", "http://x/v1"),
        ("TERMINAL_ENV", "local", "terminal.backend", "local"),
        ("TERMINAL_TIMEOUT", "7.5", "terminal.timeout", 7.5),
        ("TERMINAL_CWD", "/srv", "terminal.cwd", "/srv"),
        ("HERMES_MAX_ITERATIONS", "3", "agent.max_turns", 3),
        ("HERMES_AGENT_MAX_TURNS", "4", "agent.max_turns", 4),
        ("HERMES_MODEL_TEMPERATURE", "1", "model.temperature", 1.0),
        ("HERMES_MODEL_TEMPERATURE", "null", "model.temperature", None),
        ("HERMES_DISPLAY_BELL", "yes", "display.bell", True),
        ("HERMES_SSH_PORT", "2222", "ssh.port", 2222),
        ("HERMES_DOCKER_CPUS", "1.5", "docker.cpus", 1.5),
        ("TERMINAL_SSH_PORT", "null", "ssh.port", None),
        ("HERMES_TOOLS_ENABLED", "web, files", "tools.enabled", ["web", "files"]),
        ("HERMES_MODEL_EXTRA_BODY", '{"a": [1]}', "model.extra_body", {"a": [1]}),
    ],
)
def test_a_variable_is_read_as_the_type_of_its_setting(
    person: Person, variable: str, text: str, key: str, value: object
) -> None:
    given: dict[str, Any] = {variable: text}
    loaded = person.load(**given)
    section, _, name = key.partition(".")
    assert getattr(getattr(loaded.settings, section), name) == value
    assert loaded.origin(key) == f"environment variable {variable}"


def test_the_general_variable_beats_the_one_with_a_name_of_its_own(person: Person) -> None:
    loaded = person.load(HERMES_MAX_ITERATIONS="3", HERMES_AGENT_MAX_TURNS="4")
    assert loaded.settings.agent.max_turns == 4


def test_an_empty_variable_counts_as_unset(person: Person) -> None:
    person.has("model: {name: mine}\n")
    assert person.load(HERMES_MODEL="", HERMES_AGENT_MAX_TURNS="").settings.model.name == "mine"


def test_a_flag_that_was_not_given_changes_nothing(person: Person) -> None:
    person.has("model: {name: mine}\n")
    assert person.load(flags={"model.name": None}).settings.model.name == "mine"


def test_a_flag_given_as_text_is_read_as_the_type_wants(person: Person) -> None:
    loaded = person.load(flags={"tools.enabled": "a,b", "agent.max_cost": "1.5"})
    assert loaded.settings.tools.enabled == ["a", "b"]
    assert loaded.settings.agent.max_cost == 1.5


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("agent:\n  max_turn: 5\n", 2, ["unknown setting agent.max_turn", "agent.max_turns"]),
        ("modle: {}\n", 1, ["unknown setting modle", "nearest is model"]),
        ("\nmax_turns: 3\n", 2, ["unknown setting max_turns", "agent.max_turns"]),
        ("providers:\n  p:\n    base: x\n", 3, ["providers.p.base", "nearest is providers.p.base_url"]),
        ("model:\n  name: 5\n", 2, ["model.name must be text", "the number 5", "quotes"]),
        ("model:\n  cache_markers: on\n", 2, ["one of auto, on, off", "found true", "quotes"]),
        ("agent:\n  max_turns: many\n", 2, ["a whole number (at least 1)", "the text 'many'"]),
        ("agent:\n  max_turns: 0\n", 2, ["at least 1", "the number 0"]),
        ("agent:\n  max_turns: 1.5\n", 2, ["a whole number", "the number 1.5"]),
        ("agent:\n  max_turns: true\n", 2, ["a whole number", "found true"]),
        ("agent:\n  max_turns:\n", 2, ["a whole number", "found nothing"]),
        ("agent:\n  compact_at: 2\n", 2, ["above 0 and at most 1", "the number 2"]),
        ("model:\n  stop: [a, 1]\n", 2, ["a list of texts", "the number 1 in the list"]),
        ("model:\n  stop: a\n", 2, ["a list of texts", "the text 'a'"]),
        ("model: gpt\n", 1, ["model must be a section", "the text 'gpt'"]),
        ("providers:\n  p: 5\n", 2, ["providers.p must be a section", "the number 5"]),
        ("personalities:\n  a: [1]\n", 2, ["personalities.a must be text", "a list"]),
        ("display:\n  reasoning: foldd\n", 2, ["one of fold, show, hide", "'foldd'"]),
        ("terminal:\n  backend: nowhere\n", 2, ["terminal.backend must be", "'nowhere'"]),
    ],
)
def test_a_wrong_file_is_refused_with_file_line_and_what_was_expected(
    person: Person, text: str, line: int, words: list[str]
) -> None:
    path = person.has(text)
    (problem,) = person.problems()
    assert problem.startswith(f"{path}:{line}: ")
    for word in words:
        assert word in problem


def test_all_problems_of_all_layers_are_told_at_once(person: Person) -> None:
    person.has("agent: {max_turn: 1}\nmodel: {seed: x}\n")
    person.project_has("gate: {mode: maybe}\n")
    problems = person.problems(HERMES_DISPLAY_BELL="perhaps")
    assert len(problems) == 4
    assert problems[3].startswith(
        "environment variable HERMES_DISPLAY_BELL: display.bell must be true or false"
    )


def test_a_wrong_value_is_told_even_where_a_stronger_layer_hides_it(person: Person) -> None:
    person.has("agent: {max_turns: many}\n")
    assert "many" in person.problems(HERMES_MAX_ITERATIONS="5")[0]


def test_more_problems_than_a_screen_holds_are_counted(person: Person) -> None:
    person.has("".join(f"unknown{number}: 1\n" for number in range(40)))
    problems = person.problems()
    assert len(problems) == 13
    assert problems[-1] == "… and 28 more"


def test_a_misspelt_variable_is_refused_with_the_nearest_setting(person: Person) -> None:
    (problem,) = person.problems(HERMES_AGENT_MAX_TURN="5")
    assert "environment variable HERMES_AGENT_MAX_TURN: unknown setting agent.max_turn;" in problem
    assert problem.endswith("agent.max_turns")


def test_a_number_that_is_none_is_refused(person: Person) -> None:
    assert "must be a number" in person.problems(HERMES_AGENT_MAX_COST="nan")[0]


def test_variables_that_are_no_settings_are_left_alone(person: Person) -> None:
    assert person.load(HERMES_LOGS="/x", HERMES_DEBUG="1", HERMES_THING_ELSE="2").settings == Settings()
