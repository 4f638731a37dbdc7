"""A Chromium on this machine, whose every connection goes through a proxy that checks where to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.browser.failures import BrowserError

_START_SECONDS = 25.0
_LISTENING = re.compile(rb"DevTools listening on (ws://\S+)")
_NOBODY = "127.0.0.1:9"
_ARGUMENTS = (
    "--remote-debugging-port=0", "--no-first-run", "--no-default-browser-check", "--window-size=1280,900",
    # Nothing beside the proxy: QUIC and WebRTC are UDP.
    "--proxy-bypass-list=<-loopback>", "--disable-quic", "--dns-prefetch-disable",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    # Nothing of its own accord; what only an address switches off, is sent where nobody is.
    "--disable-background-networking", "--disable-sync", "--disable-default-apps",
    "--disable-domain-reliability", "--disable-field-trial-config", "--no-pings",
    "--disable-client-side-phishing-detection",
    "--metrics-recording-only", "--disable-search-engine-choice-screen", "--disable-component-update",
    f"--component-updater=url-source=https://{_NOBODY}/", f"--gaia-url=https://{_NOBODY}",
    "--disable-features=Translate,MediaRouter,OptimizationHints,NetworkTimeServiceQuerying",
    # Questions that nobody would answer, and what would outlive it or reach the person's own keys.
    "--deny-permission-prompts", "--disable-notifications", "--noerrdialogs", "--disable-infobars",
    "--disable-breakpad", "--disable-crash-reporter", "--password-store=basic", "--use-mock-keychain",
    "--disable-extensions", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio",
    "--disk-cache-size=100000000",
    "--disable-backgrounding-occluded-windows",
)  # fmt: skip
_PREFERENCES = {
    "download_restrictions": 3,  # all are refused: DownloadPrefs::DownloadRestriction::ALL_FILES
    "download": {"prompt_for_download": False},
    "credentials_enable_service": False,
    "signin": {"allowed": False, "allowed_on_next_startup": False},
    "autofill": {"profile_enabled": False, "credit_card_enabled": False},
    "dns_prefetching": {"enabled": False},
    "net": {"network_prediction_options": 2},
    "profile": {"password_manager_enabled": False, "default_content_setting_values": {"notifications": 2}},
}


class LocalChromium:
    guarded = True
    shared = False

    def __init__(
        self, program: str, allowed_hosts: Sequence[str], environ: Mapping[str, str], *, headed: bool = False
    ) -> None:
        from safety.addresses import AllowedHosts
        from tools.network.filtering_proxy import FilteringProxy
        from tools.network.guard import Guard

        self._program = program
        self._headed = headed
        self._proxy = FilteringProxy(Guard(AllowedHosts(allowed_hosts), environ=environ))
        self._told: list[str] = []
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def group(self) -> int:
        """Its process group; 0 before it runs."""
        return self._process.pid if self._process is not None else 0

    async def open(self, folder: Path, environment: dict[str, str]) -> str:
        profile = folder / "profile"
        (profile / "Default").mkdir(mode=0o700)
        (profile / "Default" / "Preferences").write_text(json.dumps(_PREFERENCES), encoding="utf-8")
        arguments = [
            *_ARGUMENTS,
            *([] if self._headed else ["--headless=new"]),
            # Chromium's own sandbox does not start for root.
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            f"--user-data-dir={profile}",
            f"--proxy-server={await self._proxy.start()}",
            "about:blank",
        ]
        try:
            self._process = await asyncio.create_subprocess_exec(
                self._program, *arguments, cwd=folder, env=environment, start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:
            raise BrowserError(f"{self._program} cannot be started: {error.strerror or error}") from None
        said: list[bytes] = []
        try:
            async with asyncio.timeout(_START_SECONDS):
                url = await self._read_until_listening(said)
        except TimeoutError:
            raise BrowserError(f"{self._program} did not come up within {_START_SECONDS:g} s") from None
        if not url:
            told = b"".join(said)[-400:].decode("utf-8", "replace").strip()
            raise BrowserError(
                f"{self._program} ended as soon as it was started: {told or 'it says nothing'}"
            )
        self._reader = asyncio.create_task(self._drain())
        return url

    @property
    def ended(self) -> str:
        if self._process is None or self._process.returncode is None:
            return ""
        code = self._process.returncode
        return f"killed by signal {-code}" if code < 0 else f"it ended with code {code}"

    def refusals(self) -> list[str]:
        before, self._told = self._told, list(self._proxy.refused)
        for known in range(min(len(before), len(self._told)), 0, -1):  # the proxy remembers the last few
            if before[-known:] == self._told[:known]:
                return _of_pages(self._told[known:])
        return _of_pages(self._told)

    async def close(self) -> None:
        """Its processes were ended already."""
        if self._reader is not None:
            self._reader.cancel()
        await self._proxy.aclose()
        if self._process is not None:
            with contextlib.suppress(TimeoutError):  # somebody may hold its stderr
                async with asyncio.timeout(2):
                    await self._process.wait()

    async def _read_until_listening(self, said: list[bytes]) -> str:
        assert self._process is not None and self._process.stderr is not None
        while line := await self._process.stderr.readline():
            said.append(line)
            if found := _LISTENING.search(line):
                return found.group(1).decode("ascii", "replace")
        return ""

    async def _drain(self) -> None:
        """What it says is for nobody, but a full pipe would stop it."""
        assert self._process is not None and self._process.stderr is not None
        while await self._process.stderr.read(65536):
            pass


def _of_pages(refusals: list[str]) -> list[str]:
    return [each for each in dict.fromkeys(refusals) if not each.startswith(f"{_NOBODY}:")]
