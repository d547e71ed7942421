"""The pass `rewire-calls`: the code of bridged instances calls the shims."""

from __future__ import annotations

from meld.ir.module import Module
from meld.passes.base import Pass, PassContext
from meld.passes.emit_bridge import Shim


class RewireCalls(Pass):
    """Rebind each bridged instance's stream intrinsics to its shims.

    Every use is rebound: calls, `ref.func`, element segments, re-exports. Only what the compiler itself made keeps the
    intrinsics, which so remain as the path for handles of the host.
    """

    name = "rewire-calls"
    requires = frozenset({"stream-bridge"})
    establishes = frozenset({"rewired"})

    def run(self, module: Module, cx: PassContext) -> None:
        shims = {n.replaces: f for f in module.functions for n in f.notes if isinstance(n, Shim)}
        module.replace_uses(shims, unless=lambda item: item.synthetic is not None)
        cx.stats["rewired intrinsics"] = len(shims)
