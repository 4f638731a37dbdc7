"""Notes kept from one conversation to the next: Markdown files in `$HERMES_HOME/memory`, for people too.

What the tool writes begins with a few lines of its own:

    ---
    written: 2026-11-21
    source: written after reading web page
    ---

`source` stands there where what is noted may be the word of somebody else. A person may write and change
these files as they like; a file without such lines is their own word.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from configuration.home import SettingsError, changing
from safety.paths import canonical, exact_folder, open_exact

MOST_CHARACTERS = 4_000
MOST_NOTES = 100
_MOST_BYTES = 5 * MOST_CHARACTERS
"""Of one file that are read: UTF-8 has at most four for a character, and the first lines want some."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_FIRST_LINES = re.compile(r"---\n((?:(?:written|source):[^\n]*\n)*)---\n")


class NoteError(ValueError):
    """Nothing was read or changed; the text says why and what helps."""


class Note(Struct, frozen=True):
    """`source` is "" for what nobody but the person and the model had a part in. `changed`: epoch seconds.

    `cut`: the file holds more than a note may; `text` is its beginning.
    """

    name: str
    text: str
    source: str
    changed: float
    cut: bool = False


def check_note(name: str, text: str | None = None) -> None:
    """Raises NoteError where `name` or `text` cannot be those of a note."""
    if not _NAME.fullmatch(name):
        raise NoteError(
            f"{name[:80]!r} is no name for a note: small letters, digits, - and _, at most 64; "
            "for example user-preferences"
        )
    if text is None:
        return
    if not text.strip():
        raise NoteError("the note has no text")
    if len(text) > MOST_CHARACTERS:
        raise NoteError(
            f"the note would have {len(text)} characters; keep it to {MOST_CHARACTERS}, or use several notes"
        )


class MemoryNotes:
    """The notes in one folder, which may not exist yet. No link in it is followed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> str:
        """Where the note is, links to the folder itself resolved."""
        return os.path.join(canonical(str(self.folder)), f"{name}.md")

    def names(self) -> list[str]:
        """In the order of the alphabet. Raises NoteError where the folder cannot be read."""
        try:
            with os.scandir(self.folder) as entries:
                files = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _failure(error, f"the notes in {self.folder} cannot be listed") from None
        stems = (name.removesuffix(".md") for name in files if name.endswith(".md"))
        return sorted(stem for stem in stems if _NAME.fullmatch(stem))

    def notes(self) -> list[Note]:
        """All that can be read."""
        found = []
        for name in self.names():
            try:
                found.append(self.read(name))
            except NoteError:
                continue  # deleted meanwhile, or not readable: whoever asks for it by name is told
        return found

    def read(self, name: str) -> Note:
        """Raises NoteError."""
        check_note(name)
        try:
            with open(open_exact(self.path(name), os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                facts = os.fstat(file.fileno())
                if not stat.S_ISREG(facts.st_mode):
                    raise NoteError(f"{name}.md is no plain file")
                data = file.read(_MOST_BYTES)
        except FileNotFoundError:
            known = ", ".join(self.names()) or "none"
            raise NoteError(f"there is no note {name!r}; there are: {known}") from None
        except OSError as error:
            raise _failure(error, f"the note {name!r} cannot be read") from None
        text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n")
        source = ""
        if first := _FIRST_LINES.match(text):
            text = text[first.end() :]
            lines = (line.partition(":") for line in first[1].splitlines())
            source = next((value.strip() for key, _, value in lines if key == "source"), "")
        text = text.strip("\n")
        cut = len(text) > MOST_CHARACTERS or facts.st_size > _MOST_BYTES
        return Note(name, text[:MOST_CHARACTERS], source, facts.st_mtime, cut)

    def write(self, name: str, text: str, source: str = "") -> None:
        """Make the note, or put it in place of the one of that name. Raises NoteError."""
        check_note(name, text)
        with _changing(self.folder):
            self._put(name, text, source)

    def append(self, name: str, text: str, source: str = "") -> None:
        """Add lines to the note, which keeps the source it has; make it where there is none.

        Raises NoteError.
        """
        check_note(name, text)
        with _changing(self.folder):
            if name in self.names():
                before = self.read(name)
                if before.cut:
                    raise NoteError(f"the note {name!r} is too long already; write it anew, shorter")
                text, source = f"{before.text}\n{text}", before.source or source
                check_note(name, text)
            self._put(name, text, source)

    def delete(self, name: str) -> None:
        """Raises NoteError."""
        check_note(name)
        self.read(name)
        try:
            with exact_folder(self.path(name)) as (folder, file):
                os.unlink(file, dir_fd=folder)
        except OSError as error:
            raise _failure(error, f"the note {name!r} cannot be deleted") from None

    def _put(self, name: str, text: str, source: str) -> None:
        names = self.names()
        if name not in names and len(names) >= MOST_NOTES:
            raise NoteError(f"there are {len(names)} notes, as many as may be; delete or join some first")
        told = f"source: {' '.join(source.split())[:200]}\n" if source else ""
        content = f"---\nwritten: {time.strftime('%Y-%m-%d')}\n{told}---\n{text.rstrip()}\n"
        try:
            with exact_folder(self.path(name)) as (folder, file):
                _refuse_others(folder, file)
                _replace(folder, file, content.encode("utf-8", "replace"))
        except OSError as error:
            raise _failure(error, f"the note {name!r} cannot be written") from None


@contextlib.contextmanager
def _changing(folder: Path) -> Iterator[None]:
    try:
        with changing(folder):
            yield
    except SettingsError as error:
        raise NoteError(str(error)) from None


def _refuse_others(folder: int, file: str) -> None:
    """What stands in the place of a note and is none stays as it is."""
    try:
        mode = os.stat(file, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise OSError(errno.EEXIST, "a link or a folder of this name is there; take it away first", file)


def _replace(folder: int, file: str, content: bytes) -> None:
    draft = f".{file}.{os.urandom(6).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(draft, flags, 0o600, dir_fd=folder), "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(draft, file, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):  # it may have taken the note's place
            os.unlink(draft, dir_fd=folder)
        raise


def _failure(error: OSError, what: str) -> NoteError:
    return NoteError(f"{what}: {error.strerror or error}")
