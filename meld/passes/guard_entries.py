"""The pass `guard-entries`: after a trap nothing of the program can be entered again.

Engines close all component instances of a store once one of them has trapped: memory may hold anything by then. In a
core module nobody does it for us, so each exported function gets a guard that the host calls in its place. Calls inside
the module go past the guards.

The state is one global, which says whether an exported function runs. Where it still says so at the next entry, the
last one has not returned: it trapped. A host that is called by the program may call it back, so during such a call the
global says no; if it says yes afterwards, a call back has trapped, and so does the program, as under an engine.

Source: Component Model, CanonicalABI.md: `canon lift` (traps); behaviour of engines.
"""

from __future__ import annotations

from dataclasses import replace

from meld.abi.traps import Trap, trap_function
from meld.ir.instructions import Code, Instruction
from meld.ir.module import CoreItem, Export, Function, Global, Module
from meld.ir.types import I32
from meld.notes.boundaries import HostCall, HostExport
from meld.passes.base import Pass, PassContext
from meld.rewriting.rebind import rebind_notes

KIND = "entry-guard"


class GuardEntries(Pass):
    """Close the program for good after a trap, as engines do with components.

    Guarded are the functions that components export, and their post-return functions. Exports of core modules that are
    fused as they are (stream partners) stay what they are, and so does `realloc`, which the host calls while the
    program runs. A trap in a function of the host is not seen.
    """

    name = "guard-entries"
    requires = frozenset({"wired"})
    establishes = frozenset({"guarded"})
    after = ("adapter-wiring",)
    before = ("finish",)

    def run(self, module: Module, cx: PassContext) -> None:
        exports = [n for n in module.notes_of(HostExport) if not n.lift.is_async and n.lift.callback is None]
        if not exports:
            return
        state = Global(I32, True, [_const(0)], name="entered", synthetic=KIND)
        calls = [i for i in module.imports if isinstance(i, Function) and any(isinstance(n, HostCall) for n in i.notes)]
        opened = [item for item in calls if cx.asks("open call", item)]
        entered = _trap_if_entered(state, trap_function(module, Trap.ENTER))
        _guard_host_calls(module, opened, state, entered)
        cx.stats["guarded imports"] = len(opened)
        guards: dict[Function, Function] = {}

        def guard(function: Function, label: str) -> Function:
            # while the host cannot call back, an entry would be taken for one after a trap
            if function not in guards and len(opened) == len(calls) and cx.asks("guard", function):
                guards[function] = _entry(function, state, entered, f"{label}.entry")
                module.add(guards[function])
            return guards.setdefault(function, function)

        for n in exports:
            n.target = guard(n.target, n.label)
            if n.lift.post_return is not None:
                n.lift = replace(n.lift, post_return=guard(n.lift.post_return, f"cabi_post_{n.label}"))
        module.exports = [_guarded(export, guards) for export in module.exports]
        made = [guard for function, guard in guards.items() if guard is not function]
        cx.stats["guarded exports"] = len(made)
        if opened or made:
            module.add(state)


def _guarded(export: Export, guards: dict[Function, Function]) -> Export:
    item = guards.get(export.item) if isinstance(export.item, Function) else None
    return export if item is None else Export(export.name, item, export.span)


def _entry(function: Function, state: Global, entered: list[Instruction], name: str) -> Function:
    """What the host calls in place of an exported function."""
    code = [*entered, _const(1), _set(state), *_call(function), _const(0), _set(state)]
    return Function(function.type, Code([], code), name=name, owner=function.owner, synthetic=KIND)


def _guard_host_calls(module: Module, calls: list[Function], state: Global, entered: list[Instruction]) -> None:
    """Lets the host call back while it is called."""
    new: dict[CoreItem, CoreItem] = {item: _exit(item, state, entered) for item in calls}
    for guard in new.values():
        module.add(guard)
    own = set(new.values())
    module.replace_uses(new, unless=lambda item: item in own)
    rebind_notes(module, new)


def _exit(function: Function, state: Global, entered: list[Instruction]) -> Function:
    """What the program calls in place of a function of the host."""
    saved = len(function.signature.params)
    code = [
        *(_get(state), Instruction("local.set", (saved,)), _const(0), _set(state)),
        *_call(function),
        *entered,
        *(Instruction("local.get", (saved,)), _set(state)),
    ]
    name = f"{function.name or function.imported}.exit"
    return Function(function.type, Code([I32], code), name=name, owner=function.owner, synthetic=KIND)


def _trap_if_entered(state: Global, trap: Function) -> list[Instruction]:
    failed = (Instruction("call", (trap,)), Instruction("unreachable"))
    return [_get(state), Instruction("if", (None,)), *failed, Instruction("end")]


def _call(function: Function) -> list[Instruction]:
    params = range(len(function.signature.params))
    return [*(Instruction("local.get", (i,)) for i in params), Instruction("call", (function,))]


def _const(value: int) -> Instruction:
    return Instruction("i32.const", (value,))


def _get(state: Global) -> Instruction:
    return Instruction("global.get", (state,))


def _set(state: Global) -> Instruction:
    return Instruction("global.set", (state,))
