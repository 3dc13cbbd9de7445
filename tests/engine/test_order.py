"""The order in which nodes run: the same every time, and never before what they need."""

from __future__ import annotations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from limner.engine.order import find_cycles, find_order

NAMES = "abcdefgh"


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=24))
def test_the_order_is_that_of_networkx(wires: list[tuple[str, str]]) -> None:
    """Generation by generation, as the library sorts; with a cycle, what it holds up is left out and it is named."""
    needs: dict[str, list[str]] = {name: [] for name in NAMES}
    for source, node in wires:
        needs[node].append(source)
    dag = nx.DiGraph()
    dag.add_nodes_from(needs)
    dag.add_edges_from((source, node) for node, sources in needs.items() for source in sources)
    found = find_order(needs)
    if nx.is_directed_acyclic_graph(dag):
        assert found == list(nx.topological_sort(dag))
        return
    assert all(set(needs[node]) <= set(found[:place]) for place, node in enumerate(found))
    cycles = list(find_cycles(needs))
    assert cycles
    for cycle in cycles:
        assert not set(cycle) & set(found)
        assert all(source in needs[node] for source, node in zip(cycle, cycle[1:] + cycle[:1], strict=True))
