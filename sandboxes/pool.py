"""Pools of sandboxes for rollouts: the names other parts import. Importing this loads none of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandboxes.modal.modal_pool import ModalToolBackend as ModalToolBackend
    from sandboxes.pools.contract import SandboxLost as SandboxLost
    from sandboxes.pools.contract import Slot as Slot
    from sandboxes.pools.contract import ToolBackend as ToolBackend
    from sandboxes.pools.contract import ToolCall as ToolCall
    from sandboxes.pools.contract import ToolResult as ToolResult
    from sandboxes.pools.docker_provider import DockerProvider as DockerProvider
    from sandboxes.pools.local_provider import LocalProvider as LocalProvider
    from sandboxes.pools.nomad_pool import NomadToolBackend as NomadToolBackend
    from sandboxes.pools.slot_pool import PoolLimits as PoolLimits
    from sandboxes.pools.slot_pool import SlotPool as SlotPool

_MODULES = {
    "SandboxLost": "contract", "Slot": "contract", "ToolBackend": "contract", "ToolCall": "contract",
    "ToolResult": "contract", "PoolLimits": "slot_pool", "SlotPool": "slot_pool",
    "LocalProvider": "local_provider", "DockerProvider": "docker_provider", "NomadToolBackend": "nomad_pool",
}  # fmt: skip
_OTHERS = {"ModalToolBackend": "sandboxes.modal.modal_pool"}
__all__ = [*_MODULES, *_OTHERS]


def __getattr__(name: str) -> Any:
    module = f"sandboxes.pools.{_MODULES[name]}" if name in _MODULES else _OTHERS.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(module), name)
