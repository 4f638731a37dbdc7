"""An address that somebody wrote carries nothing out; one that the model made up may."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from safety.gate import Decision, EffectRequest, Gate, Mode
from safety.known_addresses import KnownAddresses


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("see https://a.example/b.", "https://a.example/b"),
        ("see https://a.example/b?x=1#part", "https://a.example/b?x=1"),
        ("[a](https://a.example/b_(c))", "https://a.example/b_(c)"),
        ("[https://a.example/b](https://c.example)", "https://a.example/b"),
        ("<https://A.example/b>", "HTTPS://a.example/b"),
        ('{"url": "https://a.example"}', "https://a.example/"),
    ],
)
def test_an_address_that_was_met_is_known(said: str, url: str) -> None:
    known = KnownAddresses()
    known.note(said)
    assert known.knows(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/b?x=canary",
        "https://a.example/b/canary",
        "https://canary.a.example/b",
        "https://canary@a.example/b",
        "https://a.example:8443/b",
        "http://a.example/b",
        "https://[",
    ],
)
def test_an_address_that_is_near_to_one_that_was_met_is_not_known(url: str) -> None:
    known = KnownAddresses()
    known.note("https://a.example/b")
    assert not known.knows(url)


def test_what_only_spells_it_otherwise_or_leads_to_its_front_page_is_known() -> None:
    known = KnownAddresses()
    known.note("http://a.example/b/c and https://d.example/e/ and https://f.example/g?h=1")
    for url in ("https://a.example/b/c", "http://a.example/b/c/", "https://a.example/", "https://d.example/e",
                "https://d.example", "https://f.example/"):  # fmt: skip
        assert known.knows(url), url
    others = ["https://a.example/b", "https://a.example/?canary", "http://d.example/e", "https://f.example/g"]
    others += ["https://f.example/g?h=1/", "https://canary.d.example/", "https://d.example:81/"]
    for url in others:
        assert not known.knows(url), url


def test_any_address_of_a_host_that_a_person_names_is_theirs() -> None:
    known = KnownAddresses()
    known.note_person("read https://docs.example/start, please")
    assert known.knows("https://docs.example/other?page=2")
    assert not known.knows("https://docs.example@evil.example/")
    assert not known.knows("https://evil.example/")


def test_a_model_that_makes_up_addresses_without_end_keeps_nobody_waiting() -> None:
    known = KnownAddresses()
    known.note("https://a.example/before")
    began = time.monotonic()
    known.note_model(" ".join(f"https://evil.example/{number}" for number in range(100_000)))
    known.note(" ".join(f"https://evil.example/{number}" for number in range(100_000)))
    assert time.monotonic() - began < 5
    assert not known.knows("https://evil.example/99999")
    assert known.knows("https://a.example/before")


def test_a_page_of_nothing_but_closing_marks_keeps_nobody_waiting() -> None:
    known = KnownAddresses()
    began = time.monotonic()
    known.note(("https://a.example/" + ")" * 4_000 + " ") * 120)
    assert time.monotonic() - began < 1


def gate(mode: Mode, here: Path) -> Gate:
    return Gate(mode, workspace=str(here), explicit=True)


def look(gate_: Gate, *urls: str) -> Decision:
    return gate_.decide(EffectRequest("web_extract", ("read", "net"), "look", urls=urls))


def test_the_web_may_be_looked_at_until_somebody_elses_text_was_read(tmp_path: Path) -> None:
    asks = gate("ask", tmp_path)
    assert look(asks, "https://a.example/").verdict == "allow"
    asks.note_untrusted("web page")
    asks.addresses.note("https://b.example/c")
    assert look(asks, "https://b.example/c").verdict == "allow"
    assert look(asks, "https://b.example/c?canary").verdict == "ask"
    assert look(gate("deny", tmp_path), "https://a.example/").verdict == "deny"
    assert look(gate("yolo", tmp_path), "https://a.example/").verdict == "allow"


def test_with_something_private_read_a_query_is_asked_about_and_no_known_address(
    tmp_path: Path,
) -> None:
    asks = gate("ask", tmp_path)
    asks.note_untrusted("web page")
    asks.note_private("~/.ssh/id_rsa")
    asks.addresses.note("https://b.example/c")
    assert look(asks).verdict == "ask"
    assert look(asks).final
    assert look(asks, "https://b.example/c").verdict == "allow"
    assert look(asks, "https://b.example/d").final


def test_a_look_that_was_allowed_counts_as_text_of_others_only_once_some_has_come(tmp_path: Path) -> None:
    asks = gate("ask", tmp_path)
    asyncio.run(asks.authorize(EffectRequest("web_search", ("read", "net"), "look")))
    assert asks.exposure.untrusted == ""
