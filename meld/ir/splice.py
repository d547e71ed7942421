"""Splicing: copying the items of one module into another with its imports bound. Instantiation, in other words.

`merge` splices each core module once per instance; passes splice their templates. Bodies are shared: a lazy body is
taken over a new scope, and only decoded bodies are copied. Type definitions are shared too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

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


@dataclass(slots=True)
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
    present = {id(group) for group in into.types}
    for group in source.types:
        if id(group) not in present:
            into.types.append(group)

    def base(item: Item, index: int) -> dict[str, Any]:
        return {
            "name": rename(item),
            "owner": owner,
            "origin": (index, ordinal) if owner else None,
            "synthetic": synthetic or item.synthetic,
            "notes": list(item.notes),
            "span": item.span,
        }

    spaces: dict[str, int] = {}
    for item in source.imports:
        kind = type(item).__name__
        spaces[kind] = spaces.get(kind, 0) + 1
    defined = (item for item in source.items() if not item.imported)
    for item in defined:
        kind = type(item).__name__
        index = spaces.get(kind, 0)
        spaces[kind] = index + 1
        match item:
            case Function():
                copy: CoreItem = Function(
                    item.type,
                    local_names=item.local_names,
                    label_names=item.label_names,
                    **base(item, index),
                )
            case Table():
                copy = Table(item.type, item.limits, **base(item, index))
            case Memory():
                copy = Memory(item.limits, **base(item, index))
            case Global():
                copy = Global(item.type, item.mutable, **base(item, index))
            case Tag():
                copy = Tag(item.type, **base(item, index))
        new[item] = copy
        into.add(copy)

    result = Spliced(new)
    for index, segment in enumerate(source.elements):
        element = replace(segment, explicit_table=False, **base(segment, index))
        new[segment] = element
        result.elements.append(element)
    for index, data in enumerate(source.datas):
        copied = replace(data, explicit_memory=False, **base(data, index))
        new[data] = copied
        result.datas.append(copied)
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
    for element in result.elements:
        element.offset = expression(element.offset)
        element.table = new.get(element.table, element.table)
        if element.functions is not None:
            element.functions = [new.get(f, f) for f in element.functions]
        if element.expressions is not None:
            element.expressions = [[substitute(i, new) for i in e] for e in element.expressions]
    for data in result.datas:
        data.offset = expression(data.offset)
        data.memory = new.get(data.memory, data.memory)
