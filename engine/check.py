"""From a document to a graph that can run: every fault is found, and all are reported at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from limner.engine.checked import CheckedGraph, CheckedNode, Wire
from limner.engine.device import DEVICE_NAME, device_hint
from limner.engine.document import Document, NodeDocument, parse, shape_fault
from limner.engine.errors import Fault, GraphError
from limner.engine.expand import GRAPH_TYPE, Expansion, Library, expand, targets_of
from limner.engine.findings import Findings
from limner.engine.garbage import collector_paused
from limner.engine.node import Node, NodeType
from limner.engine.offload import AUTO, Offload
from limner.engine.order import find_cycles, find_order
from limner.engine.registry import Registry
from limner.engine.wiring import DrawnWire, Wiring


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
    findings = Findings(faults + expansion.faults)
    types = _find_types(expansion.nodes, registry, findings)
    skipped = expansion.broken.union(fault.node for fault in faults if fault.node is not None)
    wiring = Wiring(registry, expansion, types, skipped, findings)
    drafts = {
        node_id: _draft(node_id, node_type, expansion.nodes[node_id], document.parameters, wiring, findings)
        for node_id, node_type in types.items()
    }
    _check_parameters(document, wiring)
    _check_outputs(document, wiring)
    order = _order(drafts, findings)
    if findings.faults:
        raise GraphError(findings.in_order(document.nodes if isinstance(raw, Document) else raw["nodes"]))
    index = {node_id: position for position, node_id in enumerate(order)}
    nodes = tuple(_checked(node_id, drafts[node_id], index) for node_id in order)
    if not expansion.graphs:
        return CheckedGraph(document, nodes)
    settings = {name: expansion.settings_of(targets) for name, targets in document.parameters.items()}
    outputs = {name: expansion.resolve(wire) for name, wire in document.outputs.items()}
    return CheckedGraph(document, nodes, {name: found for name, found in settings.items() if found}, outputs)


@dataclass(slots=True)
class _Draft:
    """A node while wires still name their sources by id."""

    type: NodeType
    settings: BaseModel
    wires: list[DrawnWire]
    device: str
    offload: Offload


_NOTHING = Node()
"""Stands for settings with a fault, so that the node's wires still count in a cycle."""


def _find_types(nodes: Mapping[str, NodeDocument], registry: Registry, findings: Findings) -> dict[str, NodeType]:
    types = {}
    for node_id, node in nodes.items():
        if (node_type := registry.get(node.type)) is not None:
            types[node_id] = node_type
        else:
            near = findings.suggest(node.type, [*registry, GRAPH_TYPE])
            hint = f"{near}; a node of your own comes with --nodes FILE.py" if near else None
            findings.add(f"unknown node type {node.type}", ("nodes", node_id, "type"), hint, "unknown_type")
    return types


def _draft(
    node_id: str,
    node_type: NodeType,
    node: NodeDocument,
    parameters: Mapping[str, str | list[str]],
    wiring: Wiring,
    findings: Findings,
) -> _Draft:
    wires = wiring.of(node_id, node_type, node)
    if node.device != "auto" and not DEVICE_NAME.fullmatch(node.device):
        hint = device_hint(node.device, ["auto", "cpu", "cuda:0", "mps"])
        findings.add(f"device: {node.device!r} is no device", ("nodes", node_id, "device"), hint)
    settings: BaseModel = _NOTHING
    wired = frozenset(node.wires).intersection(node_type.settings) if node.wires else frozenset()
    try:
        settings = _read_settings(node_type, node, wired, findings)
    except GraphError as error:
        findings.faults += [
            _explained(fault.under(("nodes", node_id)), node_type, parameters) for fault in error.faults
        ]
    return _Draft(node_type, settings, wires, node.device, _offload(node_id, node_type, node, wiring))


def _offload(node_id: str, node_type: NodeType, node: NodeDocument, wiring: Wiring) -> Offload:
    """The policy of a node, or of the Graph node around it. A fault where the node has no use for one."""
    if node_type.cls.on_device:
        return wiring.expansion.offloads.get(node_id, node.offload)
    if node.offload is not AUTO and node.offload != AUTO:  # comparing models takes a microsecond
        message = f"offload: {node_type.name} computes on no device, so nothing of it can leave one"
        wiring.findings.add(message, ("nodes", node_id, "offload"), "take it away")
    return AUTO


