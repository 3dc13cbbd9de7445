"""A node as the editor draws it: its sockets, its widgets and its size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from limner.comfy.classes import ComfyClass
from limner.comfy.node_size import Contents
from limner.comfy.prompt_nodes import is_link
from limner.comfy.workflow import NODE_ID


@dataclass
class CanvasNode:
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

    @cached_property
    def inputs(self) -> Mapping[str, list[Any]]:
        """All inputs of the class, in the order in which the editor shows them."""
        return {**self.info["input"]["required"], **self.info["input"]["optional"]}

    @cached_property
    def sockets(self) -> list[str]:
        """The inputs that have a socket: all wires, and the settings that are wired."""
        ports = self.found.node_type.inputs
        plain = [name for name in self.inputs if name in ports and not ports[name].is_many]
        return plain + [name for name, value in self.given.items() if is_link(value) and name not in plain]

    @cached_property
    def widgets(self) -> dict[str, list[Any]]:
        """The inputs that have a widget."""
        return {name: config for name, config in self.inputs.items() if name not in self.found.node_type.inputs}

    @property
    def contents(self) -> Contents:
        """What its size follows from."""
        free = sum(port.is_many for port in self.found.node_type.inputs.values())  # one more of what grows
        kinds = self.info["output"]
        pictures = any(self.given.get(name) for name in self.found.pictures)
        shown = self.found.is_output and any(self._socket(name)["type"] == "IMAGE" for name in self.sockets)
        return Contents(
            rows=max(len(self.sockets) + free, len(kinds)),
            widgets=tuple((*self.widgets[name], str(self.given.get(name, ""))) for name in self.widgets),
            has_picture=pictures or shown,
            has_preview=self.found.node_type.cls.on_device and "LATENT" in kinds,
        )

    def drawn(self, order: int, own_id: str) -> dict[str, Any]:
        """The node as a workflow has it, but for its place and its looks. ``own_id`` is what files call it."""
        outputs = zip(self.info["output_name"], self.info["output"], strict=True)
        return {
            "id": self.number,
            "type": self.found.name,
            "flags": {},
            "order": order,
            "mode": 0,
            "inputs": [self._socket(name) for name in self.sockets],
            "outputs": [
                {"name": name, "type": kind, "links": self.followers.get(slot), "slot_index": slot}
                for slot, (name, kind) in enumerate(outputs)
            ],
            "properties": {"Node name for S&R": self.found.name, NODE_ID: own_id},
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
