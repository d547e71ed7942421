"""The call graph: direct calls, and calls through tables and references.

A call through a table may reach what the table holds and is of the type. What an active element segment or the initial
value of a table puts there is known. If a table is changed at run time, it may hold any function whose reference is
made somewhere; if the table is imported or exported, any exported function as well. A call of a reference may reach
every function whose reference is made. Types are compared as the engine does, subtypes included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any, TypeAlias

from meld.binary.bodies import EncodedBody
from meld.ir.instructions import Code, Instruction, LazyBody
from meld.ir.module import Function, Global, Module, Table
from meld.ir.types import ArrayType, ContType, FuncType, RefType, StructType, TypeDef
from meld.rewriting.labels import RESUMING
from meld.support.records import record

Key: TypeAlias = "tuple[Table | None, TypeDef]"
"""A kind of indirect calls: through which table, or None for a reference, and of which type."""

CHANGES = frozenset({"table.set", "table.fill", "table.init", "table.copy"})
"""Instructions that change elements that a table has; the table is the first immediate."""

RUNS = RESUMING | {"switch"}
"""Instructions that run a continuation, which may be any that the module makes."""
CONTINUATION: Key = (None, TypeDef(FuncType()))


@record(eq=False)
class CallGraph:
    """The calls of a module as it is when this is made.

    Attributes:
        direct: the functions that each one calls by name.
        indirect: the kinds of indirect calls that it makes.
    """

    module: Module
    direct: dict[Function, dict[Function, None]] = field(default_factory=dict)
    indirect: dict[Function, dict[Key, None]] = field(default_factory=dict)
    _taken: dict[Function, None] = field(default_factory=dict)
    _changed: set[Table] = field(default_factory=set)
    _grown: set[Table] = field(default_factory=set)
    _open: set[Table] = field(default_factory=set)
    _targets: dict[Key, tuple[Function, ...]] = field(default_factory=dict)
    _continued: dict[TypeDef, None] = field(default_factory=dict)
    _same: Mapping[TypeDef, TypeDef] = field(default_factory=dict)
    _plain: bool = False

    def __post_init__(self) -> None:
        module = self.module
        self._same = equal_types(module)
        self._plain = not _typed_references(module)
        self._open = {item for item in module.imports if isinstance(item, Table)}
        self._open |= {export.item for export in module.exports if isinstance(export.item, Table)}
        for function in module.functions:
            self._scan(function)
        for function in [f for f, kinds in self.indirect.items() if CONTINUATION in kinds]:
            del self.indirect[function][CONTINUATION]
            self.indirect[function].update(dict.fromkeys((None, t) for t in self._continued))
        for expression in module.constants():
            self._take(expression)
        for segment in module.elements:
            self._taken.update(dict.fromkeys(segment.functions or ()))

    def _scan(self, function: Function) -> None:
        direct: dict[Function, None] = {}
        indirect: dict[Key, None] = {}
        self.direct[function], self.indirect[function] = direct, indirect
        called = _only_called(function.body) if self._plain else None
        if called is not None:
            direct.update(dict.fromkeys(called))
            return
        for i in function.view().instructions:
            op = i.op
            if "call" in op:
                args: Any = i.args
                if op in ("call", "return_call"):
                    direct[args[0]] = None
                else:
                    indirect[self.key(i)] = None
            elif op == "ref.func":
                self._taken[i.args[0]] = None
            elif op == "cont.new":
                typed: Any = i.args[0].shape
                self._continued[self._same.get(typed.function, typed.function)] = None
            elif op in RUNS:
                indirect[CONTINUATION] = None
            elif op in CHANGES:
                self._changed.add(i.args[0])
            elif op == "table.grow":
                self._grown.add(i.args[0])

    def _take(self, expression: Iterable[Instruction]) -> None:
        for i in expression:
            if i.op == "ref.func":
                self._taken[i.args[0]] = None

    def key(self, call: Instruction) -> Key:
        """The kind that an indirect call is of."""
        args: Any = call.args
        table, typedef = (None, args[0]) if len(args) == 1 else args
        return table, self._same.get(typedef, typedef)

    def targets(self, key: Key) -> tuple[Function, ...]:
        """The functions that indirect calls of a kind may reach."""
        found = self._targets.get(key)
        if found is None:
            table, typedef = key
            found = tuple(f for f in self._held(table) if typedef in self._supers(f.type))
            self._targets[key] = found
        return found

    def reached(self, call: Instruction) -> tuple[Function, ...]:
        """The functions that a call may reach, a tail call or not."""
        return (call.args[0],) if call.op in ("call", "return_call") else self.targets(self.key(call))

    def taken(self, signature: FuncType) -> list[Function]:
        """The functions of a type, given by its values, that references are made of."""
        return [f for f in self._taken if f.signature == signature]

    def steady(self, table: Table) -> bool:
        """Whether nothing changes the elements that the table has, though it may grow."""
        return table not in self._open and table not in self._changed

    def _held(self, table: Table | None) -> Iterable[Function]:
        if table is None:
            return self._taken
        if table in self._open:
            exported = (e.item for e in self.module.exports if isinstance(e.item, Function))
            return dict.fromkeys([*self._taken, *exported])
        if table in self._changed or table in self._grown:
            return self._taken
        return dict.fromkeys(self._initial(table))

    def _initial(self, table: Table) -> Iterator[Function]:
        segments = [s for s in self.module.elements if s.table is table]
        expressions = [e for s in segments for e in s.expressions or ()]
        for i in (i for e in (table.init or [], *expressions) for i in e):
            if i.op == "ref.func":
                yield i.args[0]
            elif i.op == "global.get":  # its value is a reference that is made somewhere
                yield from self._taken
        for segment in segments:
            yield from segment.functions or ()

    def _supers(self, typedef: TypeDef) -> Iterator[TypeDef]:
        """The type and those above it."""
        yield self._same.get(typedef, typedef)
        for above in typedef.supers:
            yield from self._supers(above)


REFERENCES = re.compile(rb"[\x63\x64\xd2\xfb]")
"""A body without these bytes makes no reference to a function, and has no local and no cast of such a type."""


def _only_called(body: Code | LazyBody | None) -> list[Function] | None:
    """The functions that an encoded body names, if all it can do with functions is to call them by name.

    So it need not be decoded, which takes most of the time. A call of a reference needs a reference of its type.
    """
    if not isinstance(body, EncodedBody) or REFERENCES.search(body.section.body(body.number)):
        return None
    used = body.uses()
    return None if any(isinstance(item, Table) for item in used) else [f for f in used if isinstance(f, Function)]


def _typed_references(module: Module) -> bool:
    """Whether references to functions of a type come from anywhere but the bodies."""
    types: list[Any] = [item.type for item in module.items() if isinstance(item, Global | Table)]
    for typedef in module.typedefs():
        match typedef.shape:
            case FuncType(params, results):
                types += [*params, *results]
            case StructType(fields):
                types += [f.storage for f in fields]
            case ArrayType(element):
                types.append(element.storage)
            case ContType(function):
                types.append(RefType(True, function))
    return any(isinstance(t, RefType) and isinstance(t.heap, TypeDef) for t in types)


def equal_types(module: Module) -> dict[TypeDef, TypeDef]:
    """For each definition the first that is equal to it (WebAssembly 3.0, 3.2: iso-recursive types)."""
    first: dict[Any, list[TypeDef]] = {}
    same: dict[TypeDef, TypeDef] = {}
    for group in module.types:
        inside = {typedef: number for number, typedef in enumerate(group.types)}

        def ident(typedef: TypeDef, inside: Mapping[TypeDef, int] = inside) -> Any:
            return inside[typedef] if typedef in inside else same.get(typedef, typedef)

        key = tuple((_shape(t.shape, ident), t.final, tuple(map(ident, t.supers))) for t in group.types)
        same.update(zip(group.types, first.setdefault(key, group.types), strict=True))
    return same


def _shape(shape: Any, ident: Any) -> Any:
    match shape:
        case FuncType(params, results):
            return "func", tuple(_value(t, ident) for t in params), tuple(_value(t, ident) for t in results)
        case StructType(fields):
            return "struct", tuple((_value(f.storage, ident), f.mutable) for f in fields)
        case ArrayType(element):
            return "array", _value(element.storage, ident), element.mutable
        case ContType(function):
            return "cont", ident(function)
    raise TypeError(f"unknown type shape {shape!r}")


def _value(t: Any, ident: Any) -> Any:
    return (t.nullable, ident(t.heap)) if isinstance(t, RefType) and isinstance(t.heap, TypeDef) else t


# --- what may block --------------------------------------------------------------------------------------------------


@record(frozen=True)
class CallPath:
    """A path from a root to a function that blocks, through a given function.

    Attributes:
        steps: the functions, the caller first.
        indirect: for each call between them, whether it goes through a table or a reference.
    """

    steps: tuple[Function, ...]
    indirect: tuple[bool, ...]

    def __str__(self) -> str:
        names = [f"`{f.name or (f.imported and f.imported.field) or '?'}`" for f in self.steps]
        arrows = [" (indirect) → " if indirect else " → " for indirect in self.indirect]
        return "".join(part for pair in zip(names, [*arrows, ""], strict=True) for part in pair)


def must_be_resumable(
    module: Module, blocking: Iterable[Function], roots: Iterable[Function] | None, graph: CallGraph | None = None
) -> dict[Function, CallPath]:
    """The functions that may be on the stack when one of `blocking` is called.

    Args:
        blocking: imports, or functions that suspend on their own; they are not among the result.
        roots: where the stack begins; only what they may call counts. None for any function.
        graph: the calls of the module, if they are known.

    Returns:
        The functions in the order of the module, each with one of the shortest paths that show why.
    """
    graph = graph or CallGraph(module)
    leaves = dict.fromkeys(blocking)
    callers = _callers(graph)
    up = _search(leaves, lambda node: callers.get(node, ()))
    down = None if roots is None else _search(dict.fromkeys(roots), lambda node: _callees(graph, node, leaves))
    return {
        f: _path(f, {} if down is None else down, up)
        for f in module.functions
        if f in up and f not in leaves and (down is None or f in down)
    }


Node: TypeAlias = "Function | Key"


def _callees(graph: CallGraph, node: Node, leaves: Mapping[Function, None]) -> Iterable[Node]:
    if isinstance(node, tuple):
        return graph.targets(node)
    if node in leaves:
        return ()
    return (*graph.direct.get(node, ()), *graph.indirect.get(node, ()))


def _callers(graph: CallGraph) -> dict[Node, list[Node]]:
    """The other way round: who calls a function, or makes calls of a kind."""
    found: dict[Node, list[Node]] = {}
    keys: dict[Key, None] = {}
    for function in graph.module.functions:
        for callee in graph.direct[function]:
            found.setdefault(callee, []).append(function)
        for key in graph.indirect[function]:
            keys[key] = None
            found.setdefault(key, []).append(function)
    for key in keys:
        for target in graph.targets(key):
            found.setdefault(target, []).append(key)
    return found


def _search(start: Iterable[Function], following: Any) -> dict[Node, Node | None]:
    """Breadth first: for each node that is reached, the one before it."""
    found: dict[Node, Node | None] = dict.fromkeys(start)
    pending: list[Node] = list(found)
    for node in pending:
        for other in following(node):
            if other not in found:
                found[other] = node
                pending.append(other)
    return found


def _path(function: Function, down: Mapping[Node, Node | None], up: Mapping[Node, Node | None]) -> CallPath:
    before: list[Node] = []
    node = down.get(function)
    while node is not None:
        before.append(node)
        node = down[node]
    after: list[Node] = []
    node = up[function]
    while node is not None:
        after.append(node)
        node = up[node]
    nodes = [*reversed(before), function, *after]
    steps = [n for n in nodes if isinstance(n, Function)]
    kinds = [isinstance(nodes[at - 1], tuple) for at, n in enumerate(nodes) if at and isinstance(n, Function)]
    return CallPath(tuple(steps), tuple(kinds))
