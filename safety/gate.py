"""One decision for every effect a tool wants to have.

The gate informs a person and keeps their word; it is not a wall. The wall is the sandbox a command
runs in (see SECURITY.md).
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from safety.confinement import UNCONFINED, Confinement
from safety.exposure import Exposure
from safety.known_addresses import KnownAddresses
from safety.paths import acts_by_itself, canonical, is_within, private_places, touches_any
from safety.questions import Questions

if TYPE_CHECKING:
    from safety.commands.grants import Grant
    from safety.commands.judgement import Judgement
    from safety.commands.reach import Reach
    from safety.permissions import Permissions

log = logging.getLogger("hermes.gate")

Effect: TypeAlias = Literal["read", "write", "exec", "net", "config", "secret"]
Mode: TypeAlias = Literal["ask", "auto-edit", "yolo", "deny"]
Verdict: TypeAlias = Literal["allow", "ask", "deny"]
PermissionAnswer: TypeAlias = Literal["once", "session", "always", "deny"]


@dataclass(frozen=True, slots=True)
class EffectRequest:
    """What a call is about to do. `summary` is the full text a person decides on.

    `paths` are absolute. `grant` names what "for this session" would cover, "" if nothing may be
    granted beyond once, and `lasting` whether that may also be "always in this folder"; for a `command` the
    gate fills both in. `command` and `cwd` are the shell command, whole, and the folder it would start in;
    `fed`: it is given an input, and what it does with that, its text does not tell.

    The effects `read` and `net` together are a look at the web: nothing goes out but `urls`, or a query for
    a search engine. `net` alone sends what the call holds.

    `program`: `command` only starts what runs the code in `summary`, which no rule reads.

    `asked_for`: why a person has to be asked whatever the policy, as a hook of theirs wants; "" if not.
    `allowed`: the setting in which a person allowed such calls, which need no question then; "" if none did.

    `deed`: what the call does, as "it …", for the reason a person is asked for; "" where the effects tell it.
    """

    tool: str
    effects: tuple[Effect, ...]
    summary: str
    paths: tuple[str, ...] = ()
    grant: str = ""
    command: str = ""
    cwd: str = ""
    fed: bool = False
    lasting: bool = False
    urls: tuple[str, ...] = ()
    asked_for: str = ""
    program: bool = False
    allowed: str = ""
    deed: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """`approval` is what a person answered, now or earlier for the session; "" where nobody was asked.

    Of a command, `part` is what of it decided, `rule` by which rule, and `effects` are those it has at most.
    `final`: no policy changes an `ask` into `allow`; a person's word for this one time does.
    """

    verdict: Verdict
    reason: str
    approval: Literal["", "once", "session", "refused"] = ""
    part: str = ""
    rule: str = ""
    effects: tuple[Effect, ...] = ()
    final: bool = False


LOOK = frozenset({"read", "net"})
"""The effects of a look at the web."""

AskPermission: TypeAlias = Callable[[EffectRequest, str], Awaitable[PermissionAnswer]]
"""Asks a person. The second argument says why they are asked."""

UNATTENDED = "nobody is here to approve it and no policy was given"
WAYS: dict[Mode, str] = {
    "auto-edit": "--policy auto-edit (edits inside the working folder)",
    "yolo": "--yolo (everything)",
}
"""The policies that allow more than asking does, as a person chooses them."""


class Gate:
    """Decides allow, ask or deny; `authorize` also asks and remembers grants for this session.

    Args:
        mode: `ask` asks for every write and every command that does more than read; `auto-edit` allows writes
            inside `workspace`; `yolo` allows everything; `deny` allows reading only.
        workspace: the folder the person is working in.
        protected: folders whose content tools may change only with a person's word (agent config, …).
        ask: how to reach a person, None if nobody is there.
        explicit: the person chose `mode`; without that, an unattended run denies every effect.
        trusted: the person said that they trust the working folder.
        confinement: what holds commands, whatever is decided here.
        permissions: what the person allowed for good; None if nothing is.
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
        permissions: Permissions | None = None,
    ) -> None:
        self.mode: Mode = mode
        # The folder that was trusted is of this machine; the one that commands see there is another.
        self.trusted = trusted and confinement.kind != "ssh"
        self.confinement = confinement
        self.permissions = permissions
        self.workspace = canonical(workspace)
        self.protected = tuple(canonical(path) for path in protected)
        self.private = private_places(anywhere=confinement.kind == "ssh")
        self.ask = ask
        self.explicit = explicit
        self.exposure = Exposure()
        self.addresses = KnownAddresses()
        self.questions = Questions()
        self._granted: set[str] = set()
        self._granted_commands: list[Grant] = []
        self._known_reach: Reach | None = None
        self._changed_after = ""
        """What others may have written that was read before files here were changed without a question."""

    def decide(self, request: EffectRequest) -> Decision:
        """What happens to `request` now, without asking anyone."""
        return self._weigh(request, self._judge(request))

    async def authorize(self, request: EffectRequest) -> Decision:
        """Like `decide`, and asks the person where the answer is `ask`. Never returns `ask`."""
        judged = self._judge(request)
        decision = self._weigh(request, judged)
        if decision.verdict == "ask":
            async with self.questions.one():
                decision = self._weigh(request, judged)  # an answer that was just given may cover it
                if decision.verdict == "ask":
                    decision = await self._put_to_person(request, judged, decision)
        if decision.verdict == "allow":
            if decision.approval != "once" and self._writes_here(request, judged):
                self._changed_after = self._changed_after or self.exposure.untrusted
            self._note(request, judged)
        return decision

    def note_untrusted(self, source: str) -> None:
        """The model has read text that others may have written: a web page, a tool server's answer, …"""
        self.exposure.note_untrusted(source)

    def note_private(self, source: str) -> None:
        """The model has read what nobody else should."""
        self.exposure.note_private(source)

    def forget_grants(self) -> None:
        """What was allowed for a session ends with it, and so does what it has read."""
        self._granted.clear()
        self._granted_commands.clear()
        self._changed_after = ""
        self.exposure.forget()
        self.addresses.forget()

    def inside(self, path: str) -> bool:
        """True if `path`, links resolved, lies in the workspace."""
        return is_within(canonical(path), self.workspace)

    def _weigh(self, request: EffectRequest, judged: Judgement | None) -> Decision:
        decision = self._decide_command(request, judged) if judged else self._decide_other(request)
        if request.asked_for and decision.verdict != "deny":
            also = f"; {decision.reason}" if decision.verdict == "ask" else ""
            return replace(
                decision, verdict="ask", reason=request.asked_for + also, rule="hook", final=True, approval=""
            )
        if (
            decision.verdict != "deny"
            and not decision.final
            and self.exposure.complete
            and self._could_send(request, judged)
        ):
            return replace(
                decision, verdict="ask", reason=self.exposure.reason(), rule="exposure", final=True
            )
        return decision

    def _decide_other(self, request: EffectRequest) -> Decision:
        if set(request.effects) <= {"read"}:
            return self._decide_read(request)
        if self.mode == "deny":
            return Decision("deny", "the policy is deny: tools may read, and nothing else")
        if self._touches(self.protected, request):
            told = f": {request.deed}" if request.deed else ""
            reason = f"it touches the agent's own configuration, sessions or keys{told}"
            return Decision("ask", reason, final=True)
        if self.mode == "yolo":
            return Decision("allow", "the policy is yolo")
        if set(request.effects) == LOOK:
            return self._decide_look(request)
        if self._must_be_asked(request):
            return Decision("ask", "it touches private keys, or files that run without asking")
        if request.allowed:
            return Decision("allow", f"your setting {request.allowed} allows it")
        if request.grant and request.grant in self._granted:
            return Decision("allow", f"you allowed {request.grant} for this session", "session")
        if self.mode == "auto-edit" and set(request.effects) <= {"read", "write"}:
            if request.paths and all(self._reach().inside(canonical(path)) for path in request.paths):
                return Decision("allow", "the policy is auto-edit and the file is inside the working folder")
            return Decision("ask", "the file is outside the working folder")
        return Decision("ask", request.deed or f"it wants to {_spell(request.effects)}")

    def _decide_look(self, request: EffectRequest) -> Decision:
        made_up = [url for url in request.urls if not self.addresses.knows(url)]
        if not made_up or not self.exposure.untrusted:
            return Decision("allow", "looking at the web is allowed")
        if request.grant and request.grant in self._granted:
            return Decision("allow", f"you allowed {request.grant} for this session", "session")
        return Decision(
            "ask",
            f"the model made up the address {made_up[0][:300]} after it had read what others may have "
            f"written ({self.exposure.untrusted}), and an address can carry something out",
            rule="address",
        )

    def _why_not_run(self, judged: Judgement) -> str:
        """Of the project's own code, why a person is asked; "" of other commands."""
        if judged.standing != "project":
            return ""
        if not self.trusted:
            return ", and you have not said that you trust this folder"
        return (
            ", and files were changed without a question after the model had read what others may have "
            f"written ({self._changed_after})"
        )

    def _decide_command(self, request: EffectRequest, judged: Judgement) -> Decision:
        effects = cast("tuple[Effect, ...]", judged.effects)

        def told(verdict: Verdict, reason: str, rule: str = "", **more: bool) -> Decision:
            return Decision(verdict, reason, "", judged.part, rule or judged.rule, effects, **more)

        reads = judged.standing == "reads"
        if self.mode == "deny":
            if reads:
                return told("allow", judged.reason)
            return told("deny", "the policy is deny: commands may read, and nothing else")
        if any(self._reach().guarded(path) == "protected" for path in judged.writes):
            return told("ask", "it touches the agent's own configuration, sessions or keys", "", final=True)
        if self.mode == "yolo":
            return told("allow", "the policy is yolo", "policy yolo")
        if reads:
            return told("allow", judged.reason)
        sealed = self.confinement.holds and not self.confinement.network
        if judged.standing == "project" and self._project_may_run and (sealed or not self._changed_after):
            held = "" if self.trusted else ", and the sandbox holds it"
            return told("allow", judged.reason + (held or ", which you trust"))
        if judged.standing == "writes" and self.mode == "auto-edit":
            return told("allow", "the policy is auto-edit and it writes inside the working folder")
        if request.program and sealed:
            return told("allow", "the sandbox holds it, without network")
        if grant := self._grant(request, judged):
            if any(each.covers(grant) for each in self._granted_commands):
                return replace(told("allow", f"you allowed {grant} for this session"), approval="session")
            if self.permissions and any(each.covers(grant) for each in self._lasting_grants()):
                return told("allow", f"you allowed {grant} always in this folder", "permissions.yaml")
        return told("ask", judged.reason + self._why_not_run(judged))

    async def _put_to_person(
        self, request: EffectRequest, judged: Judgement | None, decision: Decision
    ) -> Decision:
        if self.ask is None:
            if not self.explicit and not decision.final:
                advice = self._advice(request, judged)
                return replace(decision, verdict="deny", reason=f"{decision.reason}, {UNATTENDED}. {advice}")
            nobody = f"{decision.reason}, and nobody is here to approve it (policy {self.mode})"
            return replace(decision, verdict="deny", reason=nobody)
        grant: Grant | None = None
        if judged is not None:
            grant = None if decision.final else self._grant(request, judged)
            lasting = grant is not None and grant.lasting and self.permissions is not None
            request = replace(request, grant=str(grant or ""), lasting=lasting)
        elif decision.final or self._touches(self.protected, request) or self._must_be_asked(request):
            request = replace(request, grant="", lasting=False)  # the word is asked for each time
        answer = await self.ask(request, decision.reason)
        if answer == "deny":
            return replace(decision, verdict="deny", reason="the person said no", approval="refused")
        lasts = answer in ("session", "always") and bool(request.grant)
        if lasts and grant is not None:
            self._granted_commands.append(grant)
            if answer == "always" and request.lasting and self.permissions is not None:
                self._keep_for_good(grant, self.permissions)
        elif lasts:
            self._granted.add(request.grant)
        approval: Literal["once", "session"] = "session" if lasts else "once"
        return replace(decision, verdict="allow", reason="the person allowed it", approval=approval)

    def _advice(self, request: EffectRequest, judged: Judgement | None) -> str:
        """How to start hermes so that `request` is allowed; names only what would do."""
        ways = []
        for mode, way in WAYS.items():
            other = copy.copy(self)
            other.mode = mode
            if other._weigh(request, judged).verdict == "allow":
                ways.append(way)
        start = f"Start with {', '.join(ways)} or set gate.mode to the same; or run" if ways else "Run"
        return f"{start} hermes interactively"

    def _keep_for_good(self, grant: Grant, permissions: Permissions) -> None:
        """A file that cannot be written costs the person the same question another day, not this command."""
        from safety.permissions import PermissionsError

        try:
            permissions.add(self.workspace, grant)
        except PermissionsError as error:
            log.warning("the permission is not kept: %s", error)

    def _lasting_grants(self) -> list[Grant]:
        from safety.permissions import PermissionsError

        try:
            return self.permissions.granted(self.workspace) if self.permissions else []
        except PermissionsError as error:
            log.warning("%s", error)
            return []

    def _judge(self, request: EffectRequest) -> Judgement | None:
        if not request.command or "exec" not in request.effects:
            return None
        from safety.commands.judge import judge

        judged = judge(request.command, request.cwd, self._reach(), trusted=self._project_may_run)
        judged.effects = tuple(dict.fromkeys([*judged.effects, *request.effects[1:]]))
        if request.program:
            judged.standing, judged.part, judged.rule = "unknown", f"the code of {request.tool}", "program"
            judged.reason = "it runs code, which no rule can judge"
        elif request.fed and judged.standing != "unknown":
            judged.standing, judged.part, judged.rule = "unknown", request.command, "input"
            judged.reason = "what it does with the input it is given, its text does not tell"
        return judged

    def _grant(self, request: EffectRequest, judged: Judgement) -> Grant | None:
        from safety.commands.grants import grant_for

        if request.fed or request.program:
            return None
        return grant_for(request.command, request.cwd, self._reach(), judged)

    def _reach(self) -> Reach:
        if self._known_reach is None:
            from safety.commands.reach import Reach

            own = self.confinement.holds and not self.confinement.here
            home = os.path.expanduser("~")
            self._known_reach = Reach(
                self.workspace, self.protected, self.private, home if home.startswith("/") else "", own
            )
        return self._known_reach

    @property
    def _project_may_run(self) -> bool:
        return self.trusted or (self.confinement.holds and not self.confinement.network)

    def _writes_here(self, request: EffectRequest, judged: Judgement | None) -> bool:
        paths = judged.writes if judged else request.paths if "write" in request.effects else ()
        return any(self.inside(path) for path in paths)

    def _could_send(self, request: EffectRequest, judged: Judgement | None) -> bool:
        if "exec" not in request.effects:
            plain = bool(request.urls) and all(map(self.addresses.knows, request.urls))
            return "net" in request.effects and not (plain and set(request.effects) == LOOK)
        if not self.confinement.network:
            return False
        return judged is None or judged.standing in ("project", "unknown") or "net" in judged.effects

    def _note(self, request: EffectRequest, judged: Judgement | None) -> None:
        """What an allowed request lets the model read. Of a look at the web the reply tells, once there is
        one (`tools.untrusted.mark`): one that failed brought nothing."""
        effects = judged.effects if judged else request.effects
        source = judged.part if judged else request.tool
        if "net" in effects and (judged or set(effects) != LOOK):
            self.note_untrusted(f"what came from {source}")
        if (judged and judged.private) or "secret" in effects:
            self.note_private((judged.private if judged else "") or source)
        if "read" not in effects and not judged:
            return
        for path in judged.reads if judged else map(canonical, request.paths):
            if self._reach().guarded(path) or self._reach().secret(path):
                self.note_private(path)
            if not self._reach().harmless(path) and not (self.trusted and self._reach().inside(path)):
                self.note_untrusted(path)

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
