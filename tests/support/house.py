"""The rules of the layout, checked over the source of a package.

`arrows` reads every import, those inside functions and under ``TYPE_CHECKING`` included; a module that is only named in
a string is no import, and is forbidden outside the registries of passes and commands.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SPINE = (
    ("__main__", "golden.pytest_plugin"),
    ("cli",),
    ("commands",),
    ("debugger", "editor", "golden"),
    ("faults",),
    ("observers",),
    ("verify",),
    ("runtime", "journal"),
    ("views",),
    ("__init__",),
    ("driver",),
    ("inputs",),
    ("passmanager", "files"),
    ("passes",),
    ("rewriting",),
    ("validity",),
    ("text",),
    ("notes",),
    ("abi", "binary"),
    ("ir",),
    ("diagnostics",),
    ("support", "version"),
)
"""The rooms from top to bottom: a module imports its own room and what is below. `__init__` is the API; the plugin of
pytest is a command line of its own."""

ALONE = {name for names in SPINE for name in names if "." in name}
"""Modules that are rooms of their own."""

ONLY = {
    "ir": {"ir", "diagnostics", "support"},
    "notes": {"notes", "ir", "abi", "diagnostics", "support"},
}
"""Rooms that import few others, with those that they may."""

CIRCLES = [{"ir.instructions", "ir.module"}, {"journal", "journal.file"}]
"""Modules that may import each other: the data itself is so, and a journal reads and writes itself."""

REGISTRIES = {"", "commands", "passes", "debugger.shell"}
"""Modules that name others in strings: what they offer is imported when somebody asks for it."""

LOOSE = 7
"""Files that may lie in the package itself, `__init__` and `__main__` included."""
LINES = 600
"""Lines that a file may have."""


@dataclass(frozen=True)
class Arrow:
    """An import: from a module to another, by dotted names inside the package; "" is the package itself."""

    source: str
    target: str
    line: int
    late: bool

    def __str__(self) -> str:
        return f"{self.source or '__init__'}:{self.line} imports {self.target or '__init__'}"


class House:
    """The modules of a package, by dotted names without its own."""

    def __init__(self, package: Path) -> None:
        self.package, self.name = package, package.name
        self.files = {_dotted(path.relative_to(package)): path for path in sorted(package.rglob("*.py"))}
        self.trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in self.files.items()}
        self.arrows = [arrow for name in self.files for arrow in self._arrows(name)]

    def _arrows(self, name: str) -> Iterator[Arrow]:
        top = _at_import(self.trees[name])
        for node in ast.walk(self.trees[name]):
            match node:
                case ast.ImportFrom(module=str(module), level=0) if _inside(module, self.name):
                    holder = module.removeprefix(self.name).removeprefix(".")
                    targets = {self._target(holder, alias.name) for alias in node.names}
                case ast.Import():
                    named = [alias.name for alias in node.names if _inside(alias.name, self.name)]
                    targets = {each.removeprefix(self.name).removeprefix(".") for each in named}
                case _:
                    continue
            for target in sorted(targets):
                yield Arrow(name, target, node.lineno, node not in top)

    def _target(self, holder: str, name: str) -> str:
        inner = f"{holder}.{name}" if holder else name
        return inner if inner in self.files else holder


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _at_import(tree: ast.Module) -> set[ast.AST]:
    """The imports that happen as the module is imported."""
    found: set[ast.AST] = set()
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        match node:
            case ast.Import() | ast.ImportFrom():
                found.add(node)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                pending += node.orelse
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                pass
            case _:
                pending += ast.iter_child_nodes(node)
    return found


def room(module: str) -> str:
    """The room of a module: the folder or the loose file."""
    return module if module in ALONE else module.partition(".")[0] or "__init__"


def upward(house: House) -> list[str]:
    """Imports that run up the spine, and rooms that the spine does not have."""
    storey = {name: number for number, names in enumerate(SPINE) for name in names}
    found = [f"the spine lacks `{name}`" for name in sorted({room(m) for m in house.files} - storey.keys())]
    return found + [
        str(arrow)
        for arrow in house.arrows
        if storey.get(room(arrow.target), 0) < storey.get(room(arrow.source), 0)
        or (
            storey.get(room(arrow.target)) == storey.get(room(arrow.source))
            and room(arrow.target) != room(arrow.source)
        )
    ]


def passes_apart(house: House) -> list[str]:
    """Imports of a pass by another."""
    shared = {"passes", "passes.base"}
    found = []
    for arrow in house.arrows:
        a, b = (".".join(name.split(".")[:2]) for name in (arrow.source, arrow.target))
        if {room(a), room(b)} == {"passes"} and a != b and a not in shared and b not in shared:
            found.append(str(arrow))
    return found


def few(house: House) -> list[str]:
    """Imports of rooms that import few others."""
    return [
        str(arrow)
        for arrow in house.arrows
        if (allowed := ONLY.get(room(arrow.source))) is not None and room(arrow.target) not in allowed
    ]


def no_passes(house: House) -> list[str]:
    """Imports of passes by text and binary."""
    return [str(a) for a in house.arrows if room(a.source) in ("text", "binary") and room(a.target) == "passes"]


def circles(house: House) -> list[str]:
    """Modules that import each other in a circle, as they are imported or later."""
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph((arrow.source, arrow.target) for arrow in house.arrows)
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    graph.remove_nodes_from([""])  # the API, which imports late what it offers
    found = [set(part) for part in nx.strongly_connected_components(graph) if len(part) > 1]
    return [" ↔ ".join(sorted(part)) for part in found if part not in CIRCLES]


def named(house: House) -> list[str]:
    """Modules of the package that strings name."""
    found = []
    for name, tree in house.trees.items():
        if name in REGISTRIES:
            continue
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                word = re.fullmatch(rf"{re.escape(house.name)}\.([a-z_.]+)(:\w+)?\.?", node.value)
                if word and word[1].rstrip(".") in house.files:
                    found.append(f"{name}:{node.lineno} names {node.value!r}")
    return found


def loose(house: House) -> list[str]:
    """The loose files, if there are too many."""
    found = [name or "__init__" for name, path in house.files.items() if path.parent == house.package]
    return [f"{len(found)} loose files: {', '.join(found)}"] if len(found) > LOOSE else []


def long(house: House) -> list[str]:
    """Files that are too long."""
    sizes = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in house.files.items()}
    return [f"{name or '__init__'} has {size} lines" for name, size in sizes.items() if size > LINES]


RULES = (upward, passes_apart, few, no_passes, circles, named, loose, long)
