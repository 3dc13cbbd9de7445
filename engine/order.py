"""The order in which nodes can run, and where wires form a cycle, so that there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence


def find_order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """The nodes, each after those it needs; first those that need nothing. O(nodes + wires).

    What is in a cycle, or after one, is left out.
    """
    users: dict[str, list[str]] = {node: [] for node in needs}
    missing: dict[str, int] = {}
    order = []
    for node, sources in needs.items():
        distinct = sources if len(sources) < 2 else dict.fromkeys(sources)
        for source in distinct:
            users[source].append(node)
        if distinct:
            missing[node] = len(distinct)
        else:
            order.append(node)
    for node in order:  # which grows meanwhile
        for user in users[node]:
            missing[user] -= 1
            if not missing[user]:
                order.append(user)
    return order


def find_cycles(needs: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """For each knot of nodes that need one another, a cycle in it: nodes of which each feeds the next."""
    import networkx as nx  # takes a tenth of a second, which most graphs need not wait for

    dag: nx.DiGraph[str] = nx.DiGraph()
    dag.add_nodes_from(needs)
    dag.add_edges_from((source, node) for node, sources in needs.items() for source in sources)
    for knot in nx.strongly_connected_components(dag):
        if len(knot) > 1 or dag.has_edge(*knot, *knot):
            yield [source for source, _ in nx.find_cycle(dag.subgraph(sorted(knot)).copy())]
