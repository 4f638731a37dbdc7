"""Secrets put where a person keeps them, and a search for them in all that hermes wrote or said."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from tests.faults.hermes_process import Hermes

KEY = "cnryKeyQm2xZk9Lw3Tt58rVb01"
STORED = 'cnry 7Qm2/x+Zk9"Lw3_pass'
HEADER = "cnryHeaderX81mmQz40vvT9"
LOGIN = "cnryLoginPw55xTqR"
QUERY = "cnry-query-zz91-Kd02"
ALL = (KEY, STORED, HEADER, LOGIN, QUERY)


def keep_secrets(hermes: Hermes) -> None:
    """The key in the environment, one in `.env`, one among the headers of the settings."""
    folder = hermes.home / ".hermes"
    folder.mkdir(exist_ok=True)
    stored = folder / ".env"
    stored.write_text(f"SHOP_SIGNING={STORED}\n")
    stored.chmod(0o600)
    folder.joinpath("config.yaml").write_text(f'model:\n  extra_headers:\n    X-Api-Key: "{HEADER}"\n')
    hermes.extra["OPENAI_API_KEY"] = KEY


def forms(secret: str) -> Iterator[bytes]:
    """Ways to write it, made here and not by what is tested. Of base64 only what no neighbour changes."""
    data = secret.encode()
    yield data
    yield json.dumps(secret)[1:-1].encode()
    yield json.dumps(json.dumps(secret)[1:-1])[1:-1].encode()
    yield quote(secret, safe="").encode()
    yield data.hex().encode()
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + data)
        core = whole[4 if before else 0 : len(whole) // 4 * 4 - 4]
        yield core
        yield core.replace(b"+", b"-").replace(b"/", b"_")


def sightings(data: bytes, where: str) -> list[str]:
    joined = data.replace(b"\\n", b"").replace(b"\n", b"")
    return [
        f"{secret[:10]}… as {form!r} in {where}"
        for secret in ALL
        for form in forms(secret)
        if form in data or form in joined
    ]


def sightings_in(hermes: Hermes, *more: Path) -> list[str]:
    """In every file of the home and of `more`, but those in which the person keeps them.

    Not searched is the temporary folder: what a command printed lies there whole for the model to read.
    """
    kept = {hermes.home / ".hermes" / ".env", hermes.home / ".hermes" / "config.yaml"}
    files = [path for folder in (hermes.home, *more) for path in folder.rglob("*") if path.is_file()]
    searched = [path for path in files if path not in kept and not path.is_relative_to(hermes.home / "tmp")]
    return [found for path in searched for found in sightings(path.read_bytes(), str(path))]
