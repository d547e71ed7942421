"""The pass `rewire-calls`: the code of bridged instances calls the shims."""

from __future__ import annotations

from meld.abi.intrinsics import INTRINSICS, Operation
from meld.ir.module import CoreItem, Module
from meld.notes.streams import Shim
from meld.passes.base import Pass, PassContext


class RewireCalls(Pass):
    """Rebind each bridged instance's stream intrinsics to its shims.

    `*_new` is rebound last: a partially rewired instance must not receive local handles that its other intrinsics would
    reject.

    Every use is rebound: calls, `ref.func`, element segments, re-exports. Generated code keeps calling the intrinsics,
    so that the shims can still pass on handles of the host.

        (func $a/run … (call $a/stream_write …))
    becomes
        (func $a/run … (call $a/stream_write.shim …))
    """

    name = "rewire-calls"
    requires = frozenset({"stream-bridge"})
    establishes = frozenset({"rewired"})

    def run(self, module: Module, cx: PassContext) -> None:
        noted = list(module.noted(Shim, module.functions))
        shims: dict[CoreItem, CoreItem] = {n.replaces: f for f, n in noted}
        makers = {n.replaces for _, n in noted if INTRINSICS[n.intrinsic].operation is Operation.NEW}
        rebound = {item: f for item, f in shims.items() if item not in makers and cx.allows("rewire", f)}
        if len(rebound) + len(makers) == len(shims):
            rebound |= {item: shims[item] for item in shims if item in makers and cx.allows("rewire", shims[item])}
        module.replace_uses(rebound, unless=lambda item: item.synthetic is not None)
        cx.stats["rewired intrinsics"] = len(rebound)
