"""Prompts, as programs send them to ComfyUI, and our documents: one into the other and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from limner.comfy.classes import Classes, ComfyClass, socket
from limner.comfy.names import client_id, document_id, is_thin
from limner.comfy.placement import read_offload, show_offload
from limner.comfy.settings import parsed_json
from limner.engine.document import Document, NodeDocument
from limner.engine.errors import Fault, GraphError, suggest
from limner.engine.node import Port
from limner.engine.offload import AUTO

BAD_LINK: Final = "bad_link"
UNKNOWN_TYPE: Final = "unknown_type"
NO_OUTPUTS: Final = "no_outputs"
_NUMBER: Final = re.compile(r"\d{1,9}$")
_WRAPPED: Final = "__value__"
Rename = Callable[[str], str]


@dataclass(frozen=True)
class PromptGraph:
    """What a prompt says, as a graph file would; to be checked yet."""

    graph: dict[str, Any]
    faults: list[Fault]
    """What a graph file could not even say."""
    outputs: list[str]
    """The nodes that it is run for, by the client's ids."""


def graph_of(
    prompt: Any, classes: Classes, *, targets: Iterable[str] | None = None, pictures: Rename = str
) -> PromptGraph:
    """The graph of a prompt: its output nodes, or only ``targets``, and all that they need; the rest is left out.

    ``pictures`` says where the picture is that a client calls so. Settings that are their defaults are left out.
    """
    faults = list(_shape(prompt, classes))
    nodes = {name: node for name, node in prompt.items() if _is_node(node)} if isinstance(prompt, dict) else {}
    wanted = list(nodes) if targets is None else [name for name in targets if isinstance(name, str)]
    faults += [Fault(f"there is no node {name!r} to run", ("targets",)) for name in wanted if name not in nodes]
    outputs = [name for name in wanted if name in nodes and (targets is not None or _is_output(nodes[name], classes))]
    if not outputs and not faults:
        hint = "add a node that saves or shows, such as SaveImage or PreviewImage"
        faults.append(Fault("no node of the prompt gives anything", (), hint, NO_OUTPUTS))
    reader = _Reader(nodes, classes, pictures, faults)
    for name in _needed(nodes, outputs):
        reader.add(name)
    return PromptGraph({"limner": 1, "nodes": reader.read}, faults, outputs)


def _shape(prompt: Any, classes: Classes) -> Iterator[Fault]:
    """What is no node at all, and classes that nobody knows."""
    if not isinstance(prompt, dict):
        yield Fault("a prompt is a JSON object of nodes by their ids", (), None, NO_OUTPUTS)
        return
    hints = 20  # comparing names costs more than all else
    for name, node in prompt.items():
        if not _is_node(node):
            message = "a node has a class_type, and inputs by their names"
            yield Fault(message, ("nodes", _id_for_faults(name)), None, UNKNOWN_TYPE)
        elif node["class_type"] not in classes:
            hints -= 1
            hint = suggest(node["class_type"], classes) if hints >= 0 else None
            message = f"unknown node type {node['class_type'][:200]}"
            yield Fault(message, ("nodes", _id_for_faults(name), "type"), hint, UNKNOWN_TYPE)


def _is_node(node: Any) -> bool:
    return (
        isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs", {}), dict)
    )


def _id_for_faults(name: str) -> str:
    try:
        return document_id(name)
    except GraphError:
        return name


def _is_output(node: Mapping[str, Any], classes: Classes) -> bool:
    found = classes.get(node["class_type"])
    return found is not None and found.is_output


