"""From a document to a graph that can run: every fault is found, and all are reported at once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
from pydantic import BaseModel, ValidationError

from limner.engine.device import DEVICE_NAME, HOST
from limner.engine.document import Document, NodeDocument, parse, shape_fault
from limner.engine.errors import Fault, GraphError, suggest
from limner.engine.expand import GRAPH_TYPE, Expansion, Library, expand, targets_of
from limner.engine.garbage import collector_paused
from limner.engine.node import Node, NodeType, Port
from limner.engine.registry import Registry
from limner.engine.value import fits


@dataclass(frozen=True, slots=True)
class Wire:
    """What enters one input or setting of a node: outputs of earlier nodes, in order."""

    port: str
    sources: tuple[tuple[int, int], ...]
    """Index of the node in the graph's order, and of its output."""
    is_many: bool = False
    is_setting: bool = False


@dataclass(frozen=True, slots=True)
class CheckedNode:
    """A node that is known to be right: its type, its settings, and where its wires come from."""

    id: str
    type: NodeType
    settings: BaseModel
    """The node itself; where settings are wired, only the other settings."""
    wires: tuple[Wire, ...]
    device: str

    @property
    def node(self) -> Node | None:
        """The node, where its settings are all known before running."""
        return self.settings if isinstance(self.settings, Node) else None


@dataclass(frozen=True)
class CheckedGraph:
    """A graph without faults, in an order in which it can run."""

    document: Document
    nodes: tuple[CheckedNode, ...]
    """In topological order: what a node needs stands before it."""
    dag: nx.DiGraph[str] = field(repr=False, compare=False)
    """The same graph for algorithms: node ids, and an edge for each pair that a wire joins."""

    def __getitem__(self, node_id: str) -> CheckedNode:
        return next(node for node in self.nodes if node.id == node_id)


def check(raw: Document | Any, registry: Registry, library: Library | None = None) -> CheckedGraph:
    """The checked graph of a document or of parsed JSON.

    Raises GraphError with every fault of the document, ordered by its place there.
    """
    with collector_paused():
        return _check(raw, registry, library)


def _check(raw: Document | Any, registry: Registry, library: Library | None) -> CheckedGraph:
    document, faults = (raw, []) if isinstance(raw, Document) else parse(raw)
    if document is None:
        raise GraphError(faults)
    expansion = expand(document, library)
    skipped = _broken_ids(faults) | expansion.broken
    checker = _Checker(registry, expansion, document.parameters, skipped, faults + expansion.faults)
    nodes = checker.run()
    checker.check_parameters(document)
    dag = _dag(nodes)
    order = checker.order(dag)
    if checker.faults:
        ids = document.nodes if isinstance(raw, Document) else raw["nodes"]  # broken nodes too
        raise GraphError(_in_document_order(checker.faults, ids))
    index = {node_id: position for position, node_id in enumerate(order)}
    return CheckedGraph(document, tuple(_checked(node_id, nodes[node_id], index) for node_id in order), dag)


def _broken_ids(faults: Iterable[Fault]) -> frozenset[str]:
    return frozenset(fault.node for fault in faults if fault.node is not None)


@dataclass(slots=True)
class _Draft:
    """A node while wires still name their sources by id."""

    type: NodeType
    settings: BaseModel
    wires: list[tuple[str, list[tuple[str, int]], bool, bool]]
    device: str


_NOTHING = Node()  # stands for settings with a fault, so that the node's wires still count in a cycle


