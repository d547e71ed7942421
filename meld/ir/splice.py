"""Splicing: copying the items of one module into another with its imports bound. Instantiation, in other words.

`merge` splices each core module once per instance; passes splice their templates. Bodies are shared: a lazy body is
taken over a new scope, and only decoded bodies are copied. Type definitions are shared too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, TypeVar

from meld.ir.instructions import Code, Instruction, LazyBody, Scope, substitute
from meld.ir.module import (
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
from meld.records import record

_Item = TypeVar("_Item", bound=Item)


@record()
class Spliced:
    """What a splice made: old item → new item, the segments in order, and the exports by name."""

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
) -> Spliced:
    """Copies all definitions of `source` into `into`.

    Args:
        bindings: for each import of `source`, the item of `into` that it gets.
        owner, ordinal: the instance the copies belong to; with an owner they also record their original index.
        synthetic: what kind of thing the copies are, if the compiler makes them.
        rename: the names of the copies.
    """
    new: dict[Any, Any] = dict(bindings)
    present = set(map(id, into.types))
    for group in source.types:
        if id(group) not in present:
            into.types.append(group)

    spaces: dict[type[Item], int] = {}
    for item in source.imports:
        spaces[type(item)] = spaces.get(type(item), 0) + 1

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
    into.tags += [described(Tag(t.type), t) for t in source.tags]
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


def _fill(source: Module, into: Module, result: Spliced) -> None:
    """Second half of a splice: whatever refers to other items."""
    new = result.new
    scopes: dict[int, Scope] = {}

    def expression(instructions: list[Instruction] | None) -> list[Instruction] | None:
        return None if instructions is None else [substitute(i, new) for i in instructions]

    for function in source.functions:
        copy = new[function]
        match function.body:
            case Code(locals_, instructions):
                copy.body = Code(list(locals_), [substitute(i, new) for i in instructions])
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
