"""Our documents as prompts."""

from __future__ import annotations

from typing import Any

from limner.comfy.classes import Classes, ComfyClass, socket
from limner.comfy.names import client_id
from limner.comfy.placement import show_offload
from limner.comfy.prompt import UNKNOWN_TYPE
from limner.engine.document import Document, NodeDocument
from limner.engine.errors import Fault, GraphError
from limner.engine.offload import AUTO


def prompt_of(document: Document, classes: Classes) -> dict[str, Any]:
    """The prompt of a document that was checked and has no Graph nodes. Raises GraphError for what has no class."""
    faults: list[Fault] = []
    out = {}
    for node_id, node in document.nodes.items():
        found = classes.of_type(node.type)
        if found is None:
            message = f"{node.type} has no form in a prompt"
            faults.append(Fault(message, ("nodes", node_id, "type"), None, UNKNOWN_TYPE))
            continue
        inputs = _wires_of(node, found, document, classes) | _values_of(node, found)
        out[client_id(node_id)] = {"class_type": found.name, "inputs": inputs, "_meta": {"title": found.title}}
    if faults:
        raise GraphError(faults)
    return out


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


def _wires_of(node: NodeDocument, found: ComfyClass, document: Document, classes: Classes) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, wire in node.wires.items():
        port = found.node_type.inputs.get(name)
        drawn = [wire] if isinstance(wire, str) else wire
        if port is not None and port.is_many:
            out |= {socket(port, number): _link(one, document, classes) for number, one in enumerate(drawn)}
        else:
            out[name] = _link(drawn[0], document, classes)
    return out


def _link(wire: str, document: Document, classes: Classes) -> list[Any]:
    source, _, output = wire.partition(".")
    found = classes.of_type(document.nodes[source].type)
    return [client_id(source), found.node_type.output(output or None) if found is not None else 0]
