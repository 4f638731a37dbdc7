"""Code with hashes, identifiers, lock files and pictures passes as it is: what is no secret stays."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import subprocess
import sysconfig
import uuid
import zlib
from pathlib import Path

import pytest

from safety.known_secrets import is_secret_name, person_secrets, settings_secrets, url_secrets, worth_hiding
from safety.redact import Redactor
from tests.faults.hermes_process import ROOT

LIBRARY = Path(sysconfig.get_path("stdlib"))
ONLY_EXAMPLES_OF_URL_PASSWORDS = {"test_urllib2net.py", "test_urlparse.py"}
"""`http://User:Pass@www.python.org` and its like."""


def altered(paths: list[Path], redactor: Redactor) -> list[str]:
    return [path.name for path in paths if redactor.redact(path.read_text("utf-8", errors="replace"))[1]]


def test_our_own_files_pass_with_their_hashes() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    files = [ROOT / name for name in listed.decode().split("\0") if name and not name.startswith("tests/")]
    texts = [path for path in files if path.is_file() and path.suffix not in (".png", ".gz", ".whl")]
    assert len(texts) > 200
    assert altered(texts, Redactor()) == []


@pytest.mark.parametrize("part", ["[a-e]*.py", "[f-m]*.py", "[n-r]*.py", "[s-z]*.py", "*/*.py"])
def test_the_standard_library_passes(part: str) -> None:
    files = [path for path in LIBRARY.glob(part) if path.parent.name not in ("test", "tests")]
    assert altered(files, Redactor()) == []


@pytest.mark.thorough
def test_of_the_whole_library_with_its_tests_only_passwords_in_urls_are_altered() -> None:
    files = [path for path in LIBRARY.rglob("*.py") if "site-packages" not in path.parts]
    assert len(files) > 1000
    assert set(altered(files, Redactor())) <= ONLY_EXAMPLES_OF_URL_PASSWORDS


SOURCE = random.Random(22)


def digest(number: int, name: str) -> str:
    return hashlib.new(name, str(number).encode()).hexdigest()


TEXTS = {
    "package-lock": json.dumps(
        {
            f"node_modules/p{n}": {
                "version": f"1.{n}.0",
                "resolved": f"https://registry.example.org/p{n}/-/p{n}-1.{n}.0.tgz",
                "integrity": "sha512-" + base64.b64encode(hashlib.sha512(bytes([n])).digest()).decode(),
            }
            for n in range(200)
        },
        indent=2,
    ),
    "Cargo.lock": "".join(
        f'[[package]]\nname = "c{n}"\nversion = "0.{n}.1"\nchecksum = "{digest(n, "sha256")}"\n\n'
        for n in range(200)
    ),
    "go.sum": "".join(
        f"example.org/m{n} v1.{n}.0 h1:{base64.b64encode(hashlib.sha256(bytes([n])).digest()).decode()}\n"
        for n in range(200)
    ),
    "requirements": "".join(f"p{n}==1.{n} \\\n    --hash=sha256:{digest(n, 'sha256')}\n" for n in range(200)),
    "git log": "".join(f"commit {digest(n, 'sha1')}\ntree {digest(n + 500, 'sha1')}\n" for n in range(300)),
    "git object": zlib.compress(b"blob 4000\0" + SOURCE.randbytes(4000)).decode("latin-1"),
    "uuids": "\n".join(f"{{id: '{uuid.UUID(int=SOURCE.getrandbits(128))}', key: {n}}}" for n in range(500)),
    "picture": "![](data:image/png;base64," + base64.b64encode(SOURCE.randbytes(60_000)).decode() + ")",
    "wrapped picture": base64.encodebytes(SOURCE.randbytes(60_000)).decode(),
    "minified": ";".join(
        f"function t{n}(e,r){{return e.k{n}=r?{n}:e[{n}].token,e.password=r.password,e}}" for n in range(800)
    ),
    "source map": json.dumps({"mappings": "".join(SOURCE.choices("ABCDEFGHabcdefgh,;0123", k=20_000))}),
    "hexdump": "".join(
        f"{n * 16:08x}: {SOURCE.randbytes(16).hex(' ', 2)}  ................\n" for n in range(500)
    ),
    "css": "".join(f".sk-spinner-{n}-wide-container-{n * 7} {{ color: #{n:06x} }}\n" for n in range(300)),
    "certificate": "-----BEGIN CERTIFICATE-----\n"
    + base64.encodebytes(SOURCE.randbytes(1500)).decode()
    + "-----END CERTIFICATE-----\n",
    "ssh public key": "ssh-ed25519 " + base64.b64encode(SOURCE.randbytes(51)).decode() + " me@host\n",
    "etags": "".join(
        f'ETag: "{digest(n, "md5")}"\nX-Request-Id: {digest(n, "sha1")[:20]}\n' for n in range(200)
    ),
    "queries": "".join(
        f"GET /items?page={n}&key=name&token=next&id={uuid.UUID(int=n)}&cursor={digest(n, 'md5')}\n"
        for n in range(200)
    ),
    "docker": "".join(
        f"sha256:{digest(n, 'sha256')} registry.example/i@sha256:{digest(n, 'sha256')}\n" for n in range(99)
    ),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_looks_random_and_is_no_secret_stays(text: str) -> None:
    known = [digest(number, "sha256") for number in range(5000, 5003)]
    for redactor in (Redactor(), Redactor([*known, "hunter2-of-old", "Tr0ub4dor&3 horse"])):
        assert redactor.redact(text) == (text, {})


@pytest.mark.parametrize(
    "value",
    [
        "",
        "true",
        "1234",
        "password",
        "12345678",
        "20261121",
        "production",
        "Hermes",
        "sunshine",
        "LOCALHOST",
        "/home/me/keys/id_ed25519",
        "~/.netrc",
        "./secret.pem",
        "not-needed",
        "changeme",
        "xxxxxxxx",
        "********",
        "aaaabbbb",
    ],
)
def test_what_is_short_common_or_a_path_is_not_searched_for(value: str) -> None:
    assert not worth_hiding(value)
    assert not Redactor([value]).forms


@pytest.mark.parametrize(
    "value", ["hunter22", "correct horse battery staple", "a1b2c3d4", "Sommer-2026!", "deadbeef01"]
)
def test_what_stands_nowhere_by_chance_is(value: str) -> None:
    assert worth_hiding(value)


def test_names_tell_what_is_a_secret() -> None:
    for name in (
        "OPENAI_API_KEY",
        "MYSQL_PWD",
        "dbPassword",
        "GH_TOKEN",
        "X-Api-Key",
        "REDIS_AUTH",
        "APIKEY",
    ):
        assert is_secret_name(name), name
    for name in (
        "PATH",
        "API_KEY_FILE",
        "KEYBOARD",
        "TOKENIZERS_PARALLELISM",
        "SECRET_NAME",
        "SSH_PUBLIC_KEY",
        "MAX_TOKENS_LIMIT",
        "SSH_AUTH_SOCK",
        "OPENAI_BASE_URL",
    ):
        assert not is_secret_name(name), name


def test_of_urls_the_password_and_the_keys_of_the_query_count() -> None:
    url = "https://me:p%40ssw0rd-9@h.example:8/v1?api_key=Zk9Lw3Tt58&page=12345678&X-Goog-Signature=abc"
    assert set(url_secrets(url)) == {"p%40ssw0rd-9", "p@ssw0rd-9", "Zk9Lw3Tt58"}


def test_settings_give_their_headers_and_urls_and_nothing_else() -> None:
    settings = {
        "model": {
            "name": "some-model-name",
            "key_env": "MY_KEY_VARIABLE",
            "proxy": "http://u:proxy-pw-77@p.example:3128",
            "extra_headers": {"Authorization": "Bearer abc-123-def-456", "X-Title": "Hermes Agent"},
        },
        "agent": {"max_tokens": 4096, "system_prompt": "Say nothing of the key."},
        "ssh": {"key": "~/.ssh/id_ed25519"},
    }
    found = {value for value in settings_secrets(settings) if worth_hiding(value)}
    assert found == {"proxy-pw-77", "Bearer abc-123-def-456", "abc-123-def-456"}


def test_the_persons_secrets_are_those_of_the_environment_the_file_and_the_settings(home: Path) -> None:
    folder = home / ".hermes"
    folder.mkdir()
    stored = folder / ".env"
    stored.write_text(
        "ANYTHING=of-my-own-77\nHERMES_MODEL=a-model-of-mine-7\nDB=postgres://u:db-pass-99@h/x\n"
    )
    stored.chmod(0o600)
    environ = {
        "HOME": str(home),
        "USER": "somebody-1",
        "GIT_TOKEN": "git-token-123",
        "OTHER_PASSWORD": "somebody-1",
        "DATABASE_URL": "mysql://root:my-pw-1234@db/x",
    }
    assert person_secrets(environ) == ["db-pass-99", "git-token-123", "my-pw-1234", "of-my-own-77"]
