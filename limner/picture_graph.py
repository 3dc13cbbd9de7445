"""The graph that a picture carries: as it ran, and as it may run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from limner.engine.context import Provenance
from limner.engine.document import Document, parse, read_json
from limner.engine.errors import GraphError
from limner.nodes.provenance import read_provenance

PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp")
_WRITERS: Final = ("SaveImage", "SaveTable", "SaveModel")


def graph_inside(image: Path) -> tuple[Document, Provenance]:
    """The graph that an image file carries. Raises InputError where there is none, GraphError where it is wrong."""
    provenance = read_provenance(image)
    document, faults = parse(read_json(provenance.graph))
    if document is None or faults:
        raise GraphError(faults)
    return document, provenance


def graph_to_run(image: Path) -> Any:
    """The same as parsed JSON that replaces no file: the picture itself often has the name that its graph writes to.

    Raises InputError where there is none.
    """
    graph = read_json(read_provenance(image).graph)
    nodes = graph.get("nodes") if isinstance(graph, dict) else None
    for node in nodes.values() if isinstance(nodes, dict) else ():
        if isinstance(node, dict) and node.get("type") in _WRITERS and isinstance(node.get("settings"), dict):
            node["settings"].pop("overwrite", None)
    return graph
