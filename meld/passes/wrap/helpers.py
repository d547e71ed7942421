"""Helper modules: a memory or a table of the fused module in a core module of its own, which exports it.

Engines that pool their instances (wasmtime's pooling allocator, the default of `wasmtime serve`) take modules that
define one memory and one table at most; those that are imported do not count. So the fused module keeps one of each,
the memory that most functions use and the table with the most elements, and imports the others; a memory with much
data is imported all the same, where another one is. Data that engines may map, since nothing can tell when they are
written, move along: engines map data only into memories of the module that holds them. Memories that are alike and have
no data are instances of one helper module.

Source: WebAssembly Core Specification, "Instantiation"; wasmtime, `PoolingAllocationConfig`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meld.ir import component as c
from meld.ir.component import Definition, Sort
from meld.ir.module import KEYWORD_OF, DataSegment, ElementSegment, Export, ImportName, Memory, Module, Table
from meld.ir.types import FUNCREF, AbstractHeap
from meld.rewriting.constants import constant, integer, is_in_bounds
from meld.rewriting.liveness import body_uses
from meld.support.records import record

CORE_SORTS = {kind: Sort(f"core {keyword}") for kind, keyword in KEYWORD_OF.items()}
"""The index space of a component that holds a kind of core item."""

IMPORTED_FROM = "meld:helper"
"""The module name of the imports that helper modules serve."""

MOST_FILLED = 10_000
"""Elements that stand for the initial value of a table at most."""

MOST_NAME = 1_000
"""Characters of a name that becomes that of an import."""

MUCH_DATA = 16384
"""Bytes of data that take longer to copy than an instance of a helper module takes to make."""


@record()
class Helper:
    """A memory or a table that the module imports now, and the core item of the component that it gets."""

    item: Memory | Table
    given: Definition


def move_out(module: Module, into: list[Definition]) -> tuple[list[Helper], list[str]]:
    """Makes helper modules for all memories and tables of a module but one each, and instantiates them.

    Args:
        module: its first memory stays, and the table with the most elements, unless another one cannot be moved.
        into: where the helper modules and their instances go.

    Returns:
        What was moved, and the names of tables that cannot be, though others stay as well: those that may hold no null,
        or have elements of a type that the module defines.
    """
    if len(module.tables) > 1:
        _fill_by_elements(module)
    fixed = [table for table in module.tables if not _can_move(table)]
    everything: list[Memory | Table] = [*module.memories, *module.tables]
    data = _movable_data(module)
    keep = {*_kept(module, data), *(fixed or _kept_table(module))}
    movable = [item for item in everything if item not in keep]
    if not movable:
        return [], []
    modules: dict[Any, c.CoreModule] = {}
    helpers = [_helper(item, data.get(item, []), modules, into) for item in movable]
    moved_data = {segment for item in movable for segment in data.get(item, ())}
    module.datas = [segment for segment in module.datas if segment not in moved_data]
    module.memories = [memory for memory in module.memories if memory in keep]
    module.tables = [table for table in module.tables if table in keep]
    taken: set[str] = set()
    for helper in helpers:
        helper.item.imported = ImportName(IMPORTED_FROM, _fresh(helper.item, taken))
        module.imports.append(helper.item)
    _order_elements(module)
    return helpers, [table.name or "table" for table in fixed[1:]]


def _order_elements(module: Module) -> None:
    """Puts the elements of the module's own tables in front of those of imported ones, where none of them can trap.

    Engines make an image of a table from its elements, up to the first segment that is for an imported table; they
    write the others for each instance.
    """
    active = [element for element in module.elements if element.table is not None]
    if all(map(is_in_bounds, active)):
        module.elements.sort(key=lambda element: element.table is not None and element.table.imported is not None)


def _kept(module: Module, data: dict[Memory | Table, list[DataSegment]]) -> list[Memory]:
    """The memory that the module defines: its first, unless another one is imported and the first has much data.

    Engines map no data into a memory of a module that imports one; they copy it for each instance.
    """
    first = module.memories[:1]
    if len(module.memories) > 1 and sum(len(segment.data) for segment in data.get(first[0], ())) >= MUCH_DATA:
        return []
    return first


def _fill_by_elements(module: Module) -> None:
    """Has elements say the initial value of tables that may hold null, since such a table can move."""
    filled: list[ElementSegment] = []
    for table in module.tables:
        size = table.limits.minimum
        if table.init is None or not table.type.nullable or size > MOST_FILLED:
            continue
        segment = ElementSegment(type=table.type, table=table, offset=[constant(0, is64=table.limits.is64)])
        if [i.op for i in table.init] == ["ref.func"] and table.type == FUNCREF:
            segment.functions = [table.init[0].args[0]] * size
        else:
            segment.expressions = [list(table.init) for _ in range(size)]
        filled.append(segment)
        table.init = None
    module.elements[:0] = filled


def _kept_table(module: Module) -> list[Table]:
    """The table that the module defines: the one with the most elements.

    Engines make an image of it; they write the elements of imported tables for each instance.
    """
    counts = dict.fromkeys(module.tables, 0)
    for element in module.elements:
        if element.table in counts:
            counts[element.table] += len(element.entries)
    return [max(module.tables, key=counts.__getitem__)] if counts else []


def arguments(helpers: list[Helper], into: list[Definition]) -> Iterator[tuple[str, Definition]]:
    """What the module is instantiated with to get what was moved out of it."""
    if helpers:
        exports = [(helper.item.imported.field, helper.given) for helper in helpers if helper.item.imported]
        into.append(c.CoreInlineInstance(exports))
        yield IMPORTED_FROM, into[-1]


def _can_move(table: Table) -> bool:
    return table.init is None and isinstance(table.type.heap, AbstractHeap)


def _fresh(item: Memory | Table, taken: set[str]) -> str:
    """The name of an import: that of the item, with a number if it is taken."""
    label, n = _name(item), 1
    while label in taken:
        n += 1
        label = f"{_name(item)} {n}"
    taken.add(label)
    return label


def _name(item: Memory | Table) -> str:
    """What it is called; names for people may be longer than names of imports."""
    return (item.name or KEYWORD_OF[type(item)])[:MOST_NAME]


def _movable_data(module: Module) -> dict[Memory | Table, list[DataSegment]]:
    """The data of each memory that may be written when it is made: constant, in bounds, named by no code.

    What stands behind data that may not is written behind them.
    """
    named = {used for function in module.functions for used in body_uses(function) if isinstance(used, DataSegment)}
    found: dict[Memory | Table, list[DataSegment]] = {}
    closed: set[Memory] = set()
    for segment in module.datas:
        if segment.memory is None or segment.memory in closed:
            continue
        if segment in named or not is_in_bounds(segment):
            closed.add(segment.memory)
        else:
            found.setdefault(segment.memory, []).append(segment)
    return found


def _helper(
    item: Memory | Table, data: list[DataSegment], modules: dict[Any, c.CoreModule], into: list[Definition]
) -> Helper:
    """Instantiates the helper module of a memory or a table; those that are alike and have no data share `modules`."""
    alike = (item.limits, item.type if isinstance(item, Table) else None)
    core = None if data else modules.get(alike)
    if core is None:
        core = c.CoreModule(_helper_module(item, data), name=_name(item))
        into.append(core)
        if not data:
            modules[alike] = core
    instance = c.CoreInstance(core, name=_name(item))
    given = c.CoreExportAlias(instance, KEYWORD_OF[type(item)], CORE_SORTS[type(item)])
    into += [instance, given]
    return Helper(item, given)


def _helper_module(item: Memory | Table, data: list[DataSegment]) -> Module:
    made = Module(name=_name(item))
    copy: Memory | Table
    match item:
        case Memory():
            copy = Memory(item.limits, name=item.name)
            made.memories.append(copy)
            made.datas += [_copied(segment, copy) for segment in data]
        case Table():
            copy = Table(item.type, item.limits, name=item.name)
            made.tables.append(copy)
    made.exports.append(Export(KEYWORD_OF[type(item)], copy))
    return made


def _copied(segment: DataSegment, memory: Memory) -> DataSegment:
    """A data segment of constant offset, for another memory."""
    start = integer(segment.offset or [])
    assert start is not None
    return DataSegment(data=segment.data, memory=memory, offset=[constant(start, is64=memory.limits.is64)])
