"""The executor as one file that any python3 of 3.10 or newer can run: a zip archive of its modules."""

from __future__ import annotations

import functools
import io
import zipfile
from pathlib import Path

_SANDBOXES = Path(__file__).parent.parent
_BESIDE = ("shell_state.py", "shell_state.sh", "process_tree.py")
_MAIN = "import sys\nfrom sandboxes.executor.service import main\nsys.exit(main())\n"


@functools.cache
def executor_archive() -> bytes:
    """The same bytes for the same sources."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        modules = sorted((_SANDBOXES / "executor").glob("*.py"))
        contents = {f"sandboxes/executor/{path.name}": path.read_text(encoding="utf-8") for path in modules}
        contents |= {f"sandboxes/{name}": (_SANDBOXES / name).read_text(encoding="utf-8") for name in _BESIDE}
        for name, text in {**contents, "sandboxes/__init__.py": "", "__main__.py": _MAIN}.items():
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
