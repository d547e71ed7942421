"""`--explain`: what was done with each stream domain and each boundary, and why, and what the compiler made.

Read off the program: its notes, and the marks on its functions.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from meld.abi.wit_text import wit, wit_function
from meld.binary.debug.dwarf import FILE, line_of
from meld.driver import Outcome
from meld.ir.component import CoreModule
from meld.ir.module import Module
from meld.ir.notes import Instance, Note
from meld.notes.boundaries import Boundary, CanonCall, Edge, HostCall, HostExport, Wired
from meld.notes.state import state_memories
from meld.notes.streams import Domain, Pair, pairs_by_domain
from meld.notes.tasks import How, Planned, PlannedExport, TaskCall
from meld.passes.base import Program
from meld.support.records import record

if TYPE_CHECKING:
    from rich.console import Console


@record(frozen=True)
class Row:
    """One decision."""

    kind: str
    subject: str
    parties: str
    decision: str
    reason: str


SHOWN = 3
"""How many functions of a kind, or instances of many, are named."""


def rows(module: Module) -> list[Row]:
    """The decisions that a module's notes tell."""
    found: list[Row] = []
    pairs = pairs_by_domain(module.notes_of(Pair))
    for domain in module.notes_of(Domain):
        kind = "future" if domain.future else "stream"
        subject = f"{kind}<{wit(domain.element)}>" if domain.element is not None else kind
        flows = _flows(pairs.get(domain, []))
        parties = ", ".join(flows) or ", ".join(i.name or "" for i in domain.instances)
        reason = domain.why or ("both ends are in the module" if domain.bridged else "")
        decision = "bridged" if domain.bridged else domain.carried
        found.append(Row("stream domain", subject, parties, decision, reason))
    for wired in module.notes_of(Wired):
        parties = f"{wired.caller.name} → {wired.callee.name}"
        found.append(Row("boundary", f"{wired.label} {wit_function(wired.type)}", parties, wired.how, wired.reason))
    for _, call in module.noted(TaskCall, module.functions):
        to_host = call.caller is call.callee
        parties = f"{call.caller.name} → {'host' if to_host else call.callee.name}"
        why = "the host may go on with it" if to_host else _why_task(call.blocks)
        found.append(Row("boundary", f"{call.label} {wit_function(call.type)}", parties, "task", why))
    for _, host in module.noted(HostCall):
        if host.type.is_async and not host.lower.is_async:
            why = "the host returns when it has the result; nothing else runs meanwhile"
            parties = f"{host.instance.name} → host"
            found.append(Row("host call", f"{host.label} {wit_function(host.type)}", parties, "blocks", why))
    for planned in module.notes_of(PlannedExport):
        if planned.how == How.TASK.value:
            found.append(Row("export", planned.label, "host", "task", _why_task(planned.blocks)))
    for item, n in module.noted(Note):
        match n:
            case Boundary():
                parties = f"{n.caller.name} → {n.callee.name}"
                plan = item.note(Planned)
                how = "pending" if plan is None else plan.how
                why = "not yet wired" if plan is None else _why_planned(plan)
                found.append(Row("boundary", f"{n.label} {wit_function(n.type)}", parties, how, why))
            case Edge():
                parties = f"{n.instance.name} → host" if n.way == "out" else f"host → {n.instance.name}"
                found.append(
                    Row("edge", f"{n.label} {wit_function(n.type)}", parties, "pending", "handles to be translated")
                )
            case CanonCall():
                found.append(Row("built-in", n.builtin, n.instance.name or "", "pending", "an import for now"))
    return [*found, *_host_checks(module)]


def _host_checks(module: Module) -> list[Row]:
    """Who checks what instances give the host; no row where there is nothing to check."""
    from meld.rewriting.outer import needs_checks

    inside, outside = list[str](), list[str]()
    state = state_memories(module)
    given = [(n.label, n.type, n.lift, False) for n in module.notes_of(HostExport)]
    given += [(n.label, n.type, n.lower, True) for _, n in module.noted(HostCall)]
    for label, t, options, imported in given:
        if needs_checks(t, options, imported=imported):
            (inside if options.memory in state else outside).append(label)
    return [
        Row("host functions", f"{len(labels)} with pointers, characters or cases", _several_names(labels), how, why)
        for labels, how, why in (
            (inside, "checked here", "values are copied into the compiler's memory and checked on the way"),
            (
                outside,
                "checked by the host",
                "not taken by host-memory; a bad value makes the host trap, not the module",
            ),
        )
        if labels
    ]


