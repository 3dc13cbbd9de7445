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
    pending = deque(_Pending(id, node, ()) for id, node in document.nodes.items())
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
    nodes = {
        name: {"type": n.type, "settings": dict(n.settings), "wires": _prefixed(prefix, n.wires), "device": n.device}
        for name, n in inner.nodes.items()
    }
    given = [(name, value, "settings") for name, value in item.node.settings.items() if name != "graph"]
    given += [(name, wire, "wires") for name, wire in item.node.wires.items()]
    for name, value, kind in given:
        path = ("nodes", item.id, kind, name)
        if name not in inner.parameters:
            message = f"{name}: {inner.name} has no such parameter"
            out.faults.append(Fault(message, path, suggest(name, inner.parameters)))
            continue
        for target in targets_of(inner.parameters[name]):
            node, _, port = target.partition(".")
            if node not in nodes or not port:
                out.faults.append(Fault(f"{name}: the parameter points to {target}, which is not there", path))
                continue
            nodes[node][kind][port] = value  # type: ignore[index]  # settings and wires are dicts; mypy sees their union
            if kind == "wires":
                nodes[node]["settings"].pop(port, None)  # type: ignore[union-attr]  # as above
    out.outputs[item.id] = {port: prefix + wire for port, wire in inner.outputs.items()}
    within = (*item.within, str(item.node.settings["graph"]))
    found = []
    for name, fields in nodes.items():
        if fields["device"] == "auto":
            fields["device"] = item.node.device
        found.append(_Pending(prefix + name, NodeDocument.model_construct(**fields), within))
    return found


def _prefixed(prefix: str, wires: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
    return {
        port: prefix + wire if isinstance(wire, str) else [prefix + one for one in wire] for port, wire in wires.items()
    }


def targets_of(parameter: str | list[str]) -> list[str]:
    """What a parameter points to, as a list."""
    return [parameter] if isinstance(parameter, str) else parameter
