"""The models besides the one that is talked to: who draws, who looks at pictures, whose answers are mixed.

Where nothing is set for them there is nothing to say: the lines of the toolsets do.
"""

from __future__ import annotations

from collections.abc import Iterator

from commands.checks.finding import Finding, Scene, by_settings, problem
from commands.checks.reach import reach

_EXAMPLE = "http://127.0.0.1:8000/v1"
_EDIT = "hermes config edit"


@by_settings("")
def check_drawing(scene: Scene) -> Iterator[Finding]:
    from tools.images.drawing import drawer, why_no_drawing

    images = scene.settings.images
    if images.provider == "off" or (images.provider == "auto" and not images.base_url):
        return
    chosen, told = drawer(scene.around), why_no_drawing(scene.around)
    if told or chosen is None:
        what, found, fix = told.partition(": hermes config ")
        yield problem("images", what, f"hermes config {fix}" if found else _EDIT)
        return
    setting = "images.base_url" if images.base_url else "images.provider"
    yield reach(
        scene,
        "images",
        setting,
        chosen.endpoint.base_url,
        _EXAMPLE,
        f"{chosen.endpoint.title} draws ({setting})",
    )


@by_settings("")
def check_auxiliary(scene: Scene) -> Iterator[Finding]:
    from models.providers import resolve_endpoint
    from tools.auxiliary import chosen_settings, is_main, why_unreachable

    settings = scene.settings
    for name, choice in (("vision", settings.auxiliary.vision), ("summary", settings.auxiliary.summary)):
        if is_main(choice):
            continue
        setting, shown = f"auxiliary.{name}", f"{name} model"
        if told := why_unreachable(scene.around, choice):
            yield problem(shown, f"{setting}: {told.replace('model.base_url', 'base_url')}", _EDIT)
        elif choice.base_url or choice.provider:
            setting += ".base_url" if choice.base_url else ".provider"
            endpoint = resolve_endpoint(chosen_settings(settings, choice), scene.secrets)
            yield reach(
                scene,
                shown,
                setting,
                endpoint.base_url,
                _EXAMPLE,
                f"{choice.name or 'the one its server has'}, {endpoint.title} ({setting})",
            )


@by_settings("")
def check_mixed_models(scene: Scene) -> Iterator[Finding]:
    from tools.moa_tool import check_moa_requirements

    if scene.settings.moa.models and (told := check_moa_requirements(scene.around)):
        yield problem("moa", told, _EDIT)
