"""A graph under other ids, in all places where it names its nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limner.comfy.canvas_layout import PER_NODE


def renamed(graph: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A graph file's content with each node called as ``names`` says; what that does not name keeps its id."""

    def wire(drawn: Any) -> Any:
        if isinstance(drawn, list):
            return [wire(one) for one in drawn]
        if not isinstance(drawn, str):
            return drawn
        node, dot, port = drawn.partition(".")
        return names.get(node, node) + dot + port

    def keys(part: Any) -> Any:
        return {names.get(name, name): one for name, one in part.items()} if isinstance(part, dict) else part

    def ends(part: Mapping[str, Any]) -> dict[str, Any]:
        return {name: wire(one) for name, one in part.items()}

    out = dict(graph)
    out["nodes"] = {
        names.get(name, name): node | ({"wires": ends(node["wires"])} if "wires" in node else {})
        for name, node in graph["nodes"].items()
    }
    for part in ("parameters", "outputs"):
        if part in graph:
            out[part] = ends(graph[part])
    if "layout" in graph:
        out["layout"] = {name: keys(one) if name in PER_NODE else one for name, one in graph["layout"].items()}
    return out
