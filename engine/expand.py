"""Graphs as nodes: before anything is checked, a node of type Graph is replaced by the nodes of its graph."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from limner.engine.document import Document, NodeDocument, parse
from limner.engine.errors import Fault, GraphError, LimnerError, suggest
from limner.engine.offload import AUTO, Offload

GRAPH_TYPE = "Graph"
MAX_NODES = 1_000_000
"""What comes to more has a mistake in it, such as graphs that double each other."""
SEPARATOR = "/"
"""Between the id of a Graph node and that of a node inside it: ``upscale/denoise``."""


class Library(Protocol):
    """Where graphs are found by name."""

    def load(self, name: str) -> Any:
        """The parsed JSON of a graph. Raises LimnerError."""
        ...

    def path(self, name: str) -> Path:
        """Where a graph is: what tells two graphs of one name apart. Raises LimnerError."""
        ...

    def beside(self, name: str) -> Library:
        """The library as that graph sees it: names of files begin at its folder."""
        ...


@dataclass
class Expansion:
    """A document without Graph nodes: flat nodes, and where the outputs of the replaced ones now are."""

    nodes: dict[str, NodeDocument] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    """By Graph node, the wire that each of its ports stands for."""
    graphs: dict[str, Document] = field(default_factory=dict)
    """By Graph node, the graph that it stands for; without those that have faults, which may hide parameters."""
    offloads: dict[str, Offload] = field(default_factory=dict)
    """By node that names no policy, that of the Graph node around it; for what in there computes on a device."""
    broken: set[str] = field(default_factory=set)
    """Nodes that are left out because of a fault of their own, which is among ``faults``."""
    faults: list[Fault] = field(default_factory=list)

    def resolve(self, wire: str) -> str:
        """The wire to a plain node that ``wire`` stands for; itself where it names one, or names nothing known."""
        while self.outputs:
            node, _, port = wire.partition(".")
            ports = self.outputs.get(node)
            if ports is None:
                return wire
            if not port and len(ports) == 1:
                port = next(iter(ports))
            if port not in ports:
                return wire
            wire = ports[port]
        return wire

    def settings_of(self, targets: str | list[str]) -> list[str]:
        """What a parameter points to, in plain nodes: through the parameters of graphs that are nodes."""
        found: list[str] = []
        reached = dict.fromkeys(targets_of(targets))
        waiting = list(reached)
        for target in waiting:  # which grows; each target once, or a few names in each of many graphs would be a flood
            node, _, setting = target.partition(".")
            if (inner := self.graphs.get(node)) is not None:
                within = dict.fromkeys(
                    f"{node}{SEPARATOR}{one}" for one in targets_of(inner.parameters.get(setting, []))
                )
                waiting += [one for one in within if one not in reached]
                reached |= within
            elif node in self.nodes:
                found.append(target)
        return found


@dataclass(frozen=True)
class _Pending:
    id: str
    node: NodeDocument
    library: Library | None
    within: tuple[Path, ...] = ()  # the graphs around it, to find one that contains itself
    around: Offload = AUTO  # what a Graph node around it says

    @property
    def offload(self) -> Offload:
        return self.around if self.node.offload == AUTO else self.node.offload


def expand(document: Document, library: Library | None) -> Expansion:
    """Replace every Graph node by what it stands for. Iterative: depth costs no stack."""
    out = Expansion()
    if not any(node.type == GRAPH_TYPE for node in document.nodes.values()):
        out.nodes = document.nodes
        return out
    pending = deque(_Pending(node_id, node, library) for node_id, node in document.nodes.items())
    while pending:
        item = pending.popleft()
        if item.node.type != GRAPH_TYPE:
            out.nodes[item.id] = item.node
            if item.offload != item.node.offload:
                out.offloads[item.id] = item.offload
            continue
        if len(out.nodes) + len(pending) > MAX_NODES:
            out.faults.append(Fault(f"with the graphs in it, it comes to more than {MAX_NODES:,} nodes", ("nodes",)))
            return Expansion(faults=out.faults, broken=set(document.nodes))
        if (inner := _load(item, out)) is not None:
            pending.extend(_inline(item, inner, out))
        else:
            out.broken.add(item.id)
    return out


def _load(item: _Pending, out: Expansion) -> Document | None:
    path = ("nodes", item.id, "settings", "graph")
    name = item.node.settings.get("graph")
    if not isinstance(name, str):
        out.faults.append(Fault("graph: must be the name of a graph", path))
        return None
    if item.library is None:
        out.faults.append(Fault(f"graph: no graph is called {name}", path))
        return None
    try:
        if (place := item.library.path(name)) in item.within:
            around = [graph.stem for graph in item.within[item.within.index(place) :]]
            out.faults.append(Fault(f"graph: {name} contains itself: {' -> '.join([*around, place.stem])}", path))
            return None
        inner, faults = parse(item.library.load(name))
    except GraphError as error:
        inner, faults = None, list(error.faults)
    except LimnerError as error:
        inner, faults = None, [Fault(f"graph: {error.message}", (), error.hint)]
    if inner is not None and not faults:
        out.graphs[item.id] = inner
    out.faults.extend(fault.under(path if not fault.path else (*path, name)) for fault in faults)
    out.broken.update(f"{item.id}{SEPARATOR}{fault.node}" for fault in faults if fault.node is not None)
    return inner


def _inline(item: _Pending, inner: Document, out: Expansion) -> list[_Pending]:
    """The inner nodes, with ids under the outer one's, and settings and wires that the outer one gives.

    As a node a graph is what its outputs need: a template's SaveImage is for when the template itself is run.
    """
    prefix, kept = item.id + SEPARATOR, _needed(inner.nodes, inner.outputs)
    nodes = {name: _under(prefix, node, item.node.device) for name, node in inner.nodes.items() if name in kept}
    for name, value in item.node.settings.items():
        for node, setting in _targets(item, inner, nodes, name, "settings", out) if name != "graph" else ():
            nodes[node].settings[setting] = value
            nodes[node].wires.pop(setting, None)
    for name, wire in item.node.wires.items():
        if name in item.node.settings:
            path = ("nodes", item.id, "settings", name)
            out.faults.append(Fault(f"{name}: is both set and wired", path, "keep one"))
        for node, port in _targets(item, inner, nodes, name, "wires", out):
            nodes[node].wires[port] = wire
            nodes[node].settings.pop(port, None)
    out.outputs[item.id] = {port: prefix + wire for port, wire in inner.outputs.items()}
    graph = str(item.node.settings["graph"])
    assert item.library is not None, "the graph was loaded from it"
    library, within = item.library.beside(graph), (*item.within, item.library.path(graph))
    placed = {prefix + name: node for name, node in nodes.items()}
    still = _needed(placed, out.outputs[item.id])  # a wire from outside may have taken the place of inner nodes
    return [_Pending(name, node, library, within, item.offload) for name, node in placed.items() if name in still]


def _needed(nodes: Mapping[str, NodeDocument], outputs: Mapping[str, str]) -> set[str]:
    """The nodes that an output depends on; all of them where the graph declares no outputs."""
    if not outputs:
        return set(nodes)
    needed: set[str] = set()
    waiting = [wire.partition(".")[0] for wire in outputs.values()]
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in needed:
            needed.add(name)
            wires = nodes[name].wires.values()
            waiting += [one.partition(".")[0] for wire in wires for one in ([wire] if isinstance(wire, str) else wire)]
    return needed


def _under(prefix: str, node: NodeDocument, device: str) -> NodeDocument:
    """A copy of an inner node, its wires pointing to its neighbours' new ids."""
    return NodeDocument.model_construct(
        type=node.type,
        settings=dict(node.settings),
        wires=_prefixed(prefix, node.wires),
        device=device if node.device == "auto" else node.device,
        offload=node.offload,
    )