def is_link(value: Any) -> bool:
    """Whether an input is wired: ``["12", 0]``, a node and the number of its output."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], (int, float))
        and not isinstance(value[1], bool)
    )


def _needed(nodes: Mapping[str, Mapping[str, Any]], outputs: Iterable[str]) -> list[str]:
    """The nodes that outputs depend on, as the prompt has them in order."""
    needed: set[str] = set()
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in needed:
            needed.add(name)
            waiting += [value[0] for value in nodes[name].get("inputs", {}).values() if is_link(value)]
    return [name for name in nodes if name in needed]


@dataclass
class _Reader:
    """Turns nodes into those of a graph file, one after another."""

    nodes: Mapping[str, Mapping[str, Any]]
    classes: Classes
    pictures: Rename
    faults: list[Fault]
    read: dict[str, dict[str, Any]] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)

    def add(self, name: str) -> None:
        """Read one node."""
        try:
            node_id = self._id(name)
        except GraphError as error:
            self.faults += [fault.under(("nodes", name)) for fault in error.faults]
            return
        class_type = self.nodes[name]["class_type"]
        found = self.classes.get(class_type)
        if found is None:
            self.read[node_id] = {"type": class_type}
            return
        node = _NodeReader(self, node_id, found)
        for key, value in self.nodes[name].get("inputs", {}).items():
            node.take(key, value)
        self.read[node_id] = node.document()

    def _id(self, name: str) -> str:
        if name not in self._ids:
            self._ids[name] = document_id(name)
        return self._ids[name]

    def wire(self, path: tuple[str, ...], link: list[Any]) -> str | None:
        """How a graph file writes a link; None, and a fault, where it leads nowhere."""
        name, index = link
        if name not in self.nodes:
            self.faults.append(Fault(f"{path[-1]}: there is no node {name!r}", path, None, BAD_LINK))
            return None
        try:
            source = self._id(name)
        except GraphError:
            return None  # its own fault
        found = self.classes.get(self.nodes[name]["class_type"])
        if found is None:
            return source
        ports = found.node_type.outputs
        if index not in range(len(ports)):
            message = f"{path[-1]}: {found.name} has {len(ports)} outputs, and none has the number {index}"
            self.faults.append(Fault(message, path, "the first is 0", BAD_LINK))
            return None
        return source if len(ports) == 1 else f"{source}.{ports[int(index)].name}"


class _NodeReader:
    """Sorts the inputs of one node."""

    def __init__(self, reader: _Reader, node_id: str, found: ComfyClass) -> None:
        self._reader = reader
        self._id = node_id
        self._class = found
        self._settings: dict[str, Any] = {}
        self._wires: dict[str, Any] = {}
        self._grown: dict[str, list[tuple[int, str]]] = {}
        self._more: dict[str, Any] = {}

    def take(self, name: str, value: Any) -> None:
        """Read one input."""
        found = self._class
        port = found.node_type.inputs.get(name) or found.growing(name)
        if port is not None:
            self._take_wire(name, port, value)
        elif is_link(value):
            self._take_wired_setting(name, value)
        else:
            self._take_value(name, _unwrapped(value))

    def _take_wire(self, name: str, port: Port, value: Any) -> None:
        if value is None:
            return  # a socket that nothing is wired to
        path = ("nodes", self._id, "wires", port.name)
        if not is_link(value):
            self._fault(f"{name}: is a wire, not a value", path, 'give the node and its output: ["4", 0]', BAD_LINK)
        elif (wire := self._reader.wire(path, value)) is not None:
            if port.is_many:
                number = _NUMBER.search(name)
                self._grown.setdefault(port.name, []).append((int(number[0]) if number else -1, wire))
            else:
                self._wires[port.name] = wire

    def _take_wired_setting(self, name: str, value: list[Any]) -> None:
        path = ("nodes", self._id, "wires", name)
        if name not in self._class.settings:
            self._unknown(name)
        elif (wire := self._reader.wire(path, value)) is not None:
            self._wires[name] = wire

    def _take_value(self, name: str, value: Any) -> None:
        found = self._class
        if name in found.settings:
            self._take_setting(name, value)
        elif name == found.device_input:
            self._more["device"] = value
        elif name == found.offload_input:
            self._more["offload"] = read_offload(value)
        elif name == found.further_input:
            self._take_further(name, value)
        elif found.further_input is not None:
            self._settings[name] = value
        else:
            self._unknown(name)

    def _take_setting(self, name: str, value: Any) -> None:
        found = self._class
        if value is None and name in found.pictures:
            return  # the editor's choice where there is nothing to choose from
        value = found.settings[name].read(value)
        if name in found.defaults and _is_same(value, found.defaults[name]):
            return
        if name in found.pictures:
            value = self._picture(value)
        self._settings[name] = value

    def _picture(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._picture(one) for one in value]
        return self._reader.pictures(value) if isinstance(value, str) else value

    def _take_further(self, name: str, value: Any) -> None:
        further = parsed_json(value) if isinstance(value, str) and value.strip() else value or {}
        if not isinstance(further, dict):
            self._fault(f"{name}: must be a JSON object", ("nodes", self._id, "settings", name), None, "dict_type")
            return
        self._settings |= further

    def _unknown(self, name: str) -> None:
        """ComfyUI passes over inputs that a class does not have, and what its clients send counts on that."""
        if not is_thin(self._class.node_type):
            hint = suggest(name, [*self._class.node_type.inputs, *self._class.settings])
            message = f"{name[:200]}: {self._class.name} has no such input"
            self._fault(message, ("nodes", self._id, "settings", name), hint, "extra_forbidden")

    def _fault(self, message: str, path: tuple[str, ...], hint: str | None, kind: str) -> None:
        self._reader.faults.append(Fault(message, path, hint, kind))

    def document(self) -> dict[str, Any]:
        """The node as a graph file has it."""
        grown = {name: [wire for _, wire in sorted(wires, key=_first)] for name, wires in self._grown.items()}
        out = {"type": self._class.node_type.name, "settings": self._settings, "wires": self._wires | grown}
        return {key: part for key, part in out.items() if part} | self._more


def _first(pair: tuple[int, str]) -> int:
    return pair[0]


def _unwrapped(value: Any) -> Any:
    """A value that the editor wrapped so that it is not taken for a link."""
    return value[_WRAPPED] if isinstance(value, dict) and set(value) == {_WRAPPED} else value


def _is_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


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
