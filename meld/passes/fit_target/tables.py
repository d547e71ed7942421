"""One table of several, for targets with a single table; only tables that never change.

Each table becomes a region of the single one. An index that lies beyond its region becomes one that lies in no table,
so that the call traps as it did.
"""

from __future__ import annotations

from meld.ir.instructions import Instruction
from meld.ir.module import ElementSegment, Function, Module, Table
from meld.ir.types import FUNCREF, I32, Limits
from meld.rewriting.constants import constant, integer, is_in_bounds
from meld.rewriting.liveness import users_of
from meld.support.records import record

CALLS = frozenset({"call_indirect", "return_call_indirect"})


@record()
class _Region:
    base: int
    size: int


def join_tables(module: Module) -> str | None:
    """Merges all tables into one; returns why that is impossible, or None."""
    tables: list[Table] = module.space("tables")
    if len(tables) < 2:
        return None
    users = users_of(module, tables)
    obstacle = _obstacle(module, tables, [f for found in users.values() for f in found])
    if obstacle is not None:
        return obstacle
    regions: dict[Table, _Region] = {}
    base = 0
    for table in tables:
        regions[table] = _Region(base, table.limits.minimum)
        base += table.limits.minimum
    single = Table(FUNCREF, Limits(base, base), name="table", synthetic="target")
    for function in dict.fromkeys(f for found in users.values() for f in found):
        _rewrite(function, regions, single)
    for element in module.elements:
        if element.table is not None:
            _move(element, regions[element.table], single)
    module.tables = [single]
    return None


def _obstacle(module: Module, tables: list[Table], users: list[Function]) -> str | None:
    if any(table.imported is not None for table in tables):
        return "one is imported"
    if any(isinstance(export.item, Table) for export in module.exports):
        return "one is exported"
    if any(table.type != FUNCREF or table.init is not None or table.limits.is64 for table in tables):
        return "one is no plain table of functions"
    if any(e.table is None for e in module.elements) or any(_uses_otherwise(f) for f in users):
        return "one is read or written"
    active = [e for e in module.elements if e.table is not None]
    return None if all(integer(e.offset or []) is not None for e in active) else "the host says where one is filled"


def _uses_otherwise(function: Function) -> bool:
    return any(i.op.startswith("table.") for i in function.view().instructions)


def _rewrite(function: Function, regions: dict[Table, _Region], single: Table) -> None:
    code = function.code
    out: list[Instruction] = []
    local = None
    for i in code.instructions:
        if i.op not in CALLS:
            out.append(i)
            continue
        if local is None:
            local = len(function.signature.params) + len(code.locals)
            code.locals.append(I32)
        region = regions[i.args[0]]
        index = Instruction("local.get", (local,))
        out += [
            Instruction("local.tee", (local,)),
            constant(region.base, is64=False),
            Instruction("i32.add"),
            Instruction("i32.const", (-1,)),
            index,
            constant(region.size, is64=False),
            Instruction("i32.lt_u"),
            Instruction("select"),
            Instruction(i.op, (single, *i.args[1:]), i.span, i.label, i.notes, i.place),
        ]
    code.instructions = out


def _move(element: ElementSegment, region: _Region, single: Table) -> None:
    start = integer(element.offset or [])
    assert start is not None
    to = start + region.base if is_in_bounds(element) else 0xFFFF_FFFF  # what traps, traps
    element.table, element.offset, element.explicit_table = single, [constant(to, is64=False)], False
