"""The graph as it ran, in one document: what a picture carries, so that no other file is needed to make it again."""

from __future__ import annotations

from limner.engine.checked import CheckedGraph, CheckedNode
from limner.engine.document import Document, NodeDocument
from limner.engine.expand import GRAPH_TYPE, SEPARATOR


def flat_ids(graph: CheckedGraph) -> dict[str, str]:
    """For the id of every node that runs, one that a file may hold: ``day/denoise`` becomes ``day-denoise``."""
    ids: dict[str, str] = {}
    taken = {node.id for node in graph.nodes if SEPARATOR not in node.id}
    for node in graph.nodes:
        wanted = candidate = node.id.replace(SEPARATOR, "-")
        number = 2
        while SEPARATOR in node.id and candidate in taken:
            candidate, number = f"{wanted}-{number}", number + 1
        taken.add(candidate)
        ids[node.id] = candidate
    return ids


def flat_document(graph: CheckedGraph) -> Document:
    """The document of a graph with its Graph nodes replaced by what they stand for; itself where it has none."""
    document = graph.document
    if all(node.type != GRAPH_TYPE for node in document.nodes.values()):
        return document
    ids = flat_ids(graph)
    parameters = {name: [_moved(one, ids) for one in targets] for name, targets in graph.parameters.items()}
    head = {
        "nodes": {ids[node.id]: _document(node, graph, ids) for node in graph.nodes},
        "parameters": {name: targets[0] if len(targets) == 1 else targets for name, targets in parameters.items()},
        "outputs": {name: _moved(wire, ids) for name, wire in graph.outputs.items()},
    }
    return document.model_copy(update=head | {"layout": {}})


def _moved(place: str, ids: dict[str, str]) -> str:
    """A setting or an output of a node, under its new id."""
    node, dot, name = place.partition(".")
    return ids[node] + dot + name


def _document(node: CheckedNode, graph: CheckedGraph, ids: dict[str, str]) -> NodeDocument:
    wires: dict[str, str | list[str]] = {}
    for wire in node.wires:
        drawn = [_wire(graph.nodes[source], output, ids) for source, output in wire.sources]
        wires[wire.port] = drawn if wire.is_many else drawn[0]
    settings = node.settings.model_dump(mode="json", exclude_unset=True)
    return NodeDocument(type=node.type.name, settings=settings, wires=wires, device=node.device, offload=node.offload)


def _wire(source: CheckedNode, output: int, ids: dict[str, str]) -> str:
    outputs = source.type.outputs
    return ids[source.id] if len(outputs) == 1 else f"{ids[source.id]}.{outputs[output].name}"
