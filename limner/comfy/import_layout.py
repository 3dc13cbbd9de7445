"""Where the nodes of a workflow stand, now that they are all on one canvas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_GAP: Final = 400.0
"""Between the nodes of one canvas and those of the next."""


def layout_of(places: Mapping[str, tuple[str, tuple[float, float]]]) -> dict[str, Any]:
    """Positions by node. ``places`` has the canvas of each, and where it stands there; canvases lie side by side."""
    found = {name: [round(x, 1), round(y, 1)] for name, (x, y) in place_canvases(places).items()}
    return {"positions": found} if found else {}


def place_canvases(places: Mapping[str, tuple[str, tuple[float, float]]]) -> dict[str, tuple[float, float]]:
    """The same as plain places. The outermost canvas stays where it is, and those of subgraphs follow to its right."""
    canvases: dict[str, dict[str, tuple[float, float]]] = {"": {}}
    for node, (canvas, at) in places.items():
        canvases.setdefault(canvas, {})[node] = at
    found = canvases.pop("")
    top = min((y for _, y in found.values()), default=0.0)
    for nodes in canvases.values():
        left = max((x + _GAP for x, _ in found.values()), default=0.0)
        first, highest = min(x for x, _ in nodes.values()), min(y for _, y in nodes.values())
        found |= {node: (left + x - first, top + y - highest) for node, (x, y) in nodes.items()}
    return found
