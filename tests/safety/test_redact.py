"""Secrets go, whatever stands around them; what only looks like one stays."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import time
import uuid
from pathlib import Path
from urllib.parse import quote

import pytest

from safety.redact import Redactor
from safety.secret_shapes import (
    assigned_secrets,
    aws_secrets,
    basic_authorizations,
    bearer_tokens,
    tokens,
    url_passwords,
)
from tests.safety.samples import BASE62, SECRETS, random_text
from tests.tools import drawn

AROUND = {
    "alone": "{}",
    "in a sentence": "the key is {}, keep it.",
    "in JSON": '{{"value": "{}", "next": 1}}',
    "in JSON in JSON": '"{{\\"value\\": \\"{}\\"}}"',
    "behind an escaped line end": '"first line\\n{}\\nlast line"',
    "in an assignment": "export X={}\n",
    "in a command": "curl -H 'X-Key: {}' https://example.com/a?b=1",
    "behind umlauts": "Schlüssel „{}“ für später",
}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
@pytest.mark.parametrize(("kind", "secret"), SECRETS.values(), ids=SECRETS)
def test_a_key_of_a_known_shape_goes_wherever_it_stands(kind: str, secret: str, around: str) -> None:
    text = around.format(secret)
    clean, found = Redactor().redact(text)
    assert clean == text.replace(secret, f"[redacted:{kind}]")
    assert found == {kind: 1}


@pytest.mark.parametrize("separator", ["\n", "\\n"])
@pytest.mark.parametrize("name", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_a_private_key_goes_as_a_whole(name: str, separator: str) -> None:
    body = separator.join(random_text(64, BASE62 + "+/", seed) for seed in range(20))
    key = f"-----BEGIN {name}PRIVATE KEY-----{separator}{body}{separator}-----END {name}PRIVATE KEY-----"
    assert Redactor().redact(f"before {key} after") == (
        "before [redacted:private-key] after",
        {"private-key": 1},
    )


def test_a_private_key_whose_end_is_cut_off_goes_as_far_as_it_stands() -> None:
    body = "\n".join(random_text(64, seed=seed) for seed in range(5))
    text = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n\n... 20 more lines left out"
    assert Redactor().redact(text)[0] == "[redacted:private-key]\n\n... 20 more lines left out"


def test_talk_about_private_keys_stays() -> None:
    text = "A PEM file begins with -----BEGIN PRIVATE KEY----- and ends with -----END PRIVATE KEY-----."
    assert Redactor().redact(text) == (text, {})


def test_a_password_in_a_url_goes_and_the_rest_of_it_stays() -> None:
    text = "postgres://admin:s3cr3t%21pw@db.example.com:5432/app and redis://:p4ss@127.0.0.1/0"
    clean, found = Redactor().redact(text)
    assert clean == (
        "postgres://admin:[redacted:url-password]@db.example.com:5432/app "
        "and redis://:[redacted:url-password]@127.0.0.1/0"
    )
    assert found == {"url-password": 2}


def test_the_place_for_a_password_in_a_url_stays() -> None:
    text = "postgres://${USER}:${PASS}@host/db https://x:<password>@host http://h:8080/@scope/package"
    assert Redactor().redact(text) == (text, {})


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer {}",
        "-H 'authorization: bearer {}'",
        '"Authorization": "Bearer {}"',
        '{{\\"Authorization\\": \\"Bearer {}\\"}}',
        "Authorization: Basic {}",
        "OPENAI_API_KEY={}",
        "aws_secret_access_key = {}",
        'api_key = "{}"',
        "apiKey: '{}',",
        '"client_secret": "{}"',
        '{{\\"password\\": \\"{}\\"}}',
        'headers["X-Api-Key"] = "{}"',
        'os.environ["MY_API_KEY"] = "{}"',
        "token: {}",
    ],
)
def test_what_a_name_says_to_be_secret_goes_if_it_is_random(line: str) -> None:
    for seed in range(50):
        value = random_text(40, BASE62 + "+/", seed)
        clean, found = Redactor().redact(line.format(value))
        assert value not in clean
        assert found.total() == 1


def test_the_secret_key_of_an_aws_pair_goes_with_its_id() -> None:
    secret = random_text(40, BASE62 + "/+")
    text = f"id,secret\nAKIAQ3EGRZ7WPVTN2X5K,{secret}\n"
    assert Redactor().redact(text) == (
        "id,secret\n[redacted:aws-key-id],[redacted:aws-secret-key]\n",
        {"aws-key-id": 1, "aws-secret-key": 1},
    )


SHA = hashlib.sha1(b"commit").hexdigest()
BENIGN = {
    "git": f"commit {SHA}\nAKIA is how ids begin\n{hashlib.sha256(b'x').hexdigest()}  file.tar.gz",
    "uuid": f'{{"id": "{uuid.UUID(int=2**127 + 5)}", "key": "{SHA}", "page_token": "CAUQAA1b2c3d4e5f6g7h8"}}',
    "image": "data:image/png;base64," + base64.b64encode(random.Random(1).randbytes(200_000)).decode(),
    "css": ".sk-fading-circle-animation-container-1 { } task-3f9a2c1b-disk-space-usage-report-2 { }",
    "code": 'api_key = os.environ["OPENAI_API_KEY"]\ntoken = self.settings.v2.api_token_for_user_1\n'
    'password = getpass.getpass("Password: ")\nsecret = load(Path("secrets/v1/key_2.json"))\n',
    "call": "password = base64.b16encode(random_bytes[8:])\nsecret = base64.b64decode(secret[6:])",
    "placeholders": 'api_key="your-api-key-here-123"\nAPI_KEY=xxxxxxxxxxxxxxxx1234\nTOKEN=sk-...\n'
    "sk-xxxxxxxxxxxxxxxxxxxxxxxx",
    "tokens": "max_tokens: 4096, tokenizer=Qwen2TokenizerFast12, token_type_ids: [0, 0, 1, 1]",
    "paths": "PWD=/home/user/projects/hermes-2b4f1c3d/src\nprivate_key=/etc/ssl/private/server-2048-a1b2.pem",
    "lock": f'"integrity": "sha512-{base64.b64encode(hashlib.sha512(b"x").digest()).decode()}"',
    "minified": "!function(e,t){var n=e.key,r=t.token;return n===r?{password:n,secret:r}:o(n,r)}"
    + "".join(f"a{i}=function(b{i}){{return c{i}[d{i}]||e{i}.key==='f{i}'}}," for i in range(500)),
    "bearer": "Bearer authentication was introduced-with-http-1.1; the bearer of this letter-is-trusted",
    "rule": "=" * 300 + "\n" + "-" * 300 + "\n" + "_" * 300,
    "surrogate": "half \ud83d of one",
}


@pytest.mark.parametrize("text", BENIGN.values(), ids=BENIGN)
def test_what_merely_looks_random_stays(text: str) -> None:
    assert Redactor().redact(text) == (text, {})


def test_our_own_sources_stay() -> None:
    root = Path(__file__).parents[2]
    rooms = [init.parent for init in root.glob("*/__init__.py")]
    for path in [file for room in rooms for file in room.rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert Redactor().redact(text) == (text, {}), path


KNOWN = 'Tr0ub4dor&3/"quoted" ünd+mehr'


@pytest.mark.parametrize(
    "written",
    [
        KNOWN,
        json.dumps(KNOWN)[1:-1],
        json.dumps(KNOWN, ensure_ascii=False)[1:-1],
        quote(KNOWN, safe=""),
        base64.b64encode(KNOWN.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(KNOWN.encode()).decode().rstrip("="),
    ],
)
def test_a_known_secret_goes_however_it_is_written(written: str) -> None:
    assert Redactor([KNOWN]).redact(f"x {written} y") == ("x [redacted:known-secret] y", {"known-secret": 1})


@pytest.mark.parametrize("name", ["", "a", "ab", "abc"])
def test_a_known_secret_inside_longer_base64_cannot_be_read_any_more(name: str) -> None:
    secret = "correct horse battery staple 99"
    text = base64.b64encode(f"{name}:{secret}:end".encode()).decode()
    clean, found = Redactor([secret]).redact(text)
    assert found == {"known-secret": 1}
    assert secret[4:-4] not in base64.b64decode(clean.split("[")[0] + "==").decode(errors="replace")


def test_a_short_known_secret_is_left_alone() -> None:
    assert Redactor(["hunter2", ""]).redact("hunter2 is no secret") == ("hunter2 is no secret", {})


def test_a_long_known_secret_is_found_in_the_middle_of_a_word() -> None:
    secret = random_text(32)
    assert Redactor([secret]).redact(f"prefix{secret}suffix")[0] == "prefix[redacted:known-secret]suffix"


def test_doing_it_twice_changes_nothing() -> None:
    text = "\n".join(around.format(secret) for around in AROUND.values() for _, secret in SECRETS.values())
    redactor = Redactor([KNOWN])
    clean, found = redactor.redact(text + KNOWN)
    assert found.total() == len(AROUND) * len(SECRETS) + 1
    assert redactor.redact(clean) == (clean, {})


def test_a_json_value_keeps_its_shape_and_json_text_in_it_stays_json() -> None:
    token = SECRETS["github"][1]
    arguments = json.dumps({"command": f'echo "{token}"\n', "api_key": random_text(32)})
    value = {
        "conversations": [
            {"from": "gpt", "value": f'<tool_call>\n{{"name": "x", "arguments": {arguments}}}\n</tool_call>'},
        ],
        token: 1,
        "password": random_text(20),
        "n": [1, 2.5, None, True, arguments],
    }
    clean, found = Redactor().redact_json(value)
    assert found == {"github-token": 3, "secret": 3}
    assert clean["n"][:4] == [1, 2.5, None, True]
    assert json.loads(clean["n"][4]) == {
        "command": 'echo "[redacted:github-token]"\n',
        "api_key": "[redacted:secret]",
    }
    call = clean["conversations"][0]["value"].split("\n")[1]
    assert json.loads(call)["arguments"] == json.loads(clean["n"][4])
    assert clean["[redacted:github-token]"] == 1
    assert clean["password"] == "[redacted:secret]"


def test_keys_that_become_the_same_both_stay() -> None:
    one, other = SECRETS["github"][1], SECRETS["github server"][1]
    clean, _ = Redactor().redact_json({one: 1, other: 2})
    assert sorted(clean.values()) == [1, 2]


def test_a_great_many_keys_that_become_the_same_take_no_time() -> None:
    begun = time.monotonic()
    clean, _ = Redactor().redact_json({f"ghp_a1B2c3D4e5F6a1B2c3D4e5F6a1B2{n:06}": n for n in range(20_000)})
    assert len(clean) == 20_000
    assert time.monotonic() - begun < 10


def test_every_shape_is_found_at_every_place_of_a_long_text() -> None:
    source = random.Random(3)
    words = [BENIGN[name] for name in ("git", "uuid", "css", "code", "tokens", "paths", "bearer")]
    redactor = Redactor([KNOWN])
    for _ in range(40):
        pieces = [source.choice(words) for _ in range(20)]
        planted = source.sample(sorted(SECRETS.values()), 5)
        for _, secret in planted:
            pieces.insert(source.randrange(len(pieces)), f" {secret} ")
        clean, found = redactor.redact("\n".join(pieces))
        assert found.total() == 5
        assert not any(secret in clean for _, secret in planted)


def test_whatever_a_search_would_find_passes_the_quick_look() -> None:
    """Pieces of secrets in any order: what the searches find in all of a text, `redact` finds as well."""
    pieces = [
        "sk-", "ghp_", "AKIA", "eyJ", ".", "\\n", " ", "=", ":", '"', "api_key", "password", "a1B2" * 5, "/",
        "+", "-", "_", "://u:", "@h", "Bearer ", "Basic ", "Authorization", "(", "xoxb-", "\n", "\\u003c",
        "SG.", "123456789:AA", "ü", "sk-ant-", "hf_", "AIza", "token", "secret", "aB3" * 14,
        "Z9y8x7w6v5u4t3s2r1q0",
    ]  # fmt: skip
    searches = [tokens, aws_secrets, url_passwords, bearer_tokens, basic_authorizations, assigned_secrets]
    source = random.Random(9)
    redactor = Redactor()
    hits = 0
    for _ in range(8000):
        text = "".join(source.choice(pieces) for _ in range(source.randrange(1, 14)))
        if any(True for search in searches for _ in search(text.encode())):
            hits += 1
            clean, found = redactor.redact(text)
            assert found, text
            assert redactor.redact(clean) == (clean, {}), text
    assert hits > 200


HOSTILE = {
    "begins": "sk-" * 300_000,
    "begins apart": "sk-a " * 200_000,
    "jwt": "eyJ" + "a" * 20 + ".eyJ" + "a" * 20 + "." * 1,
    "jwt heads": "eyJ-" * 250_000,
    "jwt dots": ".eyJaaaaaaaaaa" * 70_000,
    "pem": "-----BEGIN PRIVATE KEY-----" * 37_000,
    "pem lines": "-----BEGIN PRIVATE KEY-----\n" + ("a1" * 20 + "\n") * 24_000,
    "equals": "=" * 1_000_000,
    "equals and a parenthesis": "=" * 1_000_000 + "(",
    "equals and letters": "=a" * 500_000 + "(",
    "assigned": "api_key=" + "a1" * 500_000 + "(",
    "assignments": 'api_key="' * 110_000,
    "urls": "://a:" * 200_000,
    "url": "://" + "a:" * 500_000,
    "bearer": "Bearer " * 140_000,
    "basic": "authorization: basic " * 50_000,
    "digits": "123456789:AA" * 80_000,
    "aws": "AKIAQ3EGRZ7WPVTN2X5K " * 48_000,
    "one run": "a1-_" * 250_000,
    "escapes": "\\n" * 500_000,
    "slack": "xoxb-" * 200_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_megabyte_takes_no_longer_than_its_length(text: str) -> None:
    started = time.process_time()
    Redactor(["some-known-secret-value"]).redact(text)
    assert time.process_time() - started < 4


@pytest.mark.long
def test_text_without_secrets_passes_at_the_speed_of_a_few_searches() -> None:
    """Measured in one pass over the bytes, since machines differ: it takes about 15 to 30 of those."""
    root = Path(__file__).parents[2]
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted(root.glob("*/*.py")))
    texts = [sources[start : start + 8000] for start in range(0, len(sources), 8000)]
    redactor = Redactor([random_text(40, seed=seed) for seed in range(3)])
    taken: dict[str, list[float]] = {"redact": [], "pass": []}
    for _ in range(7):
        started = time.process_time()
        for text in texts:
            redactor.redact(text)
        between = time.process_time()
        for text in texts:
            text.encode().lower()
        taken["redact"].append(between - started)
        taken["pass"].append(time.process_time() - between)
    assert min(taken["redact"]) < 60 * min(taken["pass"])


def test_what_is_learned_later_goes_as_well() -> None:
    redactor = Redactor()
    assert redactor.redact("Sommer-2026!") == ("Sommer-2026!", {})
    redactor.learn("Sommer-2026!")
    assert redactor.redact("it is Sommer-2026! now")[0] == "it is [redacted:known-secret] now"


def test_a_picture_in_a_data_url_is_passed_quickly_unless_a_known_secret_hides_in_it() -> None:
    secret = "hunter2-is-my-long-password"
    picture = drawn.noise(5_000_000)
    part = {"type": "image_url", "image_url": {"url": as_url(picture)}}
    redactor = Redactor([secret])
    began = time.process_time()
    clean, found = redactor.redact_json([part])
    assert time.process_time() - began < 0.5
    assert clean == [part]
    assert not found
    for hidden in (as_url(drawn.png() + secret.encode()), as_url(secret.encode() * 3)):
        clean, found = redactor.redact_json({"url": hidden})
        assert found["known-secret"]
        assert base64.b64encode(secret.encode()).decode()[4:-4] not in clean["url"]


def as_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()
