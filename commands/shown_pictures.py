"""`--image PATH`: pictures that go along with a question."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from conversation.message import ContentPart
    from run_agent import AIAgent
    from tools.pictures import Picture


def open_pictures(paths: Sequence[str]) -> list[Picture]:
    """The pictures at `paths`. What is none ends the program with wrong usage, before anything is begun."""
    from tools.pictures import PictureError, open_picture

    found = []
    for path in paths:
        try:
            found.append(open_picture(path))
        except PictureError as error:
            raise click.UsageError(f"--image: {error}") from None
        except OSError as error:
            raise click.UsageError(f"--image {path}: {error.strerror or error}") from None
    return found


def unsent_pictures(question: str, given: Sequence[str]) -> str:
    """A line about pictures that are named as at the prompt and not `given`; "" if there are none."""
    from repl.named_pictures import marked_pictures

    names = [name for name in marked_pictures(question) if name not in given] if "@" in question else []
    options = " ".join(f"--image {shlex.quote(name)}" for name in names)
    return f"no picture is sent: @ shows one at the prompt only. With -q: {options}" if names else ""


def with_pictures(
    agent: AIAgent, question: str, paths: Sequence[str], pictures: Sequence[Picture]
) -> str | list[ContentPart]:
    """The message to send; a model that is known to be blind is told where the pictures lie."""
    from tools.pictures import text_and_pictures

    if not pictures:
        return question
    if agent.sees_images is False:
        click.echo(f"hermes: {agent.model_name} cannot look at pictures; it is told where they lie", err=True)
        return "\n".join([question, "", *(f"[picture: {path}]" for path in paths)])
    for picture in pictures:
        if picture.warning:
            click.echo(f"hermes: {picture.warning}", err=True)
    return text_and_pictures(question, pictures)
