"""A topological order: the given one if it keeps all edges, else one that networkx finds.

The import of networkx takes longer than a small fuse, so it happens only where something has to be found: an order, or
the cycle that prevents one.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import TypeVar

N = TypeVar("N", bound=Hashable)


class Circle(Exception):
    """The edges have a cycle: `path` is one, its first node also last."""

    def __init__(self, path: list[object]) -> None:
        super().__init__(path)
        self.path = path


def topological(nodes: Sequence[N], edges: Collection[tuple[N, N]]) -> list[N]:
    """The nodes in an order in which each edge leads forward: the given one if it does, else the one closest to it.

    Raises:
        Circle: there is no such order.
    """
    if _keeps(nodes, edges):
        return list(nodes)
    if len(nodes) == 2 and _keeps(nodes[::-1], edges):
        return list(nodes[::-1])
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges)
    place = {node: i for i, node in enumerate(nodes)}
    try:
        return list(nx.lexicographical_topological_sort(graph, key=place.__getitem__))
    except nx.NetworkXUnfeasible:
        found = nx.find_cycle(graph)
        raise Circle([found[0][0], *(second for _, second in found)]) from None


def _keeps(nodes: Sequence[N], edges: Collection[tuple[N, N]]) -> bool:
    """Whether each edge leads from a node to a later one."""
    place = {node: i for i, node in enumerate(nodes)}
    return all(place[first] < place[second] for first, second in edges)
