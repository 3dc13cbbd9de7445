"""Our documents as prompts."""

from __future__ import annotations

from typing import Any

from limner.comfy.classes import Classes, ComfyClass, socket
from limner.comfy.instead import instead_of
from limner.comfy.names import client_id
from limner.comfy.placement import show_offload
from limner.comfy.prompt import UNKNOWN_TYPE
from limner.comfy.prompt_nodes import BAD_LINK
from limner.engine.document import Document, NodeDocument
from limner.engine.errors import Fault, GraphError
from limner.engine.expand import GRAPH_TYPE
from limner.engine.offload import AUTO


def prompt_of(document: Document, classes: Classes) -> dict[str, Any]:
    """The prompt of a document without Graph nodes. Raises GraphError for types and wires that are none."""
    faults: list[Fault] = []
    out = {}
    for node_id, node in document.nodes.items():
        found = classes.of_type(node.type)
        if found is None:
            faults.append(_unknown(node_id, node.type, classes))
            continue
        wires, wrong = _wires_of(node_id, node, found, document, classes)
        faults += wrong
        inputs = wires | _values_of(node, found)
        out[client_id(node_id)] = {"class_type": found.name, "inputs": inputs, "_meta": {"title": found.title}}
    if faults:
        raise GraphError(faults)
    return out


def _unknown(node_id: str, node_type: str, classes: Classes) -> Fault:
    path = ("nodes", node_id, "type")
    if node_type == GRAPH_TYPE:
        return Fault(f"{node_type} has no form in a prompt", path, None, UNKNOWN_TYPE)
    return Fault(f"unknown node type {node_type}", path, instead_of(node_type, classes.names.classes), UNKNOWN_TYPE)


def _values_of(node: NodeDocument, found: ComfyClass) -> dict[str, Any]:
    out = {name: found.settings[name].show(value) for name, value in node.settings.items() if name in found.settings}
    further = {name: value for name, value in node.settings.items() if name not in found.settings}
    if further and found.further_input is not None:
        out[found.further_input] = further
    if node.device != "auto":
        out[found.device_input] = node.device
    if node.offload != AUTO:
        out[found.offload_input] = show_offload(node.offload)
    return out


def _wires_of(
    node_id: str, node: NodeDocument, found: ComfyClass, document: Document, classes: Classes
) -> tuple[dict[str, Any], list[Fault]]:
    """The links of a node, and what is wrong with wires: a document that was never run may have any."""
    out: dict[str, Any] = {}
    faults = []
    for name, wire in node.wires.items():
        port = found.node_type.inputs.get(name)
        links = [_link(one, document, classes) for one in ([wire] if isinstance(wire, str) else wire)]
        if port is None and name not in found.settings:
            faults.append(_bad(node_id, name, f"{name}: {node.type} has no such input"))
        elif None in links or not (links or (port is not None and port.is_many)):
            faults.append(_bad(node_id, name, f"{name}: {wire!r} leads to no output of a node"))
        elif port is not None and port.is_many:
            out |= {socket(port, number): link for number, link in enumerate(links)}
        else:
            out[name] = links[0]
    return out, faults


def _bad(node_id: str, name: str, message: str) -> Fault:
    return Fault(message, ("nodes", node_id, "wires", name), None, BAD_LINK)


def _link(wire: str, document: Document, classes: Classes) -> list[Any] | None:
    """None where it leads nowhere. An output of a type without a class, which is a fault itself, is the first."""
    source, _, output = wire.partition(".")
    if source not in document.nodes:
        return None
    found = classes.of_type(document.nodes[source].type)
    try:
        return [client_id(source), 0 if found is None else found.node_type.output(output or None)]
    except KeyError:
        return None
