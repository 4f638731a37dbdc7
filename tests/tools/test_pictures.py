"""Picture files by their bytes, whatever they are called."""

from __future__ import annotations

import asyncio
import base64
import os
import random
from pathlib import Path

import pytest

from sandboxes.local import LocalSandbox
from tests.tools import drawn
from tools.pictures import (
    MOST_BYTES,
    PictureError,
    check_picture,
    open_picture,
    read_picture,
    size_told,
    text_and_pictures,
)

KINDS = {
    "image/png": [drawn.png()],
    "image/jpeg": [drawn.JPEG],
    "image/gif": [drawn.GIF],
    "image/webp": [drawn.WEBP, drawn.WEBP_LOSSLESS, drawn.WEBP_EXTENDED],
}


@pytest.mark.parametrize(
    ("media_type", "data"), [(kind, data) for kind, samples in KINDS.items() for data in samples]
)
def test_each_kind_is_known_by_its_bytes_and_measured(media_type: str, data: bytes) -> None:
    picture = check_picture("a.bin", data)
    assert (picture.media_type, picture.width, picture.height) == (media_type, 7, 5)
    assert picture.part()["image_url"]["url"] == f"data:{media_type};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"not a picture at all\n", "is text"),
        (drawn.SVG, "SVG"),
        (b"", "empty"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF document"),
        (b"BM" + bytes(60), "BMP image"),
        (bytes(range(256)) * 4, "binary file"),
        (drawn.png()[:20], "broken"),
        (drawn.png()[:-13], "broken"),
        (drawn.WEBP[:-1], "broken"),
        (drawn.JPEG[:30], "broken"),
        (b"\xff\xd8\xff" + b"\0" * 300, "broken"),
        (b"\x89PNG\r\n\x1a\n" + b"junk" * 10, "broken"),
        (b"GIF89a\0\0\0\0", "broken"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "broken"),
    ],
)
def test_what_is_no_picture_is_named_for_what_it_is(data: bytes, word: str) -> None:
    with pytest.raises(PictureError, match=word) as caught:
        check_picture("a.png", data)
    assert str(caught.value).startswith("a.png ")


@pytest.mark.parametrize("data", [samples[0] for samples in KINDS.values()])
def test_whatever_bytes_are_wrong_or_missing_it_is_measured_or_refused_and_nothing_else(data: bytes) -> None:
    dice = random.Random(7)
    wrong = [data[:size] for size in range(len(data))]
    for _ in range(2000):
        changed = bytearray(data)
        for _ in range(dice.randint(1, 4)):
            changed[dice.randrange(len(data))] = dice.randrange(256)
        wrong.append(bytes(changed))
    for each in wrong:
        try:
            check_picture("a", each)
        except PictureError:
            continue


def test_what_follows_the_end_of_a_picture_does_no_harm() -> None:
    assert check_picture("a.png", drawn.png() + b"more").width == 7


def test_what_is_larger_than_models_take_is_not_even_read(tmp_path: Path) -> None:
    huge = tmp_path / "huge.png"
    huge.touch()
    os.truncate(huge, 100_000_000)
    told = r"huge\.png has 100\.0 MB, and models take 20\.0 MB"
    with pytest.raises(PictureError, match=told):
        open_picture(str(huge))
    with pytest.raises(PictureError, match=told):
        asyncio.run(read_picture(LocalSandbox("t", str(tmp_path)), str(huge)))
    with pytest.raises(PictureError, match="smaller copy"):
        check_picture("a.png", drawn.png() + bytes(MOST_BYTES))


def test_folders_pipes_and_missing_files_keep_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    sandbox = LocalSandbox("t", str(tmp_path))
    for name in ("pipe.png", "folder.png"):
        with pytest.raises(PictureError, match="not a picture"):
            asyncio.run(read_picture(sandbox, str(tmp_path / name)))
        with pytest.raises(PictureError, match="not a picture"):
            open_picture(str(tmp_path / name))
    with pytest.raises(FileNotFoundError):
        asyncio.run(read_picture(sandbox, str(tmp_path / "none.png")))


def test_a_picture_with_very_many_pixels_comes_with_a_warning() -> None:
    assert "9001x1 pixels" in check_picture("wide.png", drawn.png(9001, 1)).warning
    assert check_picture("small.png", drawn.png()).warning == ""


def test_a_transcript_shows_name_and_size() -> None:
    assert check_picture("a.gif", drawn.GIF).told == "[picture: a.gif, 51 bytes]"
    assert [size_told(size) for size in (999, 34_200, 999_600, 5_000_000)] == [
        "999 bytes", "34 KB", "1.0 MB", "5.0 MB",
    ]  # fmt: skip


def test_a_message_holds_the_text_and_then_the_pictures() -> None:
    content = text_and_pictures("look", [check_picture("a.gif", drawn.GIF)] * 2)
    assert [part["type"] for part in content] == ["text", "image_url", "image_url"]
