"""Where the nodes of a workflow stand, now that they are all on one canvas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from limner.comfy.names import document_id
from limner.comfy.subgraphs import instances
from limner.comfy.workflow import is_workflow, read_workflow
from limner.engine.errors import GraphError

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


def layout_in(workflow: Any, names: Iterable[str]) -> dict[str, Any]:
    """Positions of the nodes of a prompt, by their ids in documents; ``workflow`` is what the editor sent with it.

    Of what is no workflow there are none: a graph does without.
    """
    if not is_workflow(workflow):
        return {}
    try:
        used = instances(read_workflow(workflow))
    except GraphError:
        return {}
    places = {one.path + node.id: (one.path, node.position) for one in used for node in one.level.nodes.values()}
    return layout_of({document_id(name): places[name] for name in names if name in places})
