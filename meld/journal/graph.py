"""Who is linked to whom, as a picture can show it: of a composition its instances, of a module also its memories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import Any

from meld.ir import component as c
from meld.ir.component import Component
from meld.ir.module import Module
from meld.support.records import record

HOST = "(host)"


@record()
class Node:
    """A box.

    Attributes:
        name: unique in its graph.
        kind: ``component`` (not instantiated yet), ``instance``, ``memory`` (one that the compiler made), ``host``.
        rows: what is in it, a line each.
    """

    name: str
    kind: str
    rows: list[str] = field(default_factory=list)


@record()
class Edge:
    """An arrow from who calls (or writes) to who is called (or reads).

    Attributes:
        kind: ``link``; ``pending``, ``direct``, ``adapter``, ``host``, ``built-in`` for calls; ``bridged``, ``stream``
            (on the host), ``partner`` (undecided) for streams.
        rows: the functions or types, a line each.
    """

    source: str
    target: str
    kind: str
    rows: list[str] = field(default_factory=list)


@record()
class Graph:
    """Boxes and arrows."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def to_row(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "nodes": [[n.name, n.kind, n.rows] for n in self.nodes],
            "edges": [[e.source, e.target, e.kind, e.rows] for e in self.edges],
        }

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> Graph:
        """From JSON. Raises what a wrong form raises (TypeError, KeyError, ValueError)."""
        graph = cls([Node(*node) for node in row["nodes"]], [Edge(*edge) for edge in row["edges"]])
        texts = [t for n in graph.nodes for t in (n.name, n.kind, *n.rows)]
        texts += [t for e in graph.edges for t in (e.source, e.target, e.kind, *e.rows)]
        if not all(isinstance(t, str) for t in texts):
            raise TypeError("a graph whose parts are no texts")
        return graph


def graph_of(program: Component | Module) -> Graph:
    """The graph of a program as it stands."""
    graph = _of_module(program) if isinstance(program, Module) else _of_component(program)
    names = {node.name for node in graph.nodes}
    ends = dict.fromkeys(end for edge in graph.edges for end in (edge.source, edge.target))
    graph.nodes += [Node(name, "host") for name in ends if name not in names]
    return graph


def _grouped(edges: Iterable[tuple[str, str, str, str]]) -> list[Edge]:
    """One arrow for all that is alike between two boxes."""
    found: dict[tuple[str, str, str], Edge] = {}
    for source, target, kind, row in edges:
        edge = found.setdefault((source, target, kind), Edge(source, target, kind))
        if row:
            edge.rows.append(row)
    return list(found.values())


# --- modules -------------------------------------------------------------------------------------------------------

STREAMS = {"module": "bridged", "host": "stream", "undecided": "partner"}


def _of_module(module: Module) -> Graph:
    from meld.views.inspection import inspect

    found = inspect(module)
    graph = Graph()
    boxes = {row["name"]: Node(row["name"] or "?", "instance") for row in found["instances"] if _has_code(row)}
    for row in found["instances"]:
        if row["name"] in boxes:
            cores = row["core-instances"]
            boxes[row["name"]].rows = [_many(row["functions"], "function"), *[f"{cores} core modules"] * (cores > 1)]
    for row in found["memories"]:
        most = "" if row["maximum"] in (None, row["minimum"]) else f" to {row['maximum']:,}"
        shown = f"memory {row['index']}: {row['minimum']:,}{most} page{'s' * (most != '' or row['minimum'] != 1)}"
        made = row["made-for"]
        owner = row["instance"] or (row["name"] or "").rpartition("/")[0]  # tables of handles are called after theirs
        if owner in boxes:
            boxes[owner].rows.append(shown + (f" ({made})" if made else ""))
        else:
            graph.nodes.append(Node(row["name"] or f"memory {row['index']}", "memory", [shown, *filter(None, [made])]))
    graph.nodes[:0] = boxes.values()
    calls = ((row["caller"], row["callee"], row["how"], f"{row['function']}: {row['type']}") for row in found["calls"])
    streams = (
        (row["producer"], row["consumer"], STREAMS[row["where"]], _stream(row)) for row in found["streams"]
    )  # producer and consumer as in the pairs of the module
    graph.edges = _grouped((a or "?", b or "?", kind, text) for a, b, kind, text in (*calls, *streams))
    return graph


def _has_code(row: dict[str, Any]) -> bool:
    return bool(row["functions"] or row["memories"] or row["tables"] or row["globals"])


def _stream(row: dict[str, Any]) -> str:
    of = f"<{row['element']}>" if row["element"] else ""
    return f"{row['kind']}{of}" + (f": {row['reason']}" if row["reason"] else "")


# --- compositions --------------------------------------------------------------------------------------------------


def _of_component(component: Component) -> Graph:
    from meld.notes.linking import Partner

    names: dict[c.Definition, str] = {}
    graph = Graph()
    made = {d.component for d in component.of(c.ComponentInstance)}
    for item in component.definitions:
        if isinstance(item, c.ComponentInstance):
            of = item.component
            inner = of.component if isinstance(of, c.NestedComponent) else None
            wish = item.name or of.name or (inner.name if inner else None) or "instance"
            kind = "instance"
        elif isinstance(item, c.NestedComponent) and item not in made:
            inner, wish, kind = item.component, item.name or item.component.name or "component", "component"
        else:
            continue
        name = names[item] = _unique(wish, names.values())
        graph.nodes.append(Node(name, kind, [] if inner is None else _inside(inner)))
    own = _count(component, c.CoreModule)
    if own or not graph.nodes:
        root = _unique(component.name or component.where or "component", names.values())
        graph.nodes.insert(0, Node(root, "component", _inside(component)))
        names.update(dict.fromkeys(component.of(c.CanonLift), root))
    edges: list[tuple[str, str, str, str]] = []
    for item in component.of(c.ComponentInstance):
        for label, given in item.args:
            for end in _ends(given, names):
                edges.append((names[item], end, "link", label))
        edges += [
            (names[item], names[note.to], "partner", note.label)
            for note in item.notes
            if isinstance(note, Partner) and note.to in names
        ]
    graph.edges = _grouped(edges)
    return graph


def _unique(wish: str, taken: Iterable[str]) -> str:
    known, name, n = set(taken), wish, 1
    while name in known:
        n += 1
        name = f"{wish}.{n}"
    return name


def _count(component: Component, kind: type[Any]) -> int:
    return sum(1 for _ in component.of(kind))


def _inside(component: Component) -> list[str]:
    modules = list(component.of(c.CoreModule))
    functions = sum(len(module.module.functions) for module in modules)
    counts = {
        "core module": len(modules),
        "function": functions,
        "component instance": _count(component, c.ComponentInstance),
        "import": _count(component, c.Import),
        "export": _count(component, c.Export),
    }
    return [_many(count, what) for what, count in counts.items() if count]


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" + "s" * (count != 1)


def _ends(definition: c.Definition, names: dict[c.Definition, str]) -> Iterator[str]:
    """Where a definition comes from: the boxes of instances, or the host."""
    pending, seen, found = [definition], set(), set()
    while pending:
        item = pending.pop()
        if item in seen:
            continue
        seen.add(item)
        match item:
            case _ if item in names:
                end = names[item]
            case c.Import():
                end = HOST
            case c.ExportAlias():
                pending.append(item.instance)
                continue
            case c.InlineInstance():
                pending += [part for _, part in reversed(item.exports)]
                continue
            case c.Export():
                pending.append(item.target)
                continue
            case _:
                continue
        if end not in found:
            found.add(end)
            yield end
