"""Splicing: the items of one module go into another, with its imports bound. Instantiation, in other words.

A core instance is a module whose imports have been given. To have it inside another module, that module needs a copy of
each definition, and every use of an import has to become a use of the item that is given for it. Two users need this:
`merge` splices each core module once for each of its instances, and passes splice templates, which are modules in WAT
with imports for the items that they work on.

Since instructions refer to items as objects, there is nothing to renumber. A splice makes the copies first, all of them
empty, and so fills a map from old items to new ones that begins with the bindings of imports. In a second step
everything that refers to an item (bodies, initializers, segments, exports) is copied through the map. Two steps are
needed because definitions refer to each other in any order.

Bodies are most of a module, so they are not copied. A lazy body, which is still bytes or text, refers to items through
its scope, the tables of what its indices mean; `over` gives the same bytes another scope in which the new items stand
in the old places. The bodies of a module share a scope, hence a splice costs time for each item, not for each
instruction. Only a body that is decoded is copied instruction by instruction. Type definitions are
shared: two instances of a module have one set of types.

Copying items still costs something, and most modules are instantiated once. So `merge` *moves* the items of a module
for its first instance: they become items of the fused module themselves, with their scope rewritten in place. The move
is completed only when all instances are made (`settle`); until then the source is unchanged, and a second instance can
be spliced from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, TypeVar

from meld.ir.instructions import Code, IndexSpaces, Instruction, LazyBody, substitute
from meld.ir.module import (
    SPACE_OF,
    CoreItem,
    DataSegment,
    ElementSegment,
    Function,
    Global,
    Item,
    Memory,
    Module,
    Table,
    Tag,
)
from meld.ir.notes import Instance
from meld.support.records import record

_Item = TypeVar("_Item", bound=Item)

DEFINED = (*SPACE_OF.values(), "elements", "datas")
"""The lists of a module's definitions."""


@record()
class Spliced:
    """The result of a splice: old item → new item where they differ, the segments in order, the exports by name."""

    new: dict[Any, Any]
    elements: list[ElementSegment] = field(default_factory=list)
    datas: list[DataSegment] = field(default_factory=list)
    exports: dict[str, CoreItem] = field(default_factory=dict)
    start: Function | None = None


def splice(
    source: Module,
    into: Module,
    bindings: Mapping[CoreItem, CoreItem],
    *,
    owner: Instance | None = None,
    ordinal: int = 0,
    synthetic: str | None = None,
    rename: Callable[[Item], str | None] = lambda item: item.name,
    again: bool = False,
) -> Spliced:
    """Copies all definitions of `source` into `into`.

    Args:
        bindings: for each import of `source`, the item of `into` that it gets.
        owner, ordinal: the instance the copies belong to; with an owner they also record their original index.
        synthetic: what kind of thing the copies are, if the compiler makes them.
        rename: the names of the copies.
        again: `source` was spliced into `into` before, so that its types are there.
    """
    new: dict[Any, Any] = dict(bindings)
    if not again:
        _share_types(source, into)
    spaces = _imported(source)

    def described(copy: _Item, item: Item) -> _Item:
        """Gives a copy what all items have; items are described in the order of their indices."""
        index = spaces.get(type(item), 0)
        spaces[type(item)] = index + 1
        copy.name = rename(item)
        copy.owner = owner
        copy.origin = (index, ordinal) if owner else None
        copy.synthetic = synthetic or item.synthetic
        copy.notes = list(item.notes)
        copy.span = item.span
        new[item] = copy
        return copy

    into.functions += [
        described(Function(f.type, local_names=f.local_names, label_names=f.label_names), f) for f in source.functions
    ]
    into.tables += [described(Table(t.type, t.limits), t) for t in source.tables]
    into.memories += [described(Memory(m.limits), m) for m in source.memories]
    into.globals += [described(Global(g.type, g.mutable), g) for g in source.globals]
    into.tags += [described(Tag(t.type, t.param_names), t) for t in source.tags]
    result = Spliced(new)
    for segment in source.elements:
        made = ElementSegment(type=segment.type, declarative=segment.declarative)
        result.elements.append(described(made, segment))
    result.datas += [described(DataSegment(data=d.data), d) for d in source.datas]
    _fill(source, into, result)
    into.elements += result.elements
    into.datas += result.datas
    result.exports = {export.name: new[export.item] for export in source.exports}
    result.start = None if source.start is None else new[source.start]
    return result


def move(
    source: Module,
    into: Module,
    bindings: Mapping[CoreItem, CoreItem],
    *,
    owner: Instance,
    ordinal: int,
    rename: Callable[[Item], str | None],
) -> tuple[Spliced, Callable[[], None]]:
    """Moves all definitions of `source` into `into`; arguments as for `splice`.

    Until the function that is returned is called, `source` is as it was, and may be spliced as well. The call gives the
    items their owner, name and origin, and binds the imports; `source` is consumed then.
    """
    into.types += source.types
    for space in DEFINED:
        getattr(into, space).extend(getattr(source, space))
    new = dict(bindings)

    def bound(item: Any) -> Any:
        return new.get(item, item)

    exports = {export.name: bound(export.item) for export in source.exports}
    start = None if source.start is None else bound(source.start)

    def settle() -> None:
        spaces = _imported(source)
        for items in (getattr(source, space) for space in DEFINED):
            for index, item in enumerate(items, spaces.get(type(items[0]), 0) if items else 0):
                item.name = rename(item)
                item.owner = owner
                item.origin = (index, ordinal)
        source.replace_uses(new)
        into.scopes += source.scopes

    return Spliced(new, source.elements, source.datas, exports, start), settle


def _share_types(source: Module, into: Module) -> None:
    present = set(map(id, into.types))
    into.types += [group for group in source.types if id(group) not in present]


def _imported(source: Module) -> dict[type[Item], int]:
    """The number of imported items of each kind; in an index space they come before defined ones."""
    found: dict[type[Item], int] = {}
    for item in source.imports:
        found[type(item)] = found.get(type(item), 0) + 1
    return found


def _fill(source: Module, into: Module, result: Spliced) -> None:
    """Second half of a splice: whatever refers to other items."""
    new = result.new
    scopes: dict[int, IndexSpaces] = {}

    def expression(instructions: list[Instruction] | None) -> list[Instruction] | None:
        return None if instructions is None else [substitute(i, new) for i in instructions]

    for function in source.functions:
        copy = new[function]
        match function.body:
            case Code(locals_, instructions, source=source_):
                copy.body = Code(list(locals_), [substitute(i, new) for i in instructions], source_)
            case LazyBody() as body:
                scope = scopes.get(id(body.scope))
                if scope is None:
                    scope = scopes[id(body.scope)] = body.scope.renamed(new)
                    into.scopes.append(scope)
                copy.body = body.over(scope)
            case None:
                raise AssertionError("a defined function has a body")
    for table in source.tables:
        new[table].init = expression(table.init)
    for item in source.globals:
        new[item].init = expression(item.init)
    for segment in source.elements:
        element = new[segment]
        element.offset = expression(segment.offset)
        element.table = new.get(segment.table, segment.table)
        if segment.functions is not None:
            element.functions = [new.get(f, f) for f in segment.functions]
        if segment.expressions is not None:
            element.expressions = [[substitute(i, new) for i in e] for e in segment.expressions]
    for data in source.datas:
        copy = new[data]
        copy.offset = expression(data.offset)
        copy.memory = new.get(data.memory, data.memory)
