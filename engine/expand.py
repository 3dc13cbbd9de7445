"""Graphs as nodes: before anything is checked, a node of type Graph is replaced by the nodes of its graph."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from limner.engine.document import Document, NodeDocument, parse
from limner.engine.errors import Fault, GraphError, LimnerError, suggest

GRAPH_TYPE = "Graph"
SEPARATOR = "/"
"""Between the id of a Graph node and that of a node inside it: ``upscale/denoise``."""


class Library(Protocol):
    """Where graphs are found by name."""

    def load(self, name: str) -> Any:
        """The parsed JSON of a graph. Raises LimnerError."""
        ...

    def names(self) -> Iterable[str]:
        """The names it knows, for hints."""
        ...


@dataclass
class Expansion:
    """A document without Graph nodes: flat nodes, and where the outputs of the replaced ones now are."""

    nodes: dict[str, NodeDocument] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    """By Graph node, the wire that each of its ports stands for."""
    faults: list[Fault] = field(default_factory=list)

    def resolve(self, wire: str) -> str:
        """The wire to a plain node that ``wire`` stands for; itself where it names one, or names nothing known."""
        while True:
            node, _, port = wire.partition(".")
            ports = self.outputs.get(node)
            if ports is None:
                return wire
            if not port and len(ports) == 1:
                port = next(iter(ports))
            if port not in ports:
                return wire
            wire = ports[port]


@dataclass(frozen=True)
class _Pending:
    id: str
    node: NodeDocument
    within: tuple[str, ...]  # names of the graphs around it, to find one that contains itself


def expand(document: Document, library: Library | None) -> Expansion:
    """Replace every Graph node by what it stands for. Iterative: depth costs no stack."""
    out = Expansion()
    if not any(node.type == GRAPH_TYPE for node in document.nodes.values()):
        out.nodes = document.nodes
        return out
    pending = deque(_Pending(node_id, node, ()) for node_id, node in document.nodes.items())
    while pending:
        item = pending.popleft()
        if item.node.type != GRAPH_TYPE:
            out.nodes[item.id] = item.node
            continue
        if (inner := _load(item, library, out)) is not None:
            pending.extend(_inline(item, inner, out))
    return out


def _load(item: _Pending, library: Library | None, out: Expansion) -> Document | None:
    path = ("nodes", item.id, "settings", "graph")
    out.outputs[item.id] = {}
    name = item.node.settings.get("graph")
    if not isinstance(name, str):
        out.faults.append(Fault("graph: must be the name of a graph", path))
        return None
    if name in item.within:
        cycle = " -> ".join((*item.within[item.within.index(name) :], name))
        out.faults.append(Fault(f"graph: {name} contains itself: {cycle}", path))
        return None
    if library is None:
        out.faults.append(Fault(f"graph: no graph is called {name}", path))
        return None
    try:
        inner, faults = parse(library.load(name))
    except GraphError as error:
        inner, faults = None, list(error.faults)
    except LimnerError as error:
        inner, faults = None, [Fault(f"graph: {error.message}", (), error.hint)]
    out.faults.extend(fault.under(path if not fault.path else (*path, name)) for fault in faults)
    return inner


def _inline(item: _Pending, inner: Document, out: Expansion) -> list[_Pending]:
    """The inner nodes, with ids under the outer one's, and settings and wires that the outer one gives."""
    prefix = item.id + SEPARATOR
    nodes = {name: _under(prefix, node, item.node.device) for name, node in inner.nodes.items()}
    for name, value in item.node.settings.items():
        for node, setting in _targets(item, inner, name, "settings", out) if name != "graph" else ():
            nodes[node].settings[setting] = value
    for name, wire in item.node.wires.items():
        for node, port in _targets(item, inner, name, "wires", out):
            nodes[node].wires[port] = wire
            nodes[node].settings.pop(port, None)
    out.outputs[item.id] = {port: prefix + wire for port, wire in inner.outputs.items()}
    within = (*item.within, str(item.node.settings["graph"]))
    return [_Pending(prefix + name, node, within) for name, node in nodes.items()]


def _under(prefix: str, node: NodeDocument, device: str) -> NodeDocument:
    """A copy of an inner node, its wires pointing to its neighbours' new ids."""
    return NodeDocument.model_construct(
        type=node.type,
        settings=dict(node.settings),
        wires=_prefixed(prefix, node.wires),
        device=device if node.device == "auto" else node.device,
    )


def _targets(item: _Pending, inner: Document, name: str, kind: str, out: Expansion) -> list[tuple[str, str]]:
    """What a parameter of an inner graph points to: nodes with a setting or an input. Faults for what is not there."""
    path = ("nodes", item.id, kind, name)
    if name not in inner.parameters:
        hint = suggest(name, inner.parameters)
        out.faults.append(Fault(f"{name}: {inner.name} has no such parameter", path, hint))
        return []
    found = []
    for target in targets_of(inner.parameters[name]):
        node, _, port = target.partition(".")
        if node in inner.nodes and port:
            found.append((node, port))
        else:
            out.faults.append(Fault(f"{name}: the parameter points to {target}, which is not there", path))
    return found


def _prefixed(prefix: str, wires: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
    return {
        port: prefix + wire if isinstance(wire, str) else [prefix + one for one in wire] for port, wire in wires.items()
    }


def targets_of(parameter: str | list[str]) -> list[str]:
    """What a parameter points to, as a list."""
    return [parameter] if isinstance(parameter, str) else parameter
