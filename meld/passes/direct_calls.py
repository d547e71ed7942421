"""The pass `direct-calls`: indirect calls whose target is known become calls, and short ones of the runtime none.

A component's code calls what is lowered with its own memory through a *shim*: a module of functions that call through a
table by a constant index, which a *fixup* module fills when the real functions are there (wit-component writes both).
In the fused module all of it is known: the table is private, one set of segments fills it, and no code writes to it.

Source: WebAssembly Core Specification 3.0, 4.6.10 (call_indirect), 4.7.2 (instantiation).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from meld.binary.bodies import EncodedBody
from meld.binary.leb import read_unsigned
from meld.ir.instructions import Instruction
from meld.ir.module import ElementSegment, Function, Module, Table
from meld.ir.types import TypeDef, ValType
from meld.notes.boundaries import CanonCall, HostExport
from meld.notes.streams import Shim
from meld.passes.base import Pass, PassContext
from meld.rewriting.constants import integer, is_in_bounds
from meld.rewriting.inline import inline_calls
from meld.rewriting.liveness import users_of
from meld.rewriting.rebind import rebind_notes

DIRECT = {"call_indirect": "call", "return_call_indirect": "return_call"}
READS = frozenset({*DIRECT, "table.get", "table.size"})
"""What code may do with a table whose elements are known."""

TRANSFERS = frozenset({"stream.read", "stream.write", "future.read", "future.write", "waitable-set.poll"})
"""Built-ins that are inlined: a call takes as long as what the module does for a small transfer."""

BRIDGED = frozenset({"stream_read", "stream_write", "future_read", "future_write"})
"""Intrinsics whose shims are inlined, for the same reason."""

FEW = 2
"""Calls of a built-in up to which it is inlined in each."""

_U32 = rb"[\x80-\xff]{0,4}[\x00-\x7f]"
_TABLE = rb"(?=(" + _U32 + rb"))"

INDIRECT = rb"[\x41\x42\x23](?=[\x80-\xff]*[\x00-\x7f][\x11\x13]" + _U32 + _TABLE + rb")"
"""The bytes of a constant, or a `global.get`, in front of an indirect call; its table is the group.

