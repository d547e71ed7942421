"""Orders: the given one where it keeps the edges, else the one that networkx finds."""

from __future__ import annotations

import subprocess
import sys
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
def test_the_order_keeps_the_edges(edges: list[tuple[int, int]]) -> None:
    """The given order is kept where it keeps the edges; else it is networkx' closest; or a circle is told."""
    nodes = [3, 1, 4, 0, 5, 2, 6, 7]
    place = {node: i for i, node in enumerate(nodes)}
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(nodes)
    if nx.is_directed_acyclic_graph(graph):
        order = topological(nodes, edges)
        if all(place[a] < place[b] for a, b in edges):
            assert order == nodes
        assert order == list(nx.lexicographical_topological_sort(graph, key=place.__getitem__))
        return
    with pytest.raises(Circle) as caught:
        topological(nodes, edges)
    path = caught.value.path
    assert path[0] == path[-1] and len(path) > 1
    assert all(graph.has_edge(a, b) for a, b in pairwise(path))


def test_two_nodes_need_no_search() -> None:
    script = (
        "import sys; from meld.support.graph import topological; "
        "assert topological('ab', [('b', 'a')]) == ['b', 'a'] and 'networkx' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_passes_stand_in_an_order_that_works() -> None:
    registry = Registry()
    classes = [registry.get(name) for name in BUILTIN]
    graph = nx.DiGraph(list(constraints(classes)))
    assert nx.is_directed_acyclic_graph(graph)
    names = [name for name in topological(list(BUILTIN), constraints(classes)) if name in graph]
    assert all(names.index(a) < names.index(b) for a, b in graph.edges)