def _read_settings(node_type: NodeType, node: NodeDocument, wired: frozenset[str], findings: Findings) -> BaseModel:
    """The settings of a node, but for the wired ones. Raises GraphError with paths that begin at the node."""
    both = sorted(wired.intersection(node.settings)) if wired else []
    faults = [Fault(f"{name}: is both set and wired", ("settings", name), "keep one") for name in both]
    given = {name: value for name, value in node.settings.items() if name not in both} if both else node.settings
    model = node_type.partial(wired) if wired else node_type.cls
    try:
        settings = model.model_validate_json(json.dumps(given)) if given else model()
    except ValidationError as error:
        known = tuple(node_type.settings)
        details = error.errors(include_url=False, include_input=False)
        faults += [shape_fault(detail, ("settings",), known, findings=findings) for detail in details]
        raise GraphError(faults) from None
    except RecursionError:
        raise GraphError([*faults, Fault("settings: is nested too deeply", ("settings",))]) from None
    except ValueError as error:  # what Python can hold and JSON cannot, such as an integer without end
        raise GraphError([*faults, Fault(f"settings: not JSON: {error}", ("settings",))]) from None
    if isinstance(settings, Node) and type(settings).problems is not Node.problems:
        counts = {name: len(sources) if isinstance(sources, list) else 1 for name, sources in node.wires.items()}
        faults += [Fault(f"{name}: {message}", ("settings", name)) for name, message in settings.problems(counts)]
    if faults:
        raise GraphError(faults)
    return settings


def _explained(fault: Fault, node_type: NodeType, parameters: Mapping[str, str | list[str]]) -> Fault:
    """The same fault with a better hint, where the document shows what was meant."""
    name = fault.path[3] if len(fault.path) > 3 else None
    if name in node_type.inputs:
        return Fault(f"{name}: is a wire, not a setting", fault.path, 'move it under "wires"', fault.kind)
    if fault.hint is None and fault.message.endswith("is required"):
        for parameter, targets in parameters.items():
            if f"{fault.node}.{name}" in targets_of(targets):
                return Fault(fault.message, fault.path, f"set {name}, or give the parameter {parameter}", fault.kind)
    return fault


def _check_parameters(document: Document, wiring: Wiring) -> None:
    """Every parameter must point to a setting or an input that is there."""
    for name, target in _targets(document):
        node, _, setting = target.partition(".")
        path = ("parameters", name)
        if (found := _settable(node, wiring)) is not None:
            label, kind, known = found
            if setting not in known:
                hint = wiring.findings.suggest(setting, known)
                wiring.findings.add(f"{name}: {label} has no {setting or 'such'} {kind}", path, hint)
        elif node not in document.nodes and node not in wiring.skipped:
            hint = wiring.findings.suggest(node, document.nodes)
            wiring.findings.add(f"{name}: there is no node {node!r}", path, hint)


def _settable(node: str, wiring: Wiring) -> tuple[str, str, list[str]] | None:
    """What a parameter may point to in a node, after how to call the node and that; None where it is not known."""
    if (node_type := wiring.types.get(node)) is not None:
        return node_type.name, "setting", [*node_type.settings, *node_type.inputs]
    if (inner := wiring.expansion.graphs.get(node)) is not None:
        return f"the graph {inner.name}", "parameter", ["graph", *inner.parameters]
    return None


def _targets(document: Document) -> Iterator[tuple[str, str]]:
    return ((name, target) for name, targets in document.parameters.items() for target in targets_of(targets))


def _check_outputs(document: Document, wiring: Wiring) -> None:
    """Every output that a graph offers must be one of its nodes'."""
    expansion: Expansion = wiring.expansion
    for name, wire in document.outputs.items():
        source, _, output = expansion.resolve(wire).partition(".")
        path = ("outputs", name)
        node_type = wiring.types.get(source)
        if node_type is not None:
            if output and output not in [port.name for port in node_type.outputs]:
                wiring.no_such_output(path, source, output, node_type)
        elif source not in expansion.nodes and source not in wiring.skipped:
            hint = wiring.findings.suggest(source, document.nodes)
            wiring.findings.add(f"{name}: there is no node {source!r}", path, hint)


def _order(drafts: Mapping[str, _Draft], findings: Findings) -> Iterable[str]:
    """The ids in an order in which they can run; for each knot of wires, a fault that names a cycle in it."""
    needs = {node_id: [s for wire in draft.wires for s, _ in wire.sources] for node_id, draft in drafts.items()}
    order = find_order(needs)
    if len(order) < len(needs):
        for cycle in find_cycles(needs):
            message = f"the wires form a cycle: {' -> '.join([*cycle, cycle[0]])}"
            findings.add(message, ("nodes", cycle[0], "wires"), "take one of these wires away", "cycle")
    return order


def _checked(node_id: str, draft: _Draft, index: Mapping[str, int]) -> CheckedNode:
    wires = [
        Wire(port, tuple([(index[source], output) for source, output in sources]), is_many, is_setting)
        for port, sources, is_many, is_setting in draft.wires
    ]
    return CheckedNode(node_id, draft.type, draft.settings, tuple(wires), draft.device, draft.offload)
