"""Graphs small enough to need no library: an order that keeps to edges. What a cycle is, networkx says.

networkx takes longer to import than most programs take to compile.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import TypeVar

N = TypeVar("N", bound=Hashable)


class Circle(Exception):
    """The edges lead in a circle: `path` is one, its first node also last."""

    def __init__(self, path: list[object]) -> None:
        super().__init__(path)
        self.path = path


def topological(nodes: Sequence[N], edges: Iterable[tuple[N, N]]) -> list[N]:
    """The nodes in an order in which each edge leads forward, and otherwise in the given one.

    Of what may come next the first in `nodes` comes next, as in networkx' `lexicographical_topological_sort`.

    Raises:
        Circle: there is no such order.
    """
    place = {node: i for i, node in enumerate(nodes)}
    behind: dict[N, list[N]] = {node: [] for node in nodes}
    waits = dict.fromkeys(nodes, 0)
    kept = list(dict.fromkeys(edges))
    for first, second in kept:
        behind[first].append(second)
        waits[second] += 1
    ready = [place[node] for node in nodes if not waits[node]]
    heapify(ready)
    order: list[N] = []
    while ready:
        node = nodes[heappop(ready)]
        order.append(node)
        for other in behind[node]:
            waits[other] -= 1
            if not waits[other]:
                heappush(ready, place[other])
    if len(order) < len(nodes):
        import networkx as nx

        cycle = nx.find_cycle(nx.DiGraph(kept))
        raise Circle([first for first, *_ in cycle] + [cycle[0][0]])
    return order