class _Checker:
    """Collects faults; a broken node does not hide the faults of the others."""

    def __init__(
        self,
        registry: Registry,
        expansion: Expansion,
        parameters: Mapping[str, str | list[str]],
        skipped: frozenset[str],
        faults: list[Fault],
    ) -> None:
        self.registry = registry
        self.expansion = expansion
        self.parameters = parameters
        self.skipped = skipped
        self.faults = faults
        self.types: dict[str, NodeType] = {}
        self.hints_left = 20
        self.givers: dict[type, str | None] = {}

    def run(self) -> dict[str, _Draft]:
        for node_id, node in self.expansion.nodes.items():
            node_type = self.registry.get(node.type)
            if node_type is None:
                hint = self._suggest(node.type, [*self.registry, GRAPH_TYPE])
                self.faults.append(Fault(f"unknown node type {node.type}", ("nodes", node_id, "type"), hint))
            else:
                self.types[node_id] = node_type
        drafts = {}
        for node_id, node_type in self.types.items():
            node = self.expansion.nodes[node_id]
            wires = (
                [self._wire(node_id, node_type, port, wire) for port, wire in node.wires.items()] if node.wires else []
            )
            self._missing_wires(node_id, node_type, node)
            if node.device != "auto":
                self._device(node_id, node.device)
            settings = self._settings(node_id, node_type, node) or _NOTHING
            drafts[node_id] = _Draft(node_type, settings, [w for w in wires if w is not None], node.device)
        return drafts

    def _suggest(self, name: str, known: Iterable[str]) -> str | None:
        """A hint, for the first faults: comparing names costs more than everything else."""
        self.hints_left -= 1
        return suggest(name, known) if self.hints_left >= 0 else None

    def _settings(self, node_id: str, node_type: NodeType, node: NodeDocument) -> BaseModel | None:
        wired = frozenset(node.wires).intersection(node_type.settings) if node.wires else frozenset()
        path = ("nodes", node_id, "settings")
        given = node.settings
        if both := wired.intersection(given):
            self.faults.extend(
                Fault(f"{name}: is both set and wired", (*path, name), "keep one") for name in sorted(both)
            )
            given = {name: value for name, value in given.items() if name not in both}
        model = node_type.partial(wired) if wired else node_type.cls
        try:
            settings = model.model_validate_json(json.dumps(given)) if given else model()
        except ValidationError as error:
            known = tuple(node_type.settings)
            details = error.errors(include_url=False, include_input=False)
            self.faults.extend(self._setting_fault(shape_fault(detail, path, known), node_type) for detail in details)
            return None
        except RecursionError:
            self.faults.append(Fault("settings: is nested too deeply", path))
            return None
        except ValueError as error:  # what Python can hold and JSON cannot, such as an integer without end
            self.faults.append(Fault(f"settings: not JSON: {error}", path))
            return None
        if isinstance(settings, Node) and type(settings).problems is not Node.problems:
            problems = list(settings.problems())
            self.faults.extend(Fault(f"{name}: {message}", (*path, name)) for name, message in problems)
        return settings

    def _setting_fault(self, fault: Fault, node_type: NodeType) -> Fault:
        """The same fault with a better hint, where the document shows what was meant."""
        name = fault.path[3] if len(fault.path) > 3 else None
        if name in node_type.inputs:
            return Fault(f"{name}: is a wire, not a setting", fault.path, 'move it under "wires"')
        for parameter, targets in self.parameters.items() if fault.message.endswith("is required") else ():
            if f"{fault.node}.{name}" in targets_of(targets):
                return Fault(fault.message, fault.path, f"give the parameter {parameter}")
        return fault

    def _device(self, node_id: str, device: str) -> None:
        """What is no device on any machine; whether this one has it is the plan's to say."""
        if device != HOST and not DEVICE_NAME.fullmatch(device):
            hint = suggest(device, ["auto", "cpu", "cuda:0", "mps"])
            self.faults.append(Fault(f"device: {device!r} is no device", ("nodes", node_id, "device"), hint))

    def _missing_wires(self, node_id: str, node_type: NodeType, node: NodeDocument) -> None:
        for port in node_type.required:
            if port.name not in node.wires:
                hint = f"wire an output of type {port.type.__name__} to it"
                self.faults.append(Fault(f"{port.name}: is not wired", ("nodes", node_id, "wires", port.name), hint))

    def _wire(
        self, node_id: str, node_type: NodeType, name: str, wire: str | list[str]
    ) -> tuple[str, list[tuple[str, int]], bool, bool] | None:
        path = ("nodes", node_id, "wires", name)
        port = node_type.inputs.get(name)
        is_setting = port is None and name in node_type.settings
        if is_setting:
            setting_type = node_type.setting_type(name)
            if setting_type is None:
                self.faults.append(Fault(f"{name}: this setting cannot be wired", path, "only plain values can"))
                return None
            port = Port(name, setting_type)
        if port is None:
            hint = self._suggest(name, [*node_type.inputs, *node_type.settings])
            self.faults.append(Fault(f"{name}: {node_type.name} has no such input", path, hint))
            return None
        wires = [wire] if isinstance(wire, str) else wire
        if len(wires) != 1 and not port.is_many:
            self.faults.append(Fault(f"{name}: takes one wire, not {len(wires)}", path))
            return None
        sources = [self._source(path, port, one) for one in wires]
        found = [source for source in sources if source is not None]
        return (name, found, port.is_many, is_setting) if len(found) == len(sources) else None

    def _source(self, path: tuple[str | int, ...], port: Port, wire: str) -> tuple[str, int] | None:
        wire = self.expansion.resolve(wire)
        source, _, output = wire.partition(".")
        source_type = self.types.get(source)
        if source_type is None:
            self._unknown_source(path, port, wire, source)
            return None
        try:
            index = source_type.output(output or None)
        except KeyError:
            self.faults.append(_no_such_output(path, port, source, output, source_type))
            return None
        found = source_type.outputs[index].type
        if not fits(found, port.type):
            message = f"{port.name}: takes {port.type.__name__}, but {wire} gives {found.__name__}"
            self.faults.append(Fault(message, path, self._fitting(port)))
            return None
        return source, index

    def _unknown_source(self, path: tuple[str | int, ...], port: Port, wire: str, source: str) -> None:
        if source in self.skipped or source in self.expansion.nodes:
            return  # that node's own fault is reported
        if (ports := self.expansion.outputs.get(source)) is not None:
            hint = suggest(wire.partition(".")[2], ports) or 'give the inner graph "outputs"'
            self.faults.append(Fault(f"{port.name}: the graph {source} has no output {wire!r}", path, hint))
            return
        names = itertools.chain(self.expansion.nodes, self.expansion.outputs)
        self.faults.append(Fault(f"{port.name}: there is no node {source!r}", path, self._suggest(source, names)))

    def _fitting(self, port: Port) -> str | None:
        """A hint that names an output of this graph which would fit."""
        if port.type not in self.givers:
            self.givers[port.type] = self._find_giver(port)
        return self.givers[port.type]

    def _find_giver(self, port: Port) -> str | None:
        for node_id, node_type in self.types.items():
            for output in node_type.outputs:
                if fits(output.type, port.type):
                    wire = node_id if len(node_type.outputs) == 1 else f"{node_id}.{output.name}"
                    return f"{wire} gives {port.type.__name__}"
        givers = [t.name for t in self.registry.values() if any(fits(output.type, port.type) for output in t.outputs)]
        return f"{' or '.join(givers)} gives {port.type.__name__}" if givers else None

    def order(self, dag: nx.DiGraph[str]) -> list[str]:
        """The ids in an order in which they can run; for each knot of wires, a fault that names a cycle in it."""
        try:
            return list(nx.topological_sort(dag))
        except nx.NetworkXUnfeasible:
            for knot in nx.strongly_connected_components(dag):
                if len(knot) > 1 or dag.has_edge(*knot, *knot):
                    self.faults.append(_cycle(dag.subgraph(sorted(knot)).copy()))
            return []

    def check_parameters(self, document: Document) -> None:
        """Every parameter and output must point to something that is there."""
        for name, parameter in document.parameters.items():
            for target in targets_of(parameter):
                node, _, setting = target.partition(".")
                path = ("parameters", name)
                node_type = self.types.get(node)
                if node_type is not None and setting not in (*node_type.settings, *node_type.inputs):
                    hint = self._suggest(setting, [*node_type.settings, *node_type.inputs])
                    self.faults.append(
                        Fault(f"{name}: {node_type.name} has no {setting or 'such'} setting", path, hint)
                    )
                elif node not in document.nodes and node not in self.skipped:
                    self.faults.append(
                        Fault(f"{name}: there is no node {node!r}", path, self._suggest(node, document.nodes))
                    )
        for name, wire in document.outputs.items():
            source, _, output = self.expansion.resolve(wire).partition(".")
            path = ("outputs", name)
            source_type = self.types.get(source)
            if source_type is None and source not in self.expansion.nodes and source not in self.skipped:
                self.faults.append(
                    Fault(f"{name}: there is no node {source!r}", path, self._suggest(source, document.nodes))
                )
            elif source_type is not None and output and output not in [port.name for port in source_type.outputs]:
                self.faults.append(_no_such_output(path, Port(name, object), source, output, source_type))


