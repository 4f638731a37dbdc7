"""What Apptainer complains about, in plain words: its own texts, as version 1.4 writes them."""

from __future__ import annotations

import pytest

from sandboxes.containers.apptainer_client import problem

_NO_INSTANCE = "ERROR:   container cleanup failed: no instance found with name hermes-1\n"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "FATAL:   container creation failed: while applying cgroups config: cannot use cgroups - system "
            "is not configured for cgroups v2 in unified mode",
            "this machine lets it set no limits",
        ),
        (
            "INFO:    no cgroup\nFATAL:   container creation failed: image driver mount failure: image "
            "driver squashfuse_ll instance exited with error: fuse: failed to open /dev/fuse",
            "this account cannot mount the image x.sif",
        ),
        (
            "FATAL:   exec /.singularity.d/startscript failed: fork/exec /.singularity.d/startscript: "
            "no such file or directory",
            "the image x.sif has no bash",
        ),
        ("FATAL:   something that nobody has seen", "no instance could be started"),
    ],
)
def test_a_complaint_is_told_with_what_helps(said: str, told: str) -> None:
    error = str(problem("apptainer", _NO_INSTANCE + said, "x.sif"))
    assert error.startswith(f"apptainer: {told}")
    assert "FATAL" in error, "its own words are there too"
