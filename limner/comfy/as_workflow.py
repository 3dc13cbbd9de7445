"""Our documents as workflows, which the editor opens: each node with its place, its sockets and its widgets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from limner.comfy.as_prompt import prompt_of
from limner.comfy.class_info import Here, class_info
from limner.comfy.classes import Classes, ComfyClass
from limner.comfy.names import document_id
from limner.comfy.prompt_nodes import is_link
from limner.engine.document import Document

VERSION: Final = 0.4
WIDTH: Final = 320
_GAP: Final = 80
_ROW: Final = 26
_TEXT_ROWS: Final = 4
"""Rows of a widget with several lines."""


def workflow_of(document: Document, classes: Classes) -> dict[str, Any]:
    """The workflow of a document that was checked and has no Graph nodes. Raises GraphError for what has no class.

    Nodes stand where ``layout`` has them; where it does not have all of them, in columns from left to right.
    """
    prompt = prompt_of(document, classes)
    info = {
        name: class_info(classes[name], classes, Here()) for name in {node["class_type"] for node in prompt.values()}
    }
    nodes = {
        name: _Node(number, one["inputs"], classes[one["class_type"]], info[one["class_type"]])
        for number, (name, one) in zip(_numbers(list(prompt)), prompt.items(), strict=True)
    }
    links = _draw_links(nodes)
    places = _places(document, nodes)
    return {
        "last_node_id": max((node.number for node in nodes.values()), default=0),
        "last_link_id": len(links),
        "nodes": [node.drawn(places[name], order) for order, (name, node) in enumerate(nodes.items())],
        "links": links,
        "groups": [],
        "config": {},
        "extra": {},
        "version": VERSION,
    }


def _numbers(names: Sequence[str]) -> list[int]:
    """What the editor calls nodes: their ids, where all are numbers."""
    if all(name.isascii() and name.isdigit() and len(name) < 10 and str(int(name)) == name for name in names):
        return [int(name) for name in names]
    return list(range(1, len(names) + 1))


@dataclass
class _Node:
    """A node of the canvas."""

    number: int
    given: Mapping[str, Any]
    """The inputs of the prompt."""
    found: ComfyClass
    info: Mapping[str, Any]
    links: dict[str, int] = field(default_factory=dict)
    """By input, the number of the link that leads there."""
    followers: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """By number of the output, the links that begin there."""

    @property
    def inputs(self) -> Mapping[str, list[Any]]:
        """All inputs of the class, in the order in which the editor shows them."""
        return {**self.info["input"]["required"], **self.info["input"]["optional"]}

    @property
    def sockets(self) -> list[str]:
        """The inputs that have a socket: all wires, and the settings that are wired."""
        ports = self.found.node_type.inputs
        plain = [name for name in self.inputs if name in ports and not ports[name].is_many]
        return plain + [name for name, value in self.given.items() if is_link(value) and name not in plain]

    @property
    def widgets(self) -> dict[str, list[Any]]:
        """The inputs that have a widget."""
        return {name: config for name, config in self.inputs.items() if name not in self.found.node_type.inputs}

    @property
    def height(self) -> int:
        """How tall the editor draws it, about."""
        rows = max(len(self.sockets), len(self.found.node_type.outputs), 1)
        rows += sum(_TEXT_ROWS if config[1].get("multiline") else 1 for config in self.widgets.values())
        return _ROW * (rows + 1)

    def drawn(self, place: Sequence[float], order: int) -> dict[str, Any]:
        """The node as a workflow has it."""
        outputs = zip(self.info["output_name"], self.info["output"], strict=True)
        return {
            "id": self.number,
            "type": self.found.name,
            "pos": list(place),
            "size": [WIDTH, self.height],
            "flags": {},
            "order": order,
            "mode": 0,
            "inputs": [self._socket(name) for name in self.sockets],
            "outputs": [
                {"name": name, "type": kind, "links": self.followers.get(slot), "slot_index": slot}
                for slot, (name, kind) in enumerate(outputs)
            ],
            "properties": {"Node name for S&R": self.found.name},
            "widgets_values": self._values(),
        }

    def _socket(self, name: str) -> dict[str, Any]:
        port = self.found.growing(name)
        kind = self.inputs[name][0] if port is None else self.inputs[port.name][1]["template"]["input"]["required"]
        if port is not None:
            kind = next(iter(kind.values()))[0]
        kind = kind if isinstance(kind, str) else "COMBO"
        widget = {"widget": {"name": name}} if name in self.widgets else {}
        return {"name": name, "type": kind, "link": self.links.get(name)} | widget

    def _values(self) -> list[Any]:
        out = []
        for name, (kind, options) in self.widgets.items():
            value = self.given.get(name)
            out.append(_default(kind, options) if value is None or is_link(value) else value)
            if options.get("control_after_generate"):
                out.append("fixed")  # what is run is what the document says
        return out


def _default(kind: Any, options: Mapping[str, Any]) -> Any:
    if "default" in options:
        return options["default"]
    return next(iter(kind), None) if isinstance(kind, list) else options.get("min", "")


def _draw_links(nodes: Mapping[str, _Node]) -> list[list[Any]]:
    """All wires, each noted at both of its ends."""
    out: list[list[Any]] = []
    for node in nodes.values():
        for slot, name in enumerate(node.sockets):
            value: Any = node.given.get(name)
            if is_link(value):
                source, output = nodes[value[0]], value[1]
                number = len(out) + 1
                node.links[name] = number
                source.followers[output].append(number)
                out.append([number, source.number, output, node.number, slot, source.info["output"][output]])
    return out


def _places(document: Document, nodes: Mapping[str, _Node]) -> dict[str, Sequence[float]]:
    known = document.layout.get("positions")
    found: dict[str, Any] = {name: known.get(document_id(name)) for name in nodes} if isinstance(known, dict) else {}
    if found and all(_is_place(place) for place in found.values()):
        return found
    return _in_columns(nodes)


def _is_place(place: Any) -> bool:
    return isinstance(place, list) and len(place) == 2 and all(type(one) in (int, float) for one in place)


def _in_columns(nodes: Mapping[str, _Node]) -> dict[str, Sequence[float]]:
    """Each node to the right of all that it is wired to, those of a column below each other."""
    column = _columns(nodes)
    tops: dict[int, int] = defaultdict(int)
    out: dict[str, Sequence[float]] = {}
    for name, node in nodes.items():
        at = column[name]
        out[name] = [at * (WIDTH + _GAP), tops[at]]
        tops[at] += node.height + _GAP
    return out


def _columns(nodes: Mapping[str, _Node]) -> dict[str, int]:
    """The length of the longest way to each node; without recursion."""
    sources = {name: [one[0] for one in node.given.values() if is_link(one)] for name, node in nodes.items()}
    followers: dict[str, list[str]] = defaultdict(list)
    for name, before in sources.items():
        for source in before:
            followers[source].append(name)
    open_wires = {name: len(before) for name, before in sources.items()}
    ready = [name for name, count in open_wires.items() if not count]
    column = dict.fromkeys(nodes, 0)
    for name in ready:  # which grows meanwhile
        for follower in followers[name]:
            column[follower] = max(column[follower], column[name] + 1)
            open_wires[follower] -= 1
            if not open_wires[follower]:
                ready.append(follower)
    return column