def _flows(pairs: list[Pair]) -> list[str]:
    """Pairs in words; a note with many is shortened to its two sides."""
    return [f"{_several(a)} → {_several(b)}" for pair in pairs for a, b in pair.flows()]


def _several(instances: tuple[Instance, ...]) -> str:
    return _several_names([i.name or "" for i in instances])


def _several_names(names: list[str]) -> str:
    first = ", ".join(names[:SHOWN])
    return first if len(names) <= SHOWN else f"{first} and {len(names) - SHOWN} more"


def _why_task(blocks: str | None) -> str:
    """Why a call is a task, and how it may stay on the stack."""
    return f"may block on the stack: {blocks}" if blocks else "may wait in its callback, or for its turn"


def _why_planned(planned: Planned) -> str:
    match How(planned.how):
        case How.TASK:
            return _why_task(planned.blocks)
        case How.PROMPT:
            return "over when the callee returns: it has nothing to wait for"
        case How.DIRECT:
            return "not yet wired"


@record()
class Made:
    """The functions of one kind that the compiler made.

    Attributes:
        line: the line of `FILE` that they are attributed to.
        shared: the bytes of those that belong to no instance.
        own: the bytes of those that belong to one, by its name.
    """

    kind: str
    line: int
    functions: list[str] = field(default_factory=list)
    shared: int = 0
    own: dict[str, int] = field(default_factory=dict)


def made(module: Module) -> list[Made]:
    """The generated functions by kind, in the order of their lines, with the size of their bodies."""
    from meld.binary.encode import Encoder
    from meld.ir.numbering import Numbering

    kinds: dict[str, Made] = {}
    encoder: Encoder | None = None
    for function in module.functions:
        kind = function.synthetic
        if kind is None:
            continue
        encoder = encoder or Encoder(Numbering(module))
        one = kinds.setdefault(kind, Made(kind, line_of(kind)))
        one.functions.append(function.name or "")
        size = len(encoder.body(function.view()))
        if function.owner is None:
            one.shared += size
        else:
            name = function.owner.name or "instance"
            one.own[name] = one.own.get(name, 0) + size
    return sorted(kinds.values(), key=lambda one: (one.line, one.kind))


def explain(outcome: Outcome, form: str = "text") -> None:
    """Prints the tables to standard error, or the same as JSON."""
    from meld.support.terminal import json_text, say, table_console

    if form == "text":
        explain_to(table_console(error=True), outcome.program)
    else:
        say(json_text(explain_data(outcome.program)), error=True)


def fused_module(program: Program) -> Module | None:
    """The fused module: the program itself, or the one that `wrap` put into a component; None before `merge`."""
    if isinstance(program, Module):
        return program
    return next((one.module for one in program.of(CoreModule) if one.module.notes_of(Instance)), None)


def explain_data(program: Program) -> dict[str, Any]:
    """The tables as plain data."""
    module = fused_module(program)
    decisions = [] if module is None else rows(module)
    generated = [] if module is None else made(module)
    return {
        "decisions": [{name: getattr(row, name) for name in _COLUMNS} for row in decisions],
        "generated": [
            {"kind": one.kind, "line": one.line, "functions": one.functions, "own": one.own, "shared": one.shared}
            for one in generated
        ],
    }


_COLUMNS = ("kind", "subject", "parties", "decision", "reason")


def explain_to(console: Console, program: Program) -> None:
    """Prints the tables."""
    from rich.table import Table

    from meld.support.terminal import cell

    module = fused_module(program)
    if module is None:
        console.print("nothing to explain yet: the program is still a composition")
        return
    table = Table("what", "which", "between", "decision", "why")
    for row in rows(module):
        table.add_row(*map(cell, (row.kind, row.subject, row.parties, row.decision, row.reason)))
    if table.row_count:
        console.print(table)
    else:
        console.print("no stream domain and no boundary in this program")
    found = made(module)
    table = Table("generated", "functions", f"line of {FILE}", "bytes shared", "bytes of instances", "such as")
    for one in found:
        names = ", ".join(one.functions[:SHOWN]) + ", …" * (len(one.functions) > SHOWN)
        table.add_row(*map(cell, (one.kind, len(one.functions), one.line, one.shared, sum(one.own.values()), names)))
    if table.row_count:
        console.print(table)
    table = Table("instance", "bytes generated for it", "of which")
    for name in dict.fromkeys(name for one in found for name in one.own):
        parts = {one.kind: one.own[name] for one in found if name in one.own}
        table.add_row(
            *map(cell, (name, sum(parts.values()), ", ".join(f"{kind} {size}" for kind, size in parts.items())))
        )
    if table.row_count:
        console.print(table)
