"""The pass `guard-entries`: after a trap no export of the program can be entered again.

Engines close all component instances of a store once one of them has trapped: memory may hold anything by then. In a
core module the guards do it: each exported function gets one, which the host calls in its place. Calls inside
the module go past the guards.

The state is one global, which says whether code of the program runs. Where it still says so at the next entry, the last
one has not returned: it trapped. A host that is called by the program may call it back, so during such a call the
global says no; if it says yes afterwards, a call back has trapped, and so does the program, as under an engine.

A trap of the host is not seen by the module. A host says that it trapped by calling the export `meld:trapped`. One that
never calls back need not: with ``callbacks=false`` the program stays closed during calls of the host, but for
`realloc`.

Source: Component Model, CanonicalABI.md: `canon lift` (traps); behaviour of engines.
"""

from __future__ import annotations

from dataclasses import replace

from meld.abi.options import Options
from meld.abi.traps import Trap, trap_function
from meld.ir.instructions import Code, Instruction
from meld.ir.module import CoreItem, Export, Function, Global, Module
from meld.ir.types import I32
from meld.notes.boundaries import CanonCall, HostCall, HostExport
from meld.passes.base import Pass, PassContext, option
from meld.rewriting.edge import TRAPPED
from meld.rewriting.labels import code
from meld.rewriting.rebind import rebind_notes

KIND = "entry-guard"

IDLE, RUNNING, CALLING = range(3)
"""The state: nothing runs; code of the program does; the host does, is called by it, and may call `realloc` only."""


class GuardEntries(Pass):
    """Close the program permanently after a trap, as engines do with components.

    Guarded are the functions that components export, their post-return functions, and `realloc`, which the host may
    also call while the program calls it. Exports of core modules that are fused as they are (stream partners) are not
    guarded. A trap in a function of the host is not seen: the host says so by `meld:trapped`, or never calls back.

        (export "f" (func $f))
    becomes
        (export "f" (func $f.entry))
        (func $f.entry (param i32) (result i32)
          (if (global.get $entered)
            (then (call $"cannot enter component instance") (unreachable)))
          (global.set $entered (i32.const 1))
          (call $f (local.get 0))
          (global.set $entered (i32.const 0)))
    """

    name = "guard-entries"
    requires = frozenset({"wired"})
    establishes = frozenset({"guarded"})
    after = ("adapter-wiring",)
    before = ("finish",)
    callbacks: bool = option(True, "whether functions of the host may call exports of the program")

    def run(self, module: Module, cx: PassContext) -> None:
        exports = [n for n in module.notes_of(HostExport) if not n.lift.is_async and n.lift.callback is None]
        if not exports:
            return
        state = Global(I32, True, code("i32.const 0"), name="entered", synthetic=KIND)
        calls = [i for i in module.imports if isinstance(i, Function) and i.note(HostCall) is not None]
        opened = [item for item in calls if cx.allows("open call", item)]
        trap = trap_function(module, Trap.ENTER)
        entered = code("global.get $state  if  call $trap  unreachable  end", state=state, trap=trap)
        running = code(
            "global.get $state  i32.const $running  i32.eq  if  call $trap  unreachable  end",
            **{"state": state, "running": RUNNING, "trap": trap},
        )
        _guard_host_calls(module, opened, state, running, IDLE if self.callbacks else CALLING)
        cx.stats["guarded imports"] = len(opened)
        guards: dict[Function, Function] = {}
        # while the host cannot call back, an entry would be taken for one after a trap
        open_ = len(opened) == len(calls)

        def guard(function: Function, label: str) -> Function:
            if function not in guards and open_ and cx.allows("guard", function):
                guards[function] = _entry(function, state, entered, f"{label}.entry")
                module.add(guards[function])
            return guards.setdefault(function, function)

        for n in exports:
            n.target = guard(n.target, n.label)
            if n.lift.post_return is not None:
                n.lift = replace(n.lift, post_return=guard(n.lift.post_return, f"cabi_post_{n.label}"))
        module.exports = [_guarded(export, guards) for export in module.exports]
        made = [guard for function, guard in guards.items() if guard is not function]
        if open_:
            made += _guard_reallocs(module, state, running, cx)
        cx.stats["guarded exports"] = len(made)
        if opened or made:
            module.add(state)
        if opened and made and cx.allows("export", state):
            _export_trapped(module, state)


