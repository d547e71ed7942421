"""What reduction tries to take away: cuts. Each has a number of parts, of which some are removed at a time.

A cut may leave an invalid program; the caller checks that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from meld.ir.component import Component, CoreModule, Definition, NestedComponent
from meld.ir.instructions import Code, Instruction
from meld.ir.module import NO_NAMES, Function, Module
from meld.ir.types import RecGroup
from meld.notes.boundaries import HostExport
from meld.passes.base import Program
from meld.rewriting.liveness import DROPPED, body_uses, reachable, uses_of
from meld.support.records import record
from meld.verify.composition import references_of

DATA_LEFT = 8
"""Data is not shortened below that many bytes; a segment goes as a whole."""


@record(frozen=True)
class Cut:
    """One kind of thing to take away.

    Attributes:
        name: for people.
        parts: how many there are in a program.
        remove: takes those with the numbers away.
        least: chunks smaller than one in so many of all are not tried; None: down to single ones.
    """

    name: str
    parts: Callable[[Program], int]
    remove: Callable[[Program, Sequence[int]], None]
    least: int | None = None


def modules(program: Program) -> Iterator[Module]:
    """The core modules of a program, nested ones included."""
    if isinstance(program, Module):
        yield program
        return
    for item in program.definitions:
        if isinstance(item, CoreModule):
            yield item.module
        elif isinstance(item, NestedComponent):
            yield from modules(item.component)


def components(program: Program) -> Iterator[Component]:
    """The components of a program, from outside to inside."""
    if isinstance(program, Component):
        yield program
        for item in program.of(NestedComponent):
            yield from components(item.component)


def _lists(attribute: str, holders: Callable[[Program], Iterator[Any]]) -> Cut:
    """Elements of a list that each module, or component, has."""
    name = attribute if holders is modules else f"{attribute} of components"

    def lists(program: Program) -> list[list[Any]]:
        return [getattr(holder, attribute) for holder in holders(program)]

    def remove(program: Program, numbers: Sequence[int]) -> None:
        gone, at = set(numbers), 0
        for one in lists(program):
            here = len(one)
            one[:] = [part for i, part in enumerate(one) if at + i not in gone]
            at += here

    return Cut(name, lambda program: sum(map(len, lists(program))), remove)


# --- items that nothing needs --------------------------------------------------------------------------------------


def _uses(item: Any) -> Iterable[Any]:
    return body_uses(item) if isinstance(item, Function) else uses_of(item)


def _dead(program: Program) -> list[tuple[list[Any], Any]]:
    """What no export, start function or active segment reaches, each with the list that it stands in."""
    found = []
    for module in modules(program):
        live = reachable(module)
        found += [(getattr(module, s), item) for s in DROPPED for item in getattr(module, s) if item not in live]
    return found


def _remove_dead(program: Program, numbers: Sequence[int]) -> None:
    """Removes unused items, and with them those that use them."""
    dead = _dead(program)
    users: dict[int, list[Any]] = {}
    for _, item in dead:
        for used in _uses(item):
            users.setdefault(id(used), []).append(item)
    gone: set[int] = set()
    pending = [dead[i][1] for i in numbers]
    while pending:
        item = pending.pop()
        if id(item) not in gone:
            gone.add(id(item))
            pending += users.get(id(item), ())
    for items in {id(items): items for items, _ in dead}.values():
        items[:] = [item for item in items if id(item) not in gone]


def _unused_types(program: Program) -> list[tuple[Module, RecGroup]]:
    found = []
    for module in modules(program):
        used = {id(t) for t in _types_used(module)}
        found += [(module, group) for group in module.types if not any(id(t) in used for t in group.types)]
    return found


def _types_used(module: Module) -> Iterator[Any]:
    """The type definitions that items and bodies name; what types name of each other is left to the verifier."""
    for item in module.items():
        if hasattr(item, "type"):
            yield item.type
    for function in module.functions:
        for one in function.instructions:
            for arg in one.args:
                yield from arg if isinstance(arg, tuple) else (arg,)


def _remove_types(program: Program, numbers: Sequence[int]) -> None:
    unused = _unused_types(program)
    for number in numbers:
        module, group = unused[number]
        module.types = [other for other in module.types if other is not group]


def _starts(program: Program) -> list[Module]:
    return [module for module in modules(program) if module.start is not None]


def _remove_starts(program: Program, numbers: Sequence[int]) -> None:
    starts = _starts(program)
    for number in numbers:
        starts[number].start = None


# --- bodies --------------------------------------------------------------------------------------------------------


def functions(program: Program) -> list[Function]:
    """The functions with a body."""
    return [function for module in modules(program) for function in module.functions]


def _bodies(program: Program) -> list[Function]:
    """Those that do something."""
    return [function for function in functions(program) if not is_stub(function)]


def is_stub(function: Function) -> bool:
    """Whether a function does nothing but trap."""
    code = function.body
    return isinstance(code, Code) and [one.op for one in code.instructions] == ["unreachable"] and not code.locals


def empty(bodies: Iterable[Function]) -> None:
    """Makes functions trap."""
    for function in bodies:
        function.body = Code([], [Instruction("unreachable")])
        function.local_names = function.label_names = NO_NAMES


def _empty(program: Program, numbers: Sequence[int]) -> None:
    bodies = _bodies(program)
    empty(bodies[number] for number in numbers)


# --- data ----------------------------------------------------------------------------------------------------------


def _long(program: Program) -> list[Any]:
    return [data for module in modules(program) for data in module.datas if len(data.data) >= 2 * DATA_LEFT]


def _shorten(program: Program, numbers: Sequence[int]) -> None:
    datas = _long(program)
    for number in numbers:
        datas[number].data = bytes(datas[number].data[: len(datas[number].data) // 2])


# --- element segments ----------------------------------------------------------------------------------------------


def _entries(program: Program) -> list[tuple[list[Any], int]]:
    """The entries of element segments: the list that each stands in, and its place there."""
    segments = (element for module in modules(program) for element in module.elements)
    lists = [e.entries for e in segments]
    return [(entries, at) for entries in lists for at in range(len(entries))]


def _remove_entries(program: Program, numbers: Sequence[int]) -> None:
    found = _entries(program)
    for number in reversed(numbers):
        entries, at = found[number]
        del entries[at]


# --- what is said of items -----------------------------------------------------------------------------------------


def described(program: Program) -> list[Any]:
    """The items that more is said of than what they are."""
    items = (i for m in modules(program) for i in (*m.items(), *m.elements, *m.datas))
    return [item for item in items if item.notes or item.owner or item.synthetic]


def _forget(program: Program, numbers: Sequence[int]) -> None:
    items = described(program)
    for number in numbers:
        item = items[number]
        item.notes, item.owner, item.origin, item.synthetic = [], None, None, None


def strip(program: Program, called: Sequence[str]) -> None:
    """Takes away what is said of a module and its items, and the exports other than those that are called.

    Args:
        called: names of core exports and component functions; none: all exports stay.
    """
    for module in modules(program):
        module.customs = []
        exports = [note for note in module.notes_of(HostExport) if _is_called(note.label, called)]
        instances = {id(note.instance) for note in exports}
        module.notes = [note for note in module.notes if id(note) in instances or note in exports]
        module.exports = [export for export in module.exports if _is_called(export.name, called)]
        for item in (*module.items(), *module.elements, *module.datas):
            if item.imported is None:
                item.notes, item.owner, item.origin, item.synthetic = [], None, None, None


def _is_called(label: str, called: Sequence[str]) -> bool:
    return not called or any(label == name or label.rpartition("#")[2] == name for name in called)


# --- compositions --------------------------------------------------------------------------------------------------


def _definitions(program: Program) -> list[tuple[Component, Definition]]:
    return [(component, item) for component in components(program) for item in component.definitions]


def _remove_definitions(program: Program, numbers: Sequence[int]) -> None:
    """Removes definitions, and with them all that refer to them."""
    found = _definitions(program)
    gone = {id(found[number][1]) for number in numbers}
    for component in components(program):
        kept: list[Definition] = []
        for item in component.definitions:
            if id(item) in gone or any(id(used) in gone for used in references_of(item)):
                gone.add(id(item))
            else:
                kept.append(item)
        component.definitions[:] = kept


# --- calls ---------------------------------------------------------------------------------------------------------


def _single_calls(program: Program) -> list[tuple[Function, Function]]:
    """Functions that are called from one place and used nowhere else, behind those that call them."""
    found = []
    for module in modules(program):
        uses: dict[int, list[Any]] = {}
        for user in (*module.items(), *module.elements):
            for used in _uses(user):
                uses.setdefault(id(used), []).append(user)
        taken = {id(export.item) for export in module.exports} | {id(module.start)}
        for function in module.functions:
            match uses.get(id(function), []):
                case [Function() as user] if user is not function and id(function) not in taken:
                    found.append((user, function))
    return found


def _inline(program: Program, numbers: Sequence[int]) -> None:
    """Puts bodies in place of calls; wrong for those that return early, which is for the test to find out."""
    calls = _single_calls(program)
    for number in numbers:
        user, function = calls[number]
        calls_it = (i for i, one in enumerate(user.instructions) if one.op == "call" and one.args == (function,))
        at = next(calls_it, None)
        if at is None:
            continue
        params = function.signature.params
        first = len(user.signature.params) + len(user.code.locals)
        user.code.locals += [*params, *function.code.locals]
        code = [Instruction("local.set", (first + i,)) for i in reversed(range(len(params)))]
        for one in function.instructions:
            args = (first + one.args[0],) if one.op.startswith("local.") else one.args
            code.append(replace(one, args=args))
        user.instructions[at : at + 1] = code


COARSE = 8

CUTS = [
    Cut("definitions", lambda p: len(_definitions(p)), _remove_definitions),
    _lists("exports", modules),
    Cut("start functions", lambda p: len(_starts(p)), _remove_starts),
    Cut("bodies", lambda p: len(_bodies(p)), _empty, COARSE),
    Cut("unused items", lambda p: len(_dead(p)), _remove_dead),
    _lists("elements", modules),
    Cut("entries", lambda p: len(_entries(p)), _remove_entries),
    _lists("datas", modules),
    Cut("data", lambda p: len(_long(p)), _shorten),
    _lists("customs", modules),
    Cut("unused types", lambda p: len(_unused_types(p)), _remove_types),
]
"""All but those inside bodies, in the order in which they are tried."""

NOTES = [
    Cut("marks", lambda p: len(described(p)), _forget),
    _lists("notes", modules),
    _lists("notes", components),
    _lists("facts", modules),
    _lists("facts", components),
]

CALLS = Cut("calls", lambda p: len(_single_calls(p)), _inline)
"""Makes functions longer, so it comes last."""

UNUSED = next(cut for cut in CUTS if cut.name == "unused items")
