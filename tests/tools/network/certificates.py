"""Certificates made on the spot by the program `openssl`: an authority of our own, and what it signs."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """Keeps its files in `folder`; `trusting` is how a client checks that trusts nobody else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        extensions = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign")
        _openssl("req", "-x509", *_KEY, "-keyout", folder / "ca.key", "-out", folder / "ca.pem", "-days", "2",
                 "-subj", "/CN=an authority of our own", *extensions)  # fmt: skip
        self.file = folder / "ca.pem"
        self.trusting = ssl.create_default_context(cafile=str(self.file))

    def serving(self, names: str, days: int = 2, *, self_signed: bool = False) -> ssl.SSLContext:
        """How a server speaks TLS with a certificate for `names` (DNS:a.example,IP:…), valid from now on.

        With `days` below zero its time is over.
        """
        key, request, signed = (self._folder / f"leaf.{end}" for end in ("key", "csr", "pem"))
        _openssl("req", *_KEY, "-keyout", key, "-out", request, "-subj", "/CN=a site")
        extensions = self._folder / "extensions"
        extensions.write_text(f"subjectAltName={names}\n")
        by = ("-key", key) if self_signed else ("-CA", self.file, "-CAkey", self._folder / "ca.key")
        _openssl("x509", "-req", "-in", request, *by, "-set_serial", "7", "-days", str(days),
                 "-extfile", extensions, "-out", signed)  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(signed, key)
        return context


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
