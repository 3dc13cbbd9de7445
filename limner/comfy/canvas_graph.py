"""What the editor shows as a graph file: the prompt that it sends, with all that its workflow says besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limner.comfy.canvas_before import Before, kept_looks
from limner.comfy.canvas_extra import as_written, head_of
from limner.comfy.classes import Classes
from limner.comfy.import_layout import place_canvases
from limner.comfy.names import client_id
from limner.comfy.own_ids import own_ids
from limner.comfy.read_workflow import is_workflow, read_workflow
from limner.comfy.renamed import renamed
from limner.comfy.subgraphs import instances
from limner.comfy.workflow import NOTES, Level, Workflow, WorkflowNode
from limner.engine.errors import GraphError

_NOTHING = Workflow(Level("", {}, {}), {}, ())


def graph_file(nodes: Mapping[str, Any], prompt: Mapping[str, Any], workflow: Any, classes: Classes) -> dict[str, Any]:
    """The graph file of a canvas. ``nodes`` is what was read of the prompt, by their ids in documents; a workflow that
    is none says nothing.
    """
    return _file(nodes, prompt, workflow, classes)[0]


def graph_of_job(
    nodes: Mapping[str, Any], prompt: Mapping[str, Any], workflow: Any, classes: Classes
) -> dict[str, Any]:
    """The same under the ids that the client knows; the layout notes what the file that it opened calls the nodes."""
    found, names, known = _file(nodes, prompt, workflow, classes)
    ids = {name: own for name, own in names.items() if name in known and known[name][1].own_id == own != name}
    out = renamed(found, {own: name for name, own in names.items()})
    return out | {"layout": out["layout"] | ({"ids": ids} if ids else {})}


_Known = dict[str, tuple[str, WorkflowNode]]
"""Nodes of a workflow, each with its canvas."""


def _file(
    nodes: Mapping[str, Any], prompt: Mapping[str, Any], workflow: Any, classes: Classes
) -> tuple[dict[str, Any], dict[str, str], _Known]:
    """The file, and what it calls each node; and of the nodes, those that the workflow shows."""
    canvas, shown = _read(workflow)
    known = {name: shown[client_id(name)] for name in nodes if client_id(name) in shown}
    names = own_ids(
        {name: node["type"] for name, node in nodes.items()}, {name: node.own_id for name, (_, node) in known.items()}
    )
    found = as_written(renamed({"nodes": nodes}, names)["nodes"], canvas.own, classes)
    titles = {names[name]: title for name in nodes if (title := _title(prompt.get(client_id(name)), classes))}
    layout = _layout(canvas, {names[name]: one for name, one in known.items()}, titles)
    return {"limner": 1, **head_of(canvas.own, found, classes), "nodes": found, "layout": layout}, names, known


def _read(workflow: Any) -> tuple[Workflow, _Known]:
    """The workflow, and its nodes by their ids in the prompt, each with its canvas."""
    if not is_workflow(workflow):
        return _NOTHING, {}
    canvas = read_workflow(workflow)
    try:
        used = instances(canvas)
    except GraphError:
        return canvas, {}
    return canvas, {one.path + node.id: (one.path, node) for one in used for node in one.level.nodes.values()}


def _title(node: Any, classes: Classes) -> str:
    """What a node is called, where it is not its class."""
    meta = node.get("_meta") if isinstance(node, dict) else None
    title = meta.get("title") if isinstance(meta, dict) else None
    found = classes.get(node["class_type"]) if isinstance(title, str) else None
    return "" if found is None or title in (found.title, found.name) else str(title)


def _layout(canvas: Workflow, nodes: _Known, titles: Mapping[str, str]) -> dict[str, Any]:
    given, drawn = canvas.own.get("layout"), canvas.own.get("drawn")
    before = Before(given if isinstance(given, dict) else {}, drawn if isinstance(drawn, dict) else {})
    places = place_canvases({name: (path, node.position) for name, (path, node) in nodes.items()})
    sizes = {name: before.size(name, node.size) for name, (_, node) in nodes.items()}
    found = {
        "positions": {name: before.place(name, place) for name, place in places.items()},
        "sizes": {name: size for name, size in sizes.items() if size is not None},
        "titles": dict(titles),
        "looks": {name: looks for name, (_, node) in nodes.items() if (looks := kept_looks(node))},
        "groups": before.groups(canvas.groups),
        "notes": before.notes([node for node in canvas.root.nodes.values() if node.type in NOTES]),
    }
    return before.in_order({name: part for name, part in found.items() if part} | before.rest())
