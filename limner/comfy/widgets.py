"""The values of widgets, which the editor writes one after another, by the names of what they set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from limner.comfy.class_info import Here, class_info
from limner.comfy.classes import Classes, ComfyClass
from limner.comfy.workflow import WorkflowNode

WIDGET_TYPES: Final = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"})
_CONTROLS: Final = frozenset({"fixed", "increment", "decrement", "randomize", "increment-wrap"})
"""What the editor does with a number after each run: it writes this behind the number."""


def is_control(value: object) -> bool:
    """Whether a value says what the editor does with the number before it."""
    return isinstance(value, str) and value in _CONTROLS


class Widgets:
    """Reads widgets of nodes; the order of those of a class is found out when it is first asked for."""

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self._orders: dict[str, list[str]] = {}

    def values(self, node: WorkflowNode, found: ComfyClass) -> dict[str, Any]:
        """What the widgets of a node are set to, by name. More values than widgets are the editor's own."""
        if isinstance(node.values, Mapping):
            return dict(node.values)
        names = iter(self._order(found))
        out: dict[str, Any] = {}
        is_number = False
        for value in node.values:
            if is_number and is_control(value):
                is_number = False
                continue
            if (name := next(names, None)) is None:
                break
            out[name] = value
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return out

    def _order(self, found: ComfyClass) -> list[str]:
        """The inputs of a class that are widgets, as the editor shows them."""
        if found.name not in self._orders:
            order = class_info(found, self._classes, Here())["input_order"]
            shown = (*order["required"], *order["optional"])
            self._orders[found.name] = [name for name in shown if name not in found.node_type.inputs]
        return self._orders[found.name]
