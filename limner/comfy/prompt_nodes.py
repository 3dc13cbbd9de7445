"""The nodes of a prompt, read one by one: inputs become settings, wires, device and offload of a graph file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from limner.comfy.classes import Classes, ComfyClass
from limner.comfy.names import document_id, is_thin
from limner.comfy.placement import read_offload
from limner.comfy.settings import parsed_json
from limner.engine.errors import GraphError
from limner.engine.findings import Findings
from limner.engine.node import Port

BAD_LINK: Final = "bad_link"
_NUMBER: Final = re.compile(r"\d{1,9}$")
_WRAPPED: Final = "__value__"
Rename = Callable[[str], str]


def is_link(value: Any) -> bool:
    """Whether an input is wired: ``["12", 0]``, a node and the number of its output."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], (int, float))
        and not isinstance(value[1], bool)
    )


@dataclass
class PromptReader:
    """Turns nodes into those of a graph file, one after another."""

    nodes: Mapping[str, Mapping[str, Any]]
    classes: Classes
    pictures: Rename
    findings: Findings
    read: dict[str, dict[str, Any]] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)

    def add(self, name: str) -> None:
        """Read one node."""
        try:
            node_id = self._id(name)
        except GraphError as error:
            self.findings.faults += [fault.under(("nodes", name)) for fault in error.faults]
            return
        class_type = self.nodes[name]["class_type"]
        found = self.classes.get(class_type)
        if found is None:
            self.read[node_id] = {"type": f"?{class_type}"}  # no type of ours either, whatever it is called
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
            self.findings.add(f"{path[-1]}: there is no node {name[:200]!r}", path, None, BAD_LINK)
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
            self.findings.add(message, path, "the first is 0", BAD_LINK)
            return None
        return source if len(ports) == 1 else f"{source}.{ports[int(index)].name}"


class _NodeReader:
    """Sorts the inputs of one node."""

    def __init__(self, reader: PromptReader, node_id: str, found: ComfyClass) -> None:
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
        if value == "" and name in found.needed_texts:
            return  # that it is missing is said better than that it is short
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
            hint = self._reader.findings.suggest(name, [*self._class.node_type.inputs, *self._class.settings])
            message = f"{name[:200]}: {self._class.name} has no such input"
            self._fault(message, ("nodes", self._id, "settings", name), hint, "extra_forbidden")

    def _fault(self, message: str, path: tuple[str, ...], hint: str | None, kind: str) -> None:
        self._reader.findings.add(message, path, hint, kind)

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
    """Whether two values are the same JSON: 1 is 1.0, as JavaScript writes it, and no truth."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
