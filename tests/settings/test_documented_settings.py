"""The documented settings: the file in the repository is true, and each of them is read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from commands.config_template import config_template
from configuration.settings_schema import settings_in
from settings import ProviderSettings, Settings, ToolsetSettings, load_settings

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "cli-config.yaml"
NOT_PRODUCT = {"tests", "benchmarks", "build", "dist", ".venv"}

CALLED = {
    "retry": {"limits"},
    "terminal": {"limits"},
    "auxiliary.vision": {"choice"},
    "auxiliary.summary": {"choice"},
}
"""Other names under which the product holds a section, beside its own and `settings`."""


def test_the_document_is_what_the_command_prints() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == config_template(), (
        "run: python cli.py config template > cli-config.yaml"
    )


def test_the_document_read_as_settings_gives_the_defaults(home: Path) -> None:
    folder = home / ".hermes"
    folder.mkdir()
    (folder / "config.yaml").write_text(config_template(), encoding="utf-8")
    environ = {"HERMES_HOME": str(folder)}
    assert load_settings(cwd=home, project_trusted=False, environ=environ).settings == Settings()


def test_every_setting_has_one_line_of_explanation() -> None:
    for setting in settings_in(Settings):
        assert setting.description.endswith("."), setting.key
        assert "\n" not in setting.description, setting.key
        assert len(setting.description) <= 110, setting.key


Reads = dict[str, set[str]]
"""For each attribute read anywhere in the product, the names of what it was read from."""


@pytest.fixture(scope="module")
def reads() -> Reads:
    found: Reads = {}
    for path in product_files():
        for holder, name in attributes_read(path):
            found.setdefault(name, set()).add(holder)
    return found


def product_files() -> Iterator[Path]:
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).parts
        about_settings = parts[0].startswith("settings") or parts[-1].startswith("config")
        if not about_settings and not NOT_PRODUCT & set(parts) and not parts[0].startswith("."):
            yield path


def attributes_read(path: Path) -> Iterator[tuple[str, str]]:
    """`x.settings.model.name` gives (settings, model) and (model, name); a leading underscore is dropped."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            holder: str = getattr(node.value, "attr", None) or getattr(node.value, "id", None) or ""
            yield holder.lstrip("_"), node.attr


@pytest.mark.parametrize("key", [setting.key for setting in settings_in(Settings)])
def test_a_documented_setting_is_read(key: str, reads: Reads) -> None:
    section, _, name = key.rpartition(".")
    is_read = bool(reads.get(name, set()) & {section, "settings", *CALLED.get(section, ())})
    assert is_read


@pytest.mark.parametrize("section", [ProviderSettings, ToolsetSettings])
def test_what_stands_in_tables_is_read(section: type[msgspec.Struct], reads: Reads) -> None:
    assert set(section.__struct_fields__) <= reads.keys()
