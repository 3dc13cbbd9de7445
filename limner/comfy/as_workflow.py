"""Our documents as workflows, which the editor opens: each node with its place, its sockets and its widgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from limner.comfy.as_prompt import prompt_of
from limner.comfy.canvas_extra import extra_of
from limner.comfy.canvas_layout import Layout
from limner.comfy.canvas_node import CanvasNode
from limner.comfy.canvas_places import Box, places
from limner.comfy.class_info import Here, class_info
from limner.comfy.classes import Classes
from limner.comfy.names import document_id
from limner.comfy.node_size import WIDTH, height, room
from limner.comfy.prompt_nodes import is_link
from limner.comfy.renamed import renamed
from limner.comfy.workflow import OWN
from limner.drawing import Edge
from limner.engine.document import Document

VERSION: Final = 0.4


def workflow_of(document: Document, classes: Classes) -> dict[str, Any]:
    """The workflow of a document without Graph nodes. Raises GraphError for types and wires that are none.

    Nodes stand where ``layout`` has them, and the others in layers from left to right. What a workflow has no place for
    is in its ``extra``.
    """
    prompt = prompt_of(document, classes)
    info = {
        name: class_info(classes[name], classes, Here()) for name in {node["class_type"] for node in prompt.values()}
    }
    nodes = {
        document_id(name): CanvasNode(number, one["inputs"], classes[one["class_type"]], info[one["class_type"]])
        for number, (name, one) in zip(_numbers(list(prompt)), prompt.items(), strict=True)
    }
    edges = list(_edges(nodes))
    links = _draw_links(nodes, edges)
    layout = Layout(document.layout)
    own = {name: layout.own_id(name) for name in nodes}
    sizes = _sizes(nodes, layout)
    boxes = {name: Box(sizes[name][0], max(sizes[name][1], room(node.contents))) for name, node in nodes.items()}
    stands = places(boxes, edges, layout.places(nodes))
    titles = layout.titles()
    last = max((node.number for node in nodes.values()), default=0)
    notes = layout.notes(last + 1)
    return {
        "last_node_id": last + len(notes),
        "last_link_id": len(links),
        "nodes": [
            *(
                node.drawn(order, own[name])
                | {"pos": list(stands[name]), "size": list(sizes[name])}
                | ({"title": titles[name]} if name in titles else {})
                | layout.looks(name)
                for order, (name, node) in enumerate(nodes.items())
            ),
            *notes,
        ],
        "links": links,
        "groups": layout.groups(),
        "config": {},
        "extra": {OWN: extra_of(_under(own, document), {own[name]: size for name, size in sizes.items()})},
        "version": VERSION,
    }


def _numbers(names: Sequence[str]) -> list[int]:
    """What the editor calls nodes: their ids, where all are numbers."""
    if all(name.isascii() and name.isdigit() and len(name) < 10 and str(int(name)) == name for name in names):
        return [int(name) for name in names]
    return list(range(1, len(names) + 1))


def _edges(nodes: Mapping[str, CanvasNode]) -> Iterator[Edge]:
    """All wires."""
    for name, node in nodes.items():
        for slot, socket in enumerate(node.sockets):
            value: Any = node.given.get(socket)
            if is_link(value):
                yield Edge(document_id(value[0]), value[1], name, slot)


def _draw_links(nodes: Mapping[str, CanvasNode], edges: Sequence[Edge]) -> list[list[Any]]:
    """All wires as a workflow has them, each noted at both of its ends."""
    out: list[list[Any]] = []
    for number, wire in enumerate(edges, start=1):
        source, target = nodes[wire.source], nodes[wire.target]
        target.links[target.sockets[wire.input]] = number
        source.followers[wire.output].append(number)
        kind = source.info["output"][wire.output]
        out.append([number, source.number, wire.output, target.number, wire.input, kind])
    return out


def _sizes(nodes: Mapping[str, CanvasNode], layout: Layout) -> dict[str, Sequence[float]]:
    known = layout.sizes(nodes)
    return {name: known.get(name) or [WIDTH, height(node.contents)] for name, node in nodes.items()}


def _under(own: Mapping[str, str], document: Document) -> Document:
    """The document under the ids of the file that it came from."""
    if all(name == one for name, one in own.items()) or len(set(own.values())) < len(own):
        return document
    return Document.model_validate(renamed(document.model_dump(), own))