def _cycle(knot: nx.DiGraph[str]) -> Fault:
    nodes = [source for source, _ in nx.find_cycle(knot)]
    message = f"the wires form a cycle: {' -> '.join([*nodes, nodes[0]])}"
    return Fault(message, ("nodes", nodes[0], "wires"), "take one of these wires away")


def _no_such_output(path: tuple[str | int, ...], port: Port, source: str, output: str, found: NodeType) -> Fault:
    names = [one.name for one in found.outputs]
    if not names:
        return Fault(f"{port.name}: {source} ({found.name}) gives nothing", path)
    if not output:
        return Fault(f"{port.name}: {source} has several outputs", path, f"write {source}.{' or .'.join(names)}")
    return Fault(f"{port.name}: {source} ({found.name}) has no output {output!r}", path, suggest(output, names))


def _dag(drafts: Mapping[str, _Draft]) -> nx.DiGraph[str]:
    dag: nx.DiGraph[str] = nx.DiGraph()
    dag.add_nodes_from(drafts)
    dag.add_edges_from((s, node) for node, d in drafts.items() for _, sources, _, _ in d.wires for s, _ in sources)
    return dag


def _checked(node_id: str, draft: _Draft, index: Mapping[str, int]) -> CheckedNode:
    wires = tuple(
        Wire(port, tuple((index[source], output) for source, output in sources), is_many, is_setting)
        for port, sources, is_many, is_setting in draft.wires
    )
    return CheckedNode(node_id, draft.type, draft.settings, wires, draft.device)


def _in_document_order(faults: list[Fault], ids: Iterable[str]) -> list[Fault]:
    place = {node_id: position for position, node_id in enumerate(ids)}
    return sorted(faults, key=lambda fault: place.get((fault.node or "").partition("/")[0], -1))
