"""Images for Apptainer made of programs of this machine."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.sandboxes.root_archive import write_root

PROGRAM = shutil.which("apptainer") or shutil.which("singularity")


def root_folder(folder: Path) -> Path:
    """A plain folder that is an image; skips the test where there is no Apptainer."""
    if PROGRAM is None:
        pytest.skip("neither Apptainer nor SingularityCE is installed")
    archive, root = folder / "root.tar", folder / "root"
    write_root(archive)
    with tarfile.open(archive) as tar:
        tar.extractall(root, filter="fully_trusted")
    archive.unlink()
    return root


def image_file(folder: Path) -> Path:
    """The same as a .sif; skips where none can be built."""
    root, image = root_folder(folder), folder / "image.sif"
    assert PROGRAM is not None
    done = subprocess.run(
        [PROGRAM, "build", str(image), str(root)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no image can be built here: {done.stderr.splitlines()[-1:]}")
    return image
