"""Where the nodes of an imported workflow stand, now that they are all on one canvas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_GAP: Final = 400.0
"""Between the nodes of one canvas and those of the next."""


def layout_of(places: Mapping[str, tuple[str, tuple[float, float]]]) -> dict[str, Any]:
    """Positions by node. ``places`` has the canvas of each, and where it stands there; canvases lie side by side."""
    canvases: dict[str, dict[str, tuple[float, float]]] = {}
    for node, (canvas, at) in places.items():
        canvases.setdefault(canvas, {})[node] = at
    found: dict[str, list[float]] = {}
    left = 0.0
    for nodes in canvases.values():
        first, top = min(x for x, _ in nodes.values()), min(y for _, y in nodes.values())
        found |= {node: [round(left + x - first, 1), round(y - top, 1)] for node, (x, y) in nodes.items()}
        left = max(x for x, _ in (found[node] for node in nodes)) + _GAP
    return {"positions": found} if found else {}
