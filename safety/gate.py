"""One decision for every effect a tool wants to have.

The gate informs a person and keeps their word; it is not a wall. The wall is the sandbox a command
runs in (see SECURITY.md).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from safety.confinement import UNCONFINED, Confinement
from safety.paths import acts_by_itself, canonical, is_within, private_places, touches_any

Effect: TypeAlias = Literal["read", "write", "exec", "net", "config", "secret"]
Mode: TypeAlias = Literal["ask", "auto-edit", "yolo", "deny"]
Verdict: TypeAlias = Literal["allow", "ask", "deny"]
PermissionAnswer: TypeAlias = Literal["once", "session", "deny"]


@dataclass(frozen=True, slots=True)
class EffectRequest:
    """What a call is about to do. `summary` is the full text a person decides on.

    `paths` are absolute. `grant` names what "for this session" would cover, "" if nothing may be
    granted beyond once. `command` and `cwd` are the shell command, whole, and the folder it would start in.
    """

    tool: str
    effects: tuple[Effect, ...]
    summary: str
    paths: tuple[str, ...] = ()
    grant: str = ""
    command: str = ""
    cwd: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """`approval` is what a person answered, now or earlier for the session; "" where nobody was asked."""

    verdict: Verdict
    reason: str
    approval: Literal["", "once", "session", "refused"] = ""


AskPermission: TypeAlias = Callable[[EffectRequest, str], Awaitable[PermissionAnswer]]
"""Asks a person. The second argument says why they are asked."""

UNATTENDED = (
    "nobody is here to approve it and no policy was given. Start with --policy auto-edit (edits inside the "
    "working folder), --yolo (everything) or set gate.mode; or run hermes interactively"
)


class Gate:
    """Decides allow, ask or deny; `authorize` also asks and remembers grants for this session.

    Args:
        mode: `ask` asks for every write and command; `auto-edit` allows writes inside `workspace`;
            `yolo` allows everything; `deny` allows reading only.
        workspace: the folder the person is working in.
        protected: folders whose content tools may change only with a person's word (agent config, …).
        ask: how to reach a person, None if nobody is there.
        explicit: the person chose `mode`; without that, an unattended run denies every effect.
        trusted: the person said that they trust the working folder.
        confinement: what holds commands, whatever is decided here.
    """

    def __init__(
        self,
        mode: Mode,
        *,
        workspace: str,
        protected: tuple[str, ...] = (),
        ask: AskPermission | None = None,
        explicit: bool = False,
        trusted: bool = False,
        confinement: Confinement = UNCONFINED,
    ) -> None:
        self.mode: Mode = mode
        self.trusted = trusted
        self.confinement = confinement
        self.workspace = canonical(workspace)
        self.protected = tuple(canonical(path) for path in protected)
        self.private = private_places()
        self.ask = ask
        self.explicit = explicit
        self._granted: set[str] = set()

    def decide(self, request: EffectRequest) -> Decision:
        """What happens to `request` now, without asking anyone."""
        if set(request.effects) <= {"read"}:
            return self._decide_read(request)
        if self.mode == "deny":
            return Decision("deny", "the policy is deny: tools may read, and nothing else")
        if self._touches(self.protected, request):
            return Decision("ask", "it touches the agent's own configuration, sessions or keys")
        if self.mode == "yolo":
            return Decision("allow", "the policy is yolo")
        if self._must_be_asked(request):
            return Decision("ask", "it touches private keys, or files that run without asking")
        if request.grant and request.grant in self._granted:
            return Decision("allow", f"you allowed {request.grant} for this session", "session")
        if self.mode == "auto-edit" and set(request.effects) <= {"read", "write"}:
            if request.paths and all(self.inside(path) for path in request.paths):
                return Decision("allow", "the policy is auto-edit and the file is inside the working folder")
            return Decision("ask", "the file is outside the working folder")
        return Decision("ask", f"it wants to {_spell(request.effects)}")

    async def authorize(self, request: EffectRequest) -> Decision:
        """Like `decide`, and asks the person where the answer is `ask`. Never returns `ask`."""
        decision = self.decide(request)
        if decision.verdict != "ask":
            return decision
        if self.ask is None:
            if not self.explicit and not self._touches(self.protected, request):
                return Decision("deny", f"{decision.reason}, {UNATTENDED}")
            return Decision(
                "deny", f"{decision.reason}, and nobody is here to approve it (policy {self.mode})"
            )
        if self._touches(self.protected, request) or self._must_be_asked(request):
            request = replace(request, grant="")  # for these folders the word is asked each time
        answer = await self.ask(request, decision.reason)
        if answer == "deny":
            return Decision("deny", "the person said no", "refused")
        lasting = answer == "session" and bool(request.grant)
        if lasting:
            self._granted.add(request.grant)
        return Decision("allow", "the person allowed it", "session" if lasting else "once")

    def forget_grants(self) -> None:
        """What was allowed for a session ends with it."""
        self._granted.clear()

    def inside(self, path: str) -> bool:
        """True if `path`, links resolved, lies in the workspace."""
        return is_within(canonical(path), self.workspace)

    def _decide_read(self, request: EffectRequest) -> Decision:
        if self.mode == "yolo":
            return Decision("allow", "the policy is yolo")
        if self._touches(self.protected, request):
            return Decision("ask", "it reads the agent's own configuration, sessions or keys")
        if self._touches(self.private, request):
            return Decision("ask", "private keys or passwords usually lie there")
        return Decision("allow", "reading is allowed")

    def _must_be_asked(self, request: EffectRequest) -> bool:
        """No grant and no `auto-edit` covers these; only a person's word for this one time does."""
        return self._touches(self.private, request) or (
            "write" in request.effects and any(acts_by_itself(canonical(path)) for path in request.paths)
        )

    @staticmethod
    def _touches(folders: tuple[str, ...], request: EffectRequest) -> bool:
        return any(touches_any(canonical(path), folders) for path in request.paths)


def _spell(effects: tuple[Effect, ...]) -> str:
    verbs = {
        "read": "read", "write": "write files", "exec": "run a command", "net": "use the network",
        "config": "change configuration", "secret": "use a secret",
    }  # fmt: skip
    return " and ".join(verbs[effect] for effect in effects if effect != "read" or len(effects) == 1)
