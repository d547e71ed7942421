"""Orders without a library are those that networkx gives."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meld.passes import BUILTIN, Registry
from meld.passmanager import constraints
from meld.support.graph import Circle, topological

EDGES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=14)


@settings(deadline=None)
@given(EDGES)
def test_the_order_is_that_of_networkx(edges: list[tuple[int, int]]) -> None:
    nodes = [3, 1, 4, 0, 5, 2, 6, 7]
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(nodes)
    if nx.is_directed_acyclic_graph(graph):
        place = {node: i for i, node in enumerate(nodes)}
        assert topological(nodes, edges) == list(nx.lexicographical_topological_sort(graph, key=place.__getitem__))
        return
    with pytest.raises(Circle) as caught:
        topological(nodes, edges)
    path = caught.value.path
    assert path[0] == path[-1] and len(path) > 1
    assert all(graph.has_edge(a, b) for a, b in pairwise(path))


def test_the_passes_stand_in_an_order_that_works() -> None:
    registry = Registry()
    classes = [registry.get(name) for name in BUILTIN]
    graph = nx.DiGraph(list(constraints(classes)))
    assert nx.is_directed_acyclic_graph(graph)
    names = [name for name in topological(list(BUILTIN), constraints(classes)) if name in graph]
    assert all(names.index(a) < names.index(b) for a, b in graph.edges)
