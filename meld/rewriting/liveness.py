"""Liveness: the items that are reachable, and the uses of each item in a module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from meld.binary.bodies import EncodedBody, codes_of, items_of
from meld.ir.instructions import Code, IndexSpaces, Instruction, LazyBody
from meld.ir.module import (
    SPACE_OF,
    DataSegment,
    ElementSegment,
    Function,
    Global,
    Item,
    Memory,
    Module,
    Table,
    item_uses,
)
from meld.ir.notes import Note
from meld.notes.boundaries import Boundary, CanonCall, Edge, HostBuiltin, HostCall, HostExport, OuterCall, resource_of
from meld.notes.handles import FUNCTIONS, Exposed, HandleFunctions, HandleTable, functions_of_exports
from meld.notes.tasks import SynchronousCall
from meld.rewriting.constants import is_in_bounds
from meld.rewriting.edge import option_items

_Used = TypeVar("_Used", bound=Item)

DROPPED = ("elements", "datas", "functions", "tables", "globals", "memories", "tags", "imports")
"""Lists of the module, those that use before those that are used."""


def reachable(module: Module, also: Sequence[Any] = ()) -> set[Any]:
    """All items that exports, the start function, and active segments reach.

    Segments of a table or memory that is not live itself count if they may trap. `also` is kept besides.
    """
    live: set[Any] = set()
    pending: list[Any] = [*also, *(export.item for export in module.exports)]
    pending += [module.start] if module.start else []
    for n in module.notes_of(HostExport):
        pending += [n.target, *option_items(n.lift)]
    pending += functions_of_exports(module)
    tables = _Tables(module)
    by_target: dict[Any, list[Any]] = {}
    elements: list[tuple[Any, ElementSegment | DataSegment]] = [(e.table, e) for e in module.elements]
    for target, segment in elements + [(d.memory, d) for d in module.datas]:
        if target is not None:
            by_target.setdefault(target, []).append(segment)
            if not is_in_bounds(segment):
                pending.append(target)  # it may trap even if what it writes to is unused
    pending += [item for item in by_target if item.imported]  # the host sees what is written there
    named = _Named()
    while pending:
        item = pending.pop()
        if item in live:
            continue
        live.add(item)
        pending += named.by(item) if isinstance(item, Function) else uses_of(item)
        if item in by_target:
            segments = set(by_target.pop(item)) - live
            live |= segments
            pending += [used for segment in segments for used in uses_of(segment)]
        for n in item.notes:
            pending += _pending_uses(n, tables)
    return live


class Reached:
    """The items that are reachable, as of the first question about one."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._live: set[Any] | None = None

    def __contains__(self, item: object) -> bool:
        if self._live is None:
            self._live = reachable(self._module)
        return item in self._live


class _Named:
    """The items that function bodies use; an item is yielded once for each scope."""

    def __init__(self) -> None:
        self._given: dict[IndexSpaces, tuple[list[list[Any]], set[int]]] = {}

    def by(self, function: Function) -> Iterable[Item]:
        """The items that a function uses and that no earlier function over the same scope has used."""
        body = function.body
        if not isinstance(body, EncodedBody):
            return body_uses(function)
        scope = body.scope
        given = self._given.get(scope)
        if given is None:
            given = self._given[scope] = scope.spaces(), set()
        spaces, seen = given
        new = set(body.codes()) - seen
        if not new:
            return ()
        seen |= new
        return items_of(new, spaces)


class _Tables:
    """The handle tables of a module: whose they are, and the functions over them."""

    def __init__(self, module: Module) -> None:
        self.instances = {table.instance for table in module.notes_of(HandleTable)}
        self.functions = [getattr(n, name) for n in module.notes_of(HandleFunctions) for name in FUNCTIONS]
        self.exposed = [item for n in module.notes_of(Exposed) for item in (n.give, n.take)]


def _pending_uses(n: Note, tables: _Tables) -> Iterator[Any]:
    """The items that serving an import needs, by its note; boundaries and built-ins are served by the interpreter."""
    match n:
        case HostCall():
            yield from option_items(n.lower)
        case HostBuiltin():
            yield from option_items(n.options)
            yield from () if n.begins is None else (n.begins,)
        case Boundary():
            yield from (n.target, *option_items(n.lower), *option_items(n.lift))
            if {n.caller, n.callee} & tables.instances:
                yield from tables.functions
        case Edge():
            yield from (n.target, *option_items(n.inner), *option_items(n.outer), *tables.functions, *tables.exposed)
        case SynchronousCall():
            yield n.target
        case OuterCall():
            yield from () if n.resource.dtor is None else (n.resource.dtor,)
        case CanonCall():
            resource = resource_of(n)
            dtor = None if resource is None else resource.dtor
            yield from (item for item in (*option_items(n.options), n.table, dtor) if item is not None)


def uses_of(item: Any) -> list[Item]:
    """The items that an item refers to in its fields; for what a body uses see `body_uses`."""
    match item:
        case DataSegment():
            return segment_uses(item.memory, item.offset)
        case ElementSegment():
            entries = [used for expression in item.expressions or () for used in item_uses(expression)]
            return [*(item.functions or ()), *entries, *segment_uses(item.table, item.offset)]
        case Table() | Global():
            return item_uses(item.init or ())
        case _:
            return []


def segment_uses(target: Table | Memory | None, offset: list[Instruction] | None) -> list[Item]:
    """The items that an active segment uses: its table or memory, and the items of its offset."""
    return [] if target is None else [target, *item_uses(offset or ())]


def users_of(module: Module, items: Iterable[_Used]) -> dict[_Used, list[Function]]:
    """The functions that use each of some items, in the order of the module; bodies are scanned if there are items."""
    found: dict[_Used, list[Function]] = {item: [] for item in items}
    spaces = {SPACE_OF[type(item)] for item in found}
    codes: dict[IndexSpaces, set[int]] = {}
    for function in module.functions if found else ():
        body = function.body
        used: Iterable[Any]
        if isinstance(body, EncodedBody):  # few name one
            if body.scope not in codes:
                codes[body.scope] = {code for space in spaces for code in codes_of(body.scope, space, found)}
            named = codes[body.scope].intersection(body.codes())
            used = items_of(named, body.scope.spaces()) if named else ()
        else:
            used = [item for item in body_uses(function) if item in found]
        for item in dict.fromkeys(used):
            found[item].append(function)
    return found


def body_uses(function: Function) -> Iterable[Item]:
    """The items that a body uses; a body read from a binary is scanned without being decoded."""
    match function.body:
        case None:
            return ()
        case Code(instructions=instructions):
            return item_uses(instructions)
        case LazyBody() as body:
            return body.uses()
