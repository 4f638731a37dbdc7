"""Images for Apptainer made of programs of this machine."""

from __future__ import annotations

import hashlib
import io
import json
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


def docker_archive(folder: Path) -> Path:
    """The same as `docker save` writes it: one layer, a configuration, a manifest."""
    if PROGRAM is None:
        pytest.skip("neither Apptainer nor SingularityCE is installed")
    layer, archive = folder / "layer.tar", folder / "image.tar"
    write_root(layer)
    digest = hashlib.sha256(layer.read_bytes()).hexdigest()
    configuration = {
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["bash"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }  # fmt: skip
    manifest = [{"Config": "config.json", "RepoTags": ["test:1"], "Layers": ["layer.tar"]}]
    with tarfile.open(archive, "w") as tar:
        tar.add(layer, "layer.tar")
        for name, value in (("config.json", configuration), ("manifest.json", manifest)):
            data = json.dumps(value).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    layer.unlink()
    return archive