def _guard_reallocs(module: Module, state: Global, running: list[Instruction], cx: PassContext) -> list[Function]:
    """Guards each `realloc` that the host calls, unless built-ins of the host may call one while the program runs."""
    if any(True for _ in module.noted(CanonCall)):
        return []
    made: dict[Function, Function] = {}

    def guarded(options: Options) -> Options:
        function = options.realloc
        if function is None:
            return options
        if function not in made and cx.allows("guard", function):
            made[function] = _realloc(function, state, running)
            module.add(made[function])
        return replace(options, realloc=made.get(function, function))

    for export in module.notes_of(HostExport):
        export.lift = guarded(export.lift)
    for _, call in module.noted(HostCall):
        call.lower = guarded(call.lower)
    return list(made.values())


def _export_trapped(module: Module, state: Global) -> None:
    """Exports the function by which the host says that it trapped."""
    body = code("i32.const $running  global.set $state", running=RUNNING, state=state)
    function = Function(module.func_type(), Code([], body), name=TRAPPED, synthetic=KIND)
    module.add(function)
    module.exports.append(Export(TRAPPED, function))


def _guarded(export: Export, guards: dict[Function, Function]) -> Export:
    item = guards.get(export.item) if isinstance(export.item, Function) else None
    return export if item is None else Export(export.name, item, export.span)


def _entry(function: Function, state: Global, entered: list[Instruction], name: str) -> Function:
    """The guard of an exported function."""
    body = code(
        """
        $entered
        i32.const $running  global.set $state
        $call
        i32.const $idle  global.set $state
        """,
        **{"entered": entered, "call": _call(function), "state": state, "running": RUNNING, "idle": IDLE},
    )
    return Function(function.type, Code([], body), name=name, owner=function.owner, synthetic=KIND)


def _realloc(function: Function, state: Global, running: list[Instruction]) -> Function:
    """The guard of a `realloc`: the host may call it at any time, except while code of the program runs."""
    saved = len(function.signature.params)
    body = code(
        """
        $trap_if_running
        global.get $state  local.set $saved
        i32.const $running  global.set $state
        $call
        local.get $saved  global.set $state
        """,
        **{"trap_if_running": running, "call": _call(function), "state": state, "saved": saved, "running": RUNNING},
    )
    name = f"{function.name or 'realloc'}.entry"
    return Function(function.type, Code([I32], body), name=name, owner=function.owner, synthetic=KIND)


def _guard_host_calls(
    module: Module, calls: list[Function], state: Global, running: list[Instruction], during: int
) -> None:
    """Guards the calls of the host; `during` is the state while one runs."""
    new: dict[CoreItem, CoreItem] = {item: _exit(item, state, running, during) for item in calls}
    for guard in new.values():
        module.add(guard)
    own = set(new.values())
    module.replace_uses(new, unless=lambda item: item in own)
    rebind_notes(module, new)


def _exit(function: Function, state: Global, running: list[Instruction], during: int) -> Function:
    """The guard of a function of the host: the program calls it in place of the import."""
    saved = len(function.signature.params)
    body = code(
        """
        global.get $state  local.set $saved
        i32.const $during  global.set $state
        $call
        $trap_if_running
        local.get $saved  global.set $state
        """,
        **{"trap_if_running": running, "call": _call(function), "state": state, "saved": saved, "during": during},
    )
    name = f"{function.name or function.imported}.exit"
    return Function(function.type, Code([I32], body), name=name, owner=function.owner, synthetic=KIND)


def _call(function: Function) -> list[Instruction]:
    params = " ".join(f"local.get {i}" for i in range(len(function.signature.params)))
    return code(f"{params} call $function", function=function)