def _targets(
    item: _Pending, inner: Document, kept: Container[str], name: str, kind: str, out: Expansion
) -> list[tuple[str, str]]:
    """What a parameter of an inner graph points to: nodes with a setting or an input. Faults for what is not there."""
    path = ("nodes", item.id, kind, name)
    if name not in inner.parameters:
        hint = suggest(name, inner.parameters)
        out.faults.append(Fault(f"{name}: {inner.name} has no such parameter", path, hint))
        return []
    found = []
    for target in targets_of(inner.parameters[name]):
        node, _, port = target.partition(".")
        if node in kept and port:
            found.append((node, port))
        elif node in inner.nodes and port:
            message = f"{name}: it sets {target}, which none of the graph's outputs needs, so it is left out here"
            out.faults.append(Fault(message, path))
        elif f"{item.id}{SEPARATOR}{node}" not in out.broken:
            out.faults.append(Fault(f"{name}: the parameter points to {target}, which is not there", path))
    return found


def _prefixed(prefix: str, wires: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
    return {
        port: prefix + wire if isinstance(wire, str) else [prefix + one for one in wire] for port, wire in wires.items()
    }


def targets_of(parameter: str | list[str]) -> list[str]:
    """What a parameter points to, as a list."""
    return [parameter] if isinstance(parameter, str) else parameter
