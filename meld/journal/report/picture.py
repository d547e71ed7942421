"""The graph of a program as SVG: boxes in columns, who calls at the left of who is called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from html import escape
from itertools import pairwise

from meld.journal import Journal
from meld.journal.graph import Edge, Graph, Node
from meld.support.records import record

WIDTH, LINE, HEAD, GAP, COLUMN, MARGIN = 210, 16, 30, 26, 150, 14
"""Pixels: width of a box, height of a row, of its head, distance of boxes, of columns, margin."""

MOST, ROWS, NAMED = 80, 6, 30
"""Boxes in a picture, rows in a box, names in a tooltip."""

WORDS = {
    "link": "feeds an import",
    "partner": "stream partners",
    "pending": "calls, not yet wired",
    "direct": "calls directly",
    "adapter": "calls by way of an adapter",
    "host": "calls the host",
    "built-in": "calls a built-in",
    "bridged": "streams, bridged in the module",
    "stream": "streams by way of the host",
}
"""Kinds of arrows in words."""

SHORT = {"direct": "direct", "adapter": "adapted", "bridged": "bridged", "stream": "by the host", "partner": "partner"}


def figures(journal: Journal) -> str:
    """The pictures of a run: the composition if there was one, and the module at the end."""
    last = len(journal.steps) - 1
    compositions = [s.number for s in journal.steps if s.language == "component"]
    modules = [s.number for s in journal.steps if s.language == "module"]
    shown: list[tuple[str, int]] = []
    if compositions:
        shown.append(("Before: the composition", max(n for n in compositions if not modules or n < modules[-1])))
    elif modules[0] != last:
        shown.append(("Before: the module", modules[0]))
    if modules:
        shown.append(("After: the module", modules[-1]))
    parts = []
    for title, number in shown:
        graph = journal.graph(number) or Graph()
        label = journal.steps[number].label
        parts.append(
            f"<figure><figcaption><b>{escape(title)}</b> after <code>{escape(label)}</code></figcaption>"
            f'<div class="scroll">{svg(graph, title)}</div>{_legend(graph)}</figure>'
        )
    return "\n".join(parts)


@record()
class _Box:
    """A box and its place; one without a node is where a long arrow goes through a column."""

    node: Node | None = None
    rank: int = 0
    x: int = 0
    y: int = 0
    rows: list[str] = field(default_factory=list)

    @property
    def height(self) -> int:
        if self.node is None:
            return 2
        return HEAD + LINE * len(self.rows) + (8 if self.rows else 0)


def svg(graph: Graph, title: str) -> str:
    """The picture of a graph."""
    boxes, edges, hidden = _selected(graph)
    if not boxes:
        return '<p class="none">nothing to draw</p>'
    ways = _place(boxes, edges)
    width = max(b.x for b in boxes.values()) + WIDTH + MARGIN
    width += 60 * any(boxes[edge.source].rank == boxes[edge.target].rank for edge in edges)
    height = max(b.y + b.height for b in (*boxes.values(), *(b for way in ways for b in way))) + MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="graph" role="group" aria-label="{escape(title)}" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    ]
    out += _arrows(boxes, edges, ways)
    out += [_box(box, box.node) for box in boxes.values() if box.node is not None]
    out.append("</svg>")
    if hidden:
        out.append(f'<p class="none">and {hidden} boxes more, which have the fewest arrows</p>')
    return "\n".join(out)


def _selected(graph: Graph) -> tuple[dict[str, _Box], list[Edge], int]:
    weight: dict[str, int] = {}
    for edge in graph.edges:
        for end in (edge.source, edge.target):
            weight[end] = weight.get(end, 0) + 1
    nodes = graph.nodes
    if len(nodes) > MOST:
        kept = {n.name for n in sorted(nodes, key=lambda n: -weight.get(n.name, 0))[:MOST]}
        nodes = [n for n in nodes if n.name in kept]
    boxes = {node.name: _Box(node, rows=_rows(node)) for node in nodes}
    edges = [e for e in graph.edges if e.source in boxes and e.target in boxes]
    return boxes, edges, len(graph.nodes) - len(nodes)


def _rows(node: Node) -> list[str]:
    if len(node.rows) <= ROWS:
        return node.rows
    return [*node.rows[: ROWS - 1], f"… {len(node.rows) - ROWS + 1} more"]


def _place(boxes: dict[str, _Box], edges: list[Edge]) -> list[list[_Box]]:
    """Places the boxes: columns by the longest way from who is not called, in a column by where the neighbours are.

    Returns, for each arrow, where it goes through the columns between its ends.
    """
    _rank(boxes, edges)
    columns: dict[int, list[_Box]] = {}
    for box in boxes.values():
        columns.setdefault(box.rank, []).append(box)
    near: dict[int, list[_Box]] = {}
    ways: list[list[_Box]] = []
    for edge in edges:
        a, b = boxes[edge.source], boxes[edge.target]
        step = 1 if a.rank < b.rank else -1
        way = [_Box(rank=rank) for rank in range(a.rank + step, b.rank, step)]
        for box in way:
            columns.setdefault(box.rank, []).append(box)
        chain = [a, *way, b]
        for left, right in pairwise(chain):
            near.setdefault(id(left), []).append(right)
            near.setdefault(id(right), []).append(left)
        ways.append(way)
    for _ in range(6):
        middle = {id(b): i - len(column) / 2 for column in columns.values() for i, b in enumerate(column)}
        for column in columns.values():
            column.sort(key=lambda b: _mean([middle[id(n)] for n in near.get(id(b), ())], middle[id(b)]))
    tallest = max(sum(b.height + GAP for b in column) for column in columns.values())
    for position, rank in enumerate(sorted(columns)):
        column = columns[rank]
        y = MARGIN + (tallest - sum(b.height + GAP for b in column)) // 2
        for box in column:
            box.x, box.y = MARGIN + position * (WIDTH + COLUMN), y
            y += box.height + GAP
    return ways


def _rank(boxes: dict[str, _Box], edges: list[Edge]) -> None:
    """The columns. The host is in the last one."""
    forward = _forward(boxes, edges)
    for _ in boxes:
        moved = False
        for a, b in forward:
            if boxes[b].rank <= boxes[a].rank:
                boxes[b].rank, moved = boxes[a].rank + 1, True
        if not moved:
            break
    most = max(box.rank for box in boxes.values())
    for box in boxes.values():
        if box.node is not None and box.node.kind == "host" and len(boxes) > 1:
            box.rank = max(most, 1)


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _forward(boxes: dict[str, _Box], edges: list[Edge]) -> list[tuple[str, str]]:
    """The arrows without those that close a circle."""
    after: dict[str, list[str]] = {name: [] for name in boxes}
    for edge in edges:
        if edge.source != edge.target and edge.target not in after[edge.source]:
            after[edge.source].append(edge.target)
    state: dict[str, int] = {}
    found: list[tuple[str, str]] = []
    for root in boxes:
        stack: list[tuple[str, Iterator[str]]] = []
        if root not in state:
            state[root] = 1
            stack.append((root, iter(after[root])))
        while stack:
            name, rest = stack[-1]
            target = next(rest, None)
            if target is None:
                state[name] = 2
                stack.pop()
            elif state.get(target) != 1:
                found.append((name, target))
                if target not in state:
                    state[target] = 1
                    stack.append((target, iter(after[target])))
    return found


def _box(box: _Box, node: Node) -> str:
    tip = escape("\n".join([node.name, *node.rows]))
    rows = "".join(
        f'<text class="row" x="{box.x + 12}" y="{box.y + HEAD + 8 + LINE * i}">{escape(_cut(row, 31))}</text>'
        for i, row in enumerate(box.rows)
    )
    return (
        f'<g class="node {escape(node.kind)}" tabindex="0" role="img" aria-label="{tip}"><title>{tip}</title>'
        f'<rect x="{box.x}" y="{box.y}" width="{WIDTH}" height="{box.height}" rx="7"/>'
        f'<text class="name" x="{box.x + 12}" y="{box.y + 20}">{escape(_cut(node.name, 23))}</text>{rows}</g>'
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-(most - most // 2 - 1) :]}"


def _arrows(boxes: dict[str, _Box], edges: list[Edge], ways: list[list[_Box]]) -> Iterator[str]:
    leaving: dict[str, int] = {}
    for edge in edges:
        for name in {edge.source, edge.target}:
            leaving[name] = leaving.get(name, 0) + 1
    used: dict[str, int] = {}

    def port(name: str) -> float:
        """Where at the side of a box the next arrow begins or ends."""
        used[name] = used.get(name, 0) + 1
        box = boxes[name]
        return box.y + box.height * used[name] / (leaving[name] + 1)

    for edge, way in zip(edges, ways, strict=True):
        a, b = boxes[edge.source], boxes[edge.target]
        y1 = port(edge.source)
        at: tuple[float, float]
        tip: tuple[float, float]
        if a is b:
            x, y2 = a.x + WIDTH, y1 + 14
            path = f"M{x},{y1:.1f} C{x + 46},{y1 - 12:.1f} {x + 46},{y2 + 12:.1f} {x + 9},{y2:.1f}"
            at, tip, turn = (x + 30, y1 - 8), (x, y2), -1
        elif a.rank == b.rank:
            x, y2 = a.x + WIDTH, port(edge.target)
            path = f"M{x},{y1:.1f} C{x + 60},{y1:.1f} {x + 60},{y2:.1f} {x + 9},{y2:.1f}"
            at, tip, turn = (x + 46, (y1 + y2) / 2), (x, y2), -1
        else:
            y2 = port(edge.target)
            right = b.x > a.x
            x1, x2 = (a.x + WIDTH, b.x) if right else (a.x, b.x + WIDTH)
            turn = 1 if right else -1
            path, x, y = f"M{x1},{y1:.1f}", x1, y1
            for box in way:  # straight through the column
                begin, end = (box.x, box.x + WIDTH) if right else (box.x + WIDTH, box.x)
                path += _curve(x, y, begin, box.y) + f" H{end}"
                x, y = end, box.y
            path += _curve(x, y, x2 - 9 * turn, y2)
            at, tip = ((x + x2) / 2, (y + y2) / 2), (x2, y2)
        yield _arrow(edge, path, at, tip, turn)


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    bend = (x2 - x1) * 0.45
    return f" C{x1 + bend:.1f},{y1:.1f} {x2 - bend:.1f},{y2:.1f} {x2:.1f},{y2:.1f}"


def _arrow(edge: Edge, path: str, at: tuple[float, float], tip: tuple[float, float], turn: int) -> str:
    named = [*edge.rows[:NAMED], *([f"… {len(edge.rows) - NAMED} more"] if len(edge.rows) > NAMED else [])]
    said = escape("\n".join([f"{edge.source} → {edge.target}: {WORDS.get(edge.kind, edge.kind)}", *named]))
    x, y = tip
    head = f"M{x},{y:.1f} l{-9 * turn},-4.5 v9 z"
    count = f"{len(edge.rows)} " if len(edge.rows) > 1 else ""
    label = escape(f"{count}{SHORT.get(edge.kind, edge.kind)}")
    return (
        f'<g class="edge {escape(edge.kind)}" tabindex="0" role="img" aria-label="{said}"><title>{said}</title>'
        f'<path class="wide" d="{path}"/><path class="line" d="{path}"/><path class="head" d="{head}"/>'
        f'<text x="{at[0]:.1f}" y="{at[1] - 5:.1f}" text-anchor="middle">{label}</text></g>'
    )


def _legend(graph: Graph) -> str:
    kinds = dict.fromkeys(edge.kind for edge in graph.edges)
    items = "".join(
        f'<li><svg width="34" height="10" aria-hidden="true"><g class="edge {escape(k)}">'
        f'<path class="line" d="M0,5 H34"/></g></svg>{escape(WORDS.get(k, k))}</li>'
        for k in kinds
    )
    return f'<ul class="legend">{items}</ul>' if items else ""
