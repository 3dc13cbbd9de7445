"""A graph as it is drawn: its nodes with what was said of them, and the wires between their ports."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from limner.engine.difference import defaults_of
from limner.engine.document import Document, NodeDocument, parse
from limner.engine.errors import Fault, GraphError, LimnerError
from limner.engine.expand import GRAPH_TYPE, Library
from limner.engine.node import NodeType
from limner.engine.offload import AUTO
from limner.engine.registry import Registry


@dataclass(frozen=True)
class Port:
    """One end of a wire, and the type of what travels there; empty where that is not known."""

    name: str
    type: str = ""


@dataclass(frozen=True)
class Card:
    """A node."""

    id: str
    type: str
    inputs: tuple[Port, ...]
    """Those that are wired, or must be."""
    outputs: tuple[Port, ...]
    settings: tuple[tuple[str, str], ...]
    """Those that are not the default, as texts; and device and offload, where they are named."""


@dataclass(frozen=True)
class Edge:
    """A wire. ``output`` and ``input`` count the ports of the two cards."""

    source: str
    output: int
    target: str
    input: int
    type: str = ""


@dataclass(frozen=True)
class Drawing:
    """What is to be drawn; cards in an order in which they can run."""

    name: str
    description: str
    cards: Mapping[str, Card]
    edges: tuple[Edge, ...]


def drawing_of(document: Document, registry: Registry, library: Library) -> Drawing:
    """The drawing of a graph, which may have faults. Raises GraphError where its wires form a cycle."""
    cards = {name: _card(name, node, registry, library) for name, node in document.nodes.items()}
    edges = tuple(edge for name, node in document.nodes.items() for edge in _edges(name, node, cards))
    order = _order(cards, edges)
    edges = _with_types(order, cards, edges, {name: registry.get(node.type) for name, node in document.nodes.items()})
    return Drawing(document.name, document.description, {name: cards[name] for name in order}, edges)


def _with_types(
    order: Iterable[str], cards: dict[str, Card], edges: Iterable[Edge], types: Mapping[str, NodeType | None]
) -> tuple[Edge, ...]:
    """The wires with their types. An output that has the type of an input, whatever is wired there, gets that one."""
    incoming: dict[str, list[Edge]] = defaultdict(list)
    for edge in edges:
        incoming[edge.target].append(edge)
    found: list[Edge] = []
    for name in order:
        arriving = [replace(edge, type=_type_of(cards[edge.source], edge.output)) for edge in incoming[name]]
        found += arriving
        carried = {cards[name].inputs[edge.input].name: edge.type for edge in arriving}
        if (node_type := types[name]) is not None:
            cards[name] = _carrying(cards[name], node_type, carried)
    return tuple(found)


def _carrying(card: Card, node_type: NodeType, carried: Mapping[str, str]) -> Card:
    """The card with the types that its ports take on from what is wired to it."""
    named = (port.same_as for port in node_type.outputs)
    same = {name: carried[name] for name in named if name is not None and name in carried}
    if not same:
        return card
    outputs = (Port(port.name, same.get(port.same_as or "", port.type.__name__)) for port in node_type.outputs)
    inputs = (replace(port, type=same.get(port.name, port.type)) for port in card.inputs)
    return replace(card, inputs=tuple(inputs), outputs=tuple(outputs))


def _type_of(card: Card, output: int) -> str:
    return card.outputs[output].type if card.outputs else ""


def _order(cards: Mapping[str, Card], edges: tuple[Edge, ...]) -> list[str]:
    import networkx as nx

    dag: nx.DiGraph[str] = nx.DiGraph()
    dag.add_nodes_from(cards)
    dag.add_edges_from((edge.source, edge.target) for edge in edges)
    try:
        position = {name: number for number, name in enumerate(cards)}
        return list(nx.lexicographical_topological_sort(dag, key=position.__getitem__))
    except nx.NetworkXUnfeasible:
        cycle = [source for source, _ in nx.find_cycle(dag)]
        fault = Fault(f"the wires form a cycle: {' -> '.join([*cycle, cycle[0]])}", ("nodes", cycle[0], "wires"))
        raise GraphError([fault]) from None


def _card(name: str, node: NodeDocument, registry: Registry, library: Library) -> Card:
    node_type = registry.get(node.type)
    defaults = {} if node_type is None else defaults_of(node_type)
    settings = [(key, _text(value)) for key, value in node.settings.items() if defaults.get(key, ...) != value]
    if node.device != "auto":
        settings.append(("device", node.device))
    if node.offload != AUTO:
        settings.append(("offload", str(node.offload)))
    outputs = tuple(_inner_outputs(node, registry, library))
    if node_type is not None:
        outputs = tuple(Port(port.name, port.type.__name__) for port in node_type.outputs)
    return Card(name, node.type, tuple(_inputs(node, node_type)), outputs, tuple(settings))


def _inputs(node: NodeDocument, node_type: NodeType | None) -> Iterator[Port]:
    known = {} if node_type is None else node_type.inputs
    for port in known.values():
        if port.name in node.wires or not port.is_optional:
            yield Port(port.name, port.type.__name__)
    for name in node.wires:
        if name not in known:
            is_setting = node_type is not None and name in node_type.settings
            kind = node_type.setting_type(name) if node_type is not None and is_setting else None
            yield Port(name, kind.__name__ if kind else "")


def _inner_outputs(node: NodeDocument, registry: Registry, library: Library) -> Iterator[Port]:
    """The ports of a Graph node: the outputs of its graph."""
    if node.type != GRAPH_TYPE:
        return
    try:
        inner, _ = parse(library.load(str(node.settings.get("graph"))))
    except LimnerError:
        return
    for name, wire in inner.outputs.items() if inner is not None else ():
        source, _, output = wire.partition(".")
        found = registry.get(inner.nodes[source].type) if inner is not None and source in inner.nodes else None
        types = {port.name: port.type.__name__ for port in found.outputs} if found is not None else {}
        yield Port(name, types.get(output) or (next(iter(types.values())) if len(types) == 1 else ""))


def _edges(name: str, node: NodeDocument, cards: Mapping[str, Card]) -> Iterator[Edge]:
    """The wires to a node, without those that come from nowhere."""
    inputs = [port.name for port in cards[name].inputs]
    for port, wires in node.wires.items():
        for wire in [wires] if isinstance(wires, str) else wires:
            source, _, output = wire.partition(".")
            if source in cards:
                names = [one.name for one in cards[source].outputs]
                number = names.index(output) if output in names else 0
                yield Edge(source, number, name, inputs.index(port))


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
