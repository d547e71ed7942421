"""An order that keeps to edges, by the standard library: networkx takes longer to import than most runs take."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
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
    sorter: TopologicalSorter[N] = TopologicalSorter(dict.fromkeys(nodes, ()))
    for first, second in edges:
        sorter.add(second, first)
    try:
        sorter.prepare()
    except CycleError as e:
        raise Circle(list(e.args[1])) from None
    order: list[N] = []
    ready: list[int] = []
    while sorter.is_active():
        for node in sorter.get_ready():
            heappush(ready, place[node])
        order.append(nodes[heappop(ready)])
        sorter.done(order[-1])
    return order
