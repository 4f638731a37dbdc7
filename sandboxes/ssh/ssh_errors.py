"""What ssh says when a connection cannot be had, in plain words with the way out."""

from __future__ import annotations

import re

_KNOWN = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key is not the one in known_hosts: it was installed anew, or somebody is in between. "
        "Ask who runs it; then `ssh-keygen -R {host}` forgets the old key",
    ),
    (
        r"host key is known|Host key verification failed",
        "its host key is not in known_hosts; connect once with `ssh {host}` and compare the key, or set "
        "ssh.known_hosts to accept-new",
    ),
    (
        r"Could not resolve hostname|Name or service not known",
        "there is no host of that name; check ssh.host and ~/.ssh/config",
    ),
    (r"Connection refused", "nothing listens there; check ssh.port, and that its sshd runs"),
    (
        r"Too many authentication failures",
        "it refused the login before the right key was tried; name the key in ssh.identity_file and add "
        "IdentitiesOnly=yes to ssh.options",
    ),
    (
        r"Permission denied",
        "it refused the login; check ssh.user and ssh.identity_file, and that `ssh {host}` works without a "
        "question: a key with a passphrase has to be in ssh-agent",
    ),
    (
        r"[Tt]imed out|No route to host|Network is unreachable",
        "it cannot be reached; check the network and ssh.host",
    ),
    (r"Bad configuration option|[Uu]nsupported option|Bad number of arguments|missing argument",
     "ssh does not understand an option; check ssh.options and ~/.ssh/config"),
    (r"bash: (command )?not found|bash: No such file|exec: bash|not found: bash|Unknown command.*bash",
     "there is no bash; install bash 4.4 or newer there"),
)  # fmt: skip
_BUSY = re.compile(r"kex_exchange_identification|Connection (closed|reset) by|Not allowed at this time")


def explained(said: str, host: str) -> str:
    """A clause on why `host` cannot be used, with what ssh itself said."""
    last = said.strip().rpartition("\n")[2].strip()
    for pattern, clause in _KNOWN:
        if re.search(pattern, said):
            return f"{clause.format(host=host)} ({last})"
    return last or "ssh ended without a word"


def is_passing(said: str) -> bool:
    """Whether another try may do better: the server has too many logins at once (MaxStartups)."""
    return bool(_BUSY.search(said)) and not re.search("Permission denied|verification failed", said)