Other bytes may look the same, so a match takes a single byte: a call may begin with the next.
"""

_SET_GROW_FILL = rb"(?:\x26|\xfc(?:[\x0f\x11]|[\x8f\x91]\x80{0,3}\x00))" + _TABLE
_INIT_COPY = rb"\xfc(?:[\x0c\x0e]|[\x8c\x8e]\x80{0,3}\x00)" + _TABLE + _U32 + _TABLE
WRITE = _SET_GROW_FILL + rb"|" + _INIT_COPY
"""The bytes of instructions that write to a table, which is one of the groups; other bytes may look the same."""


class DirectCalls(Pass):
    """Turn indirect calls through constant indices into calls, where the elements of the table are known.

    A table is known if it is neither imported nor exported, its segments are active, constant and in bounds, and no
    code writes to it. A call whose element is null, out of bounds or of another type stays, since it traps. Functions
    that then only pass their parameters on are replaced by what they call. Tables that are no longer used go with
    their segments in `finish`. Functions of the runtime or a bridge that read, write or poll are inlined where one or
    two places call them: with few bytes, a call takes as long as the transfer.

        (table $imports 1 1 funcref)
        (elem (table $imports) (i32.const 0) func $log)
        (func $shim (param i32)
          (call_indirect $imports (param i32) (local.get 0) (i32.const 0)))
        (func $run (call $shim (i32.const 8)))
    becomes
        (func $run (call $log (i32.const 8)))
    """

    name = "direct-calls"
    requires = frozenset({"merged"})
    after = ("rewire-calls", "adapter-wiring", "wire-entries", "resumable-frames", "stack-switching", "guard-entries")
    before = ("lower-multi-memory", "finish")
    repeatable = True

    def run(self, module: Module, cx: PassContext) -> None:
        users = _users(module)
        plain = {g.types[0] for g in module.types if len(g.types) == 1 and g.types[0].final and not g.types[0].supers}
        direct: dict[Function, None] = {}
        for table, functions in users.items():
            callers = [f for f in functions if _may_match(f, INDIRECT, table) and _calls(f, table)]
            elements = _elements(module, table) if callers else None
            if elements is None or any(_may_match(f, WRITE, table) and not _only_reads(f, table) for f in functions):
                continue
            for function in callers:
                if cx.allows("call directly", function):
                    count = _make_direct(function, table, elements, plain)
                    cx.stats["direct calls"] += count
                    direct |= {function: None} if count else {}
        cx.stats["forwarders"] = _skip(module, direct, cx)
        inlined = _inline_transfers(module, cx)
        if inlined:
            cx.stats["inlined calls"] = inlined


def _users(module: Module) -> dict[Table, list[Function]]:
    """The functions that use each table that only the module itself reaches."""
    shown = {export.item for export in module.exports}
    return users_of(module, [t for t in module.tables if t not in shown and t.init is None])


def _may_match(function: Function, pattern: bytes, table: Table) -> bool:
    """Whether a body may hold some instructions on a table: one that is still encoded is searched, which is fast."""
    body = function.body
    if not isinstance(body, EncodedBody):
        return True
    found = re.finditer(pattern, body.section.body(body.number))
    tables = body.scope.tables
    return any(_is(number, tables, table) for match in found for number in match.groups() if number is not None)


def _is(number: bytes, tables: list[Table], table: Table) -> bool:
    """Whether an encoded index is that of a table."""
    index = read_unsigned(number, 0)[0]
    return index < len(tables) and tables[index] is table


def _calls(function: Function, table: Table) -> bool:
    return any(True for _ in _sites(function.view().instructions, table))


def _sites(instructions: list[Instruction], table: Table) -> Iterable[int]:
    """Where a constant index stands in front of an indirect call through a table."""
    for at, call in enumerate(instructions):
        if call.op in DIRECT and call.args[0] is table and at and integer([instructions[at - 1]]) is not None:
            yield at - 1


def _only_reads(function: Function, table: Table) -> bool:
    return all(i.op in READS for i in function.view().instructions if table in i.args)


def _elements(module: Module, table: Table) -> dict[int, Function] | None:
    """The functions in a table, by index; None if they are not known. Later segments overwrite earlier ones."""
    found: dict[int, Function] = {}
    for segment in module.elements:
        if segment.table is not table:
            continue
        entries = _entries(segment)
        start = integer(segment.offset or [])
        if entries is None or start is None or not is_in_bounds(segment):
            return None
        for number, entry in enumerate(entries, start):
            if entry is not None:
                found[number] = entry
            else:
                found.pop(number, None)
    return found


def _entries(segment: ElementSegment) -> list[Function | None] | None:
    """The functions of a segment; None for a null reference, and in place of all if one is not known."""
    if segment.functions is not None:
        return list(segment.functions)
    found: list[Function | None] = []
    for expression in segment.expressions or ():
        match expression:
            case [Instruction(op="ref.func", args=(Function() as function,))]:
                found.append(function)
            case [Instruction(op="ref.null")]:
                found.append(None)
            case _:
                return None
    return found


def _make_direct(function: Function, table: Table, elements: dict[int, Function], plain: set[TypeDef]) -> int:
    """Replaces the indirect calls whose element has the expected type; returns their number."""
    instructions = function.instructions
    sites = set()
    for at in _sites(instructions, table):
        call = instructions[at + 1]
        target = elements.get(integer([instructions[at]]) or 0)
        if target is not None and _same(target.type, call.args[1], plain):
            instructions[at + 1] = Instruction(DIRECT[call.op], (target,), call.span, place=call.place)
            sites.add(at)
    instructions[:] = [i for at, i in enumerate(instructions) if at not in sites]
    return len(sites)


def _same(one: TypeDef, other: TypeDef, plain: set[TypeDef]) -> bool:
    """Whether two types are equal. Types in groups or with supertypes are equal only if identical."""
    return one is other or (one in plain and other in plain and one.shape == other.shape)


# --- functions that only call another one --------------------------------------------------------------------------


def _skip(module: Module, functions: Iterable[Function], cx: PassContext) -> int:
    """Replaces functions that only pass their parameters on by what they call; returns their number."""
    shown = {export.item for export in module.exports} | {n.target for n in module.notes_of(HostExport)}
    plain = {g.types[0] for g in module.types if len(g.types) == 1 and g.types[0].final and not g.types[0].supers}
    target: dict[Function, Function] = {}
    for function in functions:
        callee = _forwards(function)
        if callee is None or function in shown or function.notes or not _same(function.type, callee.type, plain):
            continue
        last = callee
        while last in target:  # ends: none of them leads back, as is seen here
            last = target[last]
        if last is not function and cx.allows("skip", function):
            target[function] = last
    for function, callee in target.items():
        while callee in target:
            callee = target[callee]
        target[function] = callee
    if target:
        module.replace_uses(target)
        rebind_notes(module, target)
    return len(target)


def _forwards(function: Function) -> Function | None:
    """What a function calls, if it does nothing else, with its own parameters in order."""
    instructions = function.instructions
    count = len(function.signature.params)
    if len(instructions) != count + 1 or any(
        i.op != "local.get" or i.args != (at,) for at, i in enumerate(instructions[:count])
    ):
        return None
    match instructions[count]:
        case Instruction(op="call" | "return_call", args=(Function() as callee,)):
            return callee
    return None


# --- built-ins that every transfer goes through ----------------------------------------------------------------------


def _inline_transfers(module: Module, cx: PassContext) -> int:
    """Inlines what transfers values where few places call it, in loops, too; returns the number of calls.

    That is what `emit-tasks` made of `TRANSFERS`, and the shims of `emit-bridge` for `BRIDGED`.

    It runs when the functions that may block are resumable and calls through shims are direct: earlier, frames would
    hold the locals of what is inlined, and calls through shims would not be seen.
    """
    builtins, shims = module.noted(CanonCall, module.functions), module.noted(Shim, module.functions)
    found = [f for f, n in builtins if f.synthetic == "async" and n.builtin in TRANSFERS]
    found += [f for f, n in shims if n.intrinsic in BRIDGED]
    stubs = [f for f in found if isinstance(f, Function)]
    places = users_of(module, stubs)
    calls = {stub: sum(_count(caller, stub) for caller in callers) for stub, callers in places.items()}
    few = {stub for stub, count in calls.items() if count <= FEW}

    @cache
    def results(*types: ValType) -> TypeDef:
        return module.func_type((), types)

    callers = dict.fromkeys(caller for stub in few for caller in places[stub] if caller not in few)
    return sum(
        inline_calls(caller, few.__contains__, results, tight=True) for caller in callers if cx.allows("inline", caller)
    )


def _count(caller: Function, callee: Function) -> int:
    return sum(1 for i in caller.view().instructions if callee in i.args)
