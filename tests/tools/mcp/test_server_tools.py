"""Servers in the settings as toolsets: what a person approved is there, and nothing is started for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from batches.planning import PlanError, Wishes, first_plan
from configuration.home import hermes_home
from configuration.tool_settings import McpServerSettings
from model_tools import handle_function_call, select_tools
from safety.gate import Gate, Mode
from sandboxes.local import LocalSandbox
from settings import GateSettings, LoadedSettings, Settings, ToolsetSettings, ToolsSettings
from tests.tools.mcp.counter import Counter, gone, run, unruly
from tools.catalog import UnknownToolError, load_tool, own_toolsets
from tools.mcp.approval import Approval, approve, fingerprint
from tools.mcp.definition import read_definition
from tools.runtime import ToolRuntime
from tools.surroundings import Surroundings
from tools.terminal_tool import cleanup_vm
from toolsets import ToolsetError

pytest.importorskip("mcp_types", reason="the MCP SDK is not installed")


def approved(name: str, server: McpServerSettings, *tools: str) -> Path:
    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    said = [{"name": tool, "description": f"Does {tool}.", "inputSchema": schema} for tool in tools]
    definitions = [read_definition(each) for each in said]
    return approve(name, Approval(fingerprint(server), "test 1", definitions), hermes_home())


def around(servers: dict[str, McpServerSettings], *, impersonal: bool = False, **tools: Any) -> Surroundings:
    settings = Settings(mcp=servers, tools=ToolsSettings(**tools))
    return Surroundings(settings, impersonal=impersonal, secrets={"GOOD_KEY": "x"})


def names(found: tuple[list[Any], Any]) -> set[str]:
    return {tool.name for tool in found[0] if tool.name.startswith("mcp_")}


def reasons(found: tuple[Any, list[tuple[str, str]]]) -> dict[str, str]:
    return {name: reason for name, reason in found[1] if name.startswith("mcp")}


def test_approved_servers_are_on_with_the_default_toolset() -> None:
    server = unruly()
    path = approved("files", server, "read", "write")
    assert path.stat().st_mode & 0o777 == 0o600
    place = around({"files": server})
    found = select_tools(["default"], [], place)
    assert names(found) == {"mcp_files_read", "mcp_files_write"}
    assert names(select_tools(["file"], [], place)) == set()
    assert names(select_tools(["file", "mcp-files"], [], place)) == names(found)
    assert names(select_tools(["default"], ["mcp-files"], place)) == set()


def test_what_becomes_training_data_uses_a_server_only_where_it_is_named() -> None:
    server = unruly()
    approved("files", server, "read")
    place = around({"files": server}, impersonal=True)
    assert names(select_tools(["default"], [], place)) == set()
    assert names(select_tools(["default", "mcp-files"], [], place)) == {"mcp_files_read"}


def test_a_server_that_is_not_enabled_is_on_only_where_it_is_named() -> None:
    server = unruly(enabled=False)
    approved("files", server, "read")
    place = around({"files": server})
    assert names(select_tools(["default"], [], place)) == set()
    assert names(select_tools(["mcp-files"], [], place)) == {"mcp_files_read"}


def test_a_toolset_of_ones_own_may_include_a_server_or_one_of_its_tools() -> None:
    server = unruly()
    approved("files", server, "read", "write")
    own = {
        "mine": ToolsetSettings(includes=["mcp-files", "todo"]),
        "less": ToolsetSettings(tools=["mcp_files_read"]),
    }
    place = around({"files": server}, custom=own)
    assert names(select_tools(["mine"], [], place)) == {"mcp_files_read", "mcp_files_write"}
    assert names(select_tools(["less"], [], place)) == {"mcp_files_read"}


def test_the_setting_tools_narrows_what_was_approved() -> None:
    server = unruly(tools=["read"])
    approved("files", server, "read", "write")
    assert names(select_tools(["default"], [], around({"files": server}))) == {"mcp_files_read"}


def test_an_unknown_server_is_an_unknown_toolset() -> None:
    with pytest.raises(ToolsetError, match="unknown toolset 'mcp-fles'; did you mean 'mcp-files'"):
        select_tools(["mcp-fles"], [], around({"files": unruly()}))


def test_a_server_that_was_not_approved_has_no_tools_and_says_what_to_do() -> None:
    found = select_tools(["default"], [], around({"files": unruly()}))
    assert names(found) == set()
    assert reasons(found) == {"mcp-files": "you have not approved its tools; run: hermes mcp test files"}


@pytest.mark.parametrize(
    "change",
    [{"args": ["-c", "evil"]}, {"env": {"A": "b"}}, {"env_pass": ["A"]}, {"command": "/bin/sh"}],
    ids=["args", "env", "env_pass", "command"],
)
def test_an_approval_is_for_these_settings_alone(change: dict[str, Any]) -> None:
    server = unruly(timeout=5.0)
    approved("files", server, "read")
    found = select_tools(["default"], [], around({"files": msgspec.structs.replace(server, **change)}))
    assert names(found) == set()
    assert "not those you approved" in reasons(found)["mcp-files"]
    later = msgspec.structs.replace(server, timeout=9.0, allowed=["read"])
    assert names(select_tools(["default"], [], around({"files": later}))) == {"mcp_files_read"}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda path: path.chmod(0o666), "others can change"),
        (lambda path: path.write_text("{"), "is damaged"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is damaged"),
        (lambda path: path.write_text('{"settings": 5}'), "is damaged"),
    ],
    ids=["open to others", "cut", "not text", "other fields"],
)
def test_an_approval_that_cannot_be_trusted_does_not_count(spoil: Any, told: str) -> None:
    server = unruly()
    spoil(approved("files", server, "read"))
    assert told in reasons(select_tools(["default"], [], around({"files": server})))["mcp-files"]


@pytest.mark.parametrize("name", ["../../evil", "a/b", "x" * 33, "", "a b", "ä"])
def test_a_name_that_is_no_file_name_is_no_server(name: str) -> None:
    found = select_tools(["default"], [], around({name: unruly()}))
    assert "no name for a server" in found[1][-1][1]


@pytest.mark.parametrize(
    ("server", "told"),
    [
        (McpServerSettings(command="no-such-program-anywhere"), "no-such-program-anywhere is not found"),
        (McpServerSettings(command="bin/server"), "is a relative path"),
        (McpServerSettings(), "either a command or a url"),
        (McpServerSettings(command="sh", url="https://x"), "either a command or a url"),
        (McpServerSettings(url="http://example.com/"), "others can read along"),
        (
            McpServerSettings(url="https://x", headers={"Authorization": "Bearer ${NO_KEY}"}),
            "NO_KEY is not set; use: hermes config set-key NO_KEY",
        ),
        (McpServerSettings(command="sh", env={"A": "${NO_KEY}"}), "NO_KEY is not set"),
        (McpServerSettings(command="sh", env={"A": "${GOOD_KEY}"}), ""),
    ],
)
def test_what_stands_in_the_way_of_a_server_is_said_before_it_is_used(
    server: McpServerSettings, told: str
) -> None:
    approved("files", server, "read")
    found = select_tools(["default"], [], around({"files": server}))
    assert told in reasons(found).get("mcp_files_read", "")
    assert (names(found) == set()) == bool(told)


def test_a_tool_of_a_server_is_found_by_its_name_and_cannot_hide_another() -> None:
    server = unruly()
    approved("files", server, "read")
    place = around({"files": server})
    assert load_tool("mcp_files_read", place).name == "mcp_files_read"
    with pytest.raises(UnknownToolError):
        load_tool("mcp_files_read")
    assert all(name.startswith("mcp_") for toolset in own_toolsets(place).values() for name in toolset.tools)


def test_what_the_model_sees_is_what_was_approved() -> None:
    server = unruly()
    approved("files", server, "read")
    (tool,) = (each for each in select_tools(["mcp-files"], [], around({"files": server}))[0])
    assert tool.schema() == {
        "type": "function",
        "function": {
            "name": "mcp_files_read",
            "description": "Does read.",
            "parameters": {"type": "object", "properties": {"text": {"type": "string"}}},
        },
    }
    assert not tool.read_only
    assert not tool.may_overlap


def test_neither_looking_nor_choosing_imports_the_sdk_or_starts_anything(tmp_path: Path, home: Path) -> None:
    note = tmp_path / "started"
    server = McpServerSettings(command="/bin/sh", args=["-c", f"touch {note}"])
    approved("files", server, "read")
    folder = home / ".hermes"
    settings = {"mcp": {"files": {"command": server.command, "args": server.args}}}
    (folder / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")
    look = (
        "import sys, model_tools, tools.mcp.server_tools, tools.mcp.servers\n"
        "found = {each['function']['name'] for each in model_tools.get_tool_definitions()}\n"
        "assert 'mcp_files_read' in found, found\n"
        "heavy = {'mcp', 'mcp_types', 'anyio', 'jsonschema', 'pydantic', 'httpx2'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", look], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not note.exists()


def test_without_the_sdk_the_fix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    server = unruly()
    approved("files", server, "read")
    monkeypatch.setitem(sys.modules, "mcp_types", None)  # so Python notes that a module is not there
    found = select_tools(["default"], [], around({"files": server}))
    assert names(found) == set()
    assert reasons(found) == {
        "mcp-files": "the MCP SDK is not installed; use: pip install 'hermes-agent[mcp]'"
    }


@pytest.mark.long
def test_a_call_by_name_finds_the_servers_of_the_settings(tmp_path: Path) -> None:
    """The door of those who have nothing but a task id; its server ends with the task."""
    counter = Counter(tmp_path, {"u": unruly("environment")})
    run(counter, counter.approve("u"))
    text = {"mcp": msgspec.to_builtins(counter.servers), "gate": {"mode": "yolo"}}
    (hermes_home() / "config.yaml").write_text(json.dumps(text), encoding="utf-8")
    try:
        found = json.loads(handle_function_call("mcp_u_echo", {"text": "hi"}, task_id="m"))
        pid = int(json.loads(found["result"])["pid"])
        assert not gone(pid)
        assert "error" in json.loads(handle_function_call("mcp_u_nothing", {}, task_id="m"))
        cleanup_vm("m")
        handle_function_call("todo", {}, task_id="n")
        assert gone(pid)
    finally:
        cleanup_vm("m")
        cleanup_vm("n")


@pytest.mark.parametrize(
    ("allowed", "policy", "refused"),
    [([], "", True), (["write"], "", True), (["*"], "", False), (["read"], "", False), ([], "yolo", False)],
)
def test_a_batch_calls_a_server_only_where_somebody_said_so(
    allowed: list[str], policy: Literal["", "yolo"], refused: bool, tmp_path: Path
) -> None:
    server = unruly(allowed=allowed)
    approved("files", server, "read")
    settings = Settings(mcp={"files": server}, gate=GateSettings(mode=policy))
    wishes = Wishes(run="r", toolsets=["mcp-files"])
    try:
        plan = first_plan(wishes, LoadedSettings(settings, []), tmp_path / "prompts.jsonl", [])
    except PlanError as error:
        assert refused
        assert "hermes config set mcp.files.allowed" in str(error)
    else:
        assert not refused
        assert "mcp_files_read" in plan.tools


@pytest.mark.parametrize(
    ("allowed", "mode", "verdict"),
    [
        ([], "ask", "ask"),
        (["read"], "ask", "allow"),
        (["*"], "auto-edit", "allow"),
        (["write"], "ask", "ask"),
        (["read"], "deny", "deny"),
        ([], "auto-edit", "ask"),
        ([], "yolo", "allow"),
    ],
)
def test_the_gate_knows_what_the_settings_allow(
    allowed: list[str], mode: Mode, verdict: str, tmp_path: Path
) -> None:
    server = unruly(allowed=allowed)
    approved("files", server, "read", "write")
    place = around({"files": server})
    tool = load_tool("mcp_files_read", place)
    gate = Gate(mode, workspace=str(tmp_path), explicit=True)
    runtime = ToolRuntime("t", LocalSandbox("t", str(tmp_path)), gate, around=place, settings=place.settings)
    decision = gate.decide(tool.effect_request(runtime, {"text": "a"}))
    assert decision.verdict == verdict
    if verdict == "ask":
        assert decision.reason == "it calls the tool server files, which does what it likes"
    gate.note_untrusted("a page")
    gate.note_private("a key")
    exposed = gate.decide(tool.effect_request(runtime, {"text": "a"})).verdict
    assert exposed == ("deny" if mode == "deny" else "ask")
