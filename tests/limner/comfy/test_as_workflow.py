"""Documents as workflows, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from limner.comfy.as_workflow import workflow_of
from limner.comfy.classes import Classes
from limner.comfy.flatten import flatten
from limner.comfy.prompt import graph_of
from limner.engine.check import check
from limner.engine.document import Document, parse
from limner.engine.errors import GraphError
from limner.engine.flat import flat_document
from limner.engine.registry import Registry
from limner.graphs.library import GraphLibrary
from limner.nodes import NODES

REGISTRY = Registry(NODES)
CLASSES = Classes(REGISTRY)


def template(name: str) -> Document:
    document, _ = parse(GraphLibrary().load(name))
    assert document is not None
    if any(one.type == "Graph" for one in document.nodes.values()):
        return flat_document(check(document, REGISTRY, GraphLibrary()))
    return document


def back(workflow: dict[str, Any]) -> dict[str, Any]:
    """The nodes of a graph, read as the editor would send it."""
    flat = flatten(json.loads(json.dumps(workflow)), CLASSES)
    assert flat.faults == ()
    read = graph_of(flat.prompt, CLASSES, targets=list(flat.prompt))
    assert read.faults == []
    document, faults = parse(read.graph)
    assert document is not None
    assert faults == []
    return {key: node.model_dump() for key, node in document.nodes.items()}


def plain(document: Document, ids: dict[str, str]) -> dict[str, Any]:
    """The nodes under other ids, without defaults that are written out."""
    out = {}
    for node_id, node in document.nodes.items():
        defaults = CLASSES[CLASSES.names.classes[node.type]].defaults
        settings = {name: value for name, value in node.settings.items() if defaults.get(name, ...) != value}
        wires = {name: _renamed(wire, ids) for name, wire in node.wires.items()}
        out[ids[node_id]] = node.model_copy(update={"settings": settings, "wires": wires}).model_dump()
    return out


def _renamed(wire: str | list[str], ids: dict[str, str]) -> Any:
    if isinstance(wire, list):
        return [_renamed(one, ids) for one in wire]
    source, dot, output = wire.partition(".")
    return ids[source] + dot + output


@pytest.mark.parametrize("name", GraphLibrary().names())
def test_every_template_comes_back(name: str) -> None:
    """A document is the same after it was on the canvas: settings, wires in order, devices, policies."""
    document = template(name)
    ids = {node_id: str(number) for number, node_id in enumerate(document.nodes, start=1)}
    assert back(workflow_of(document, CLASSES)) == plain(document, ids)


def test_links_are_noted_at_both_ends() -> None:
    """As the editor reads them: from an output to an input, each by its number."""
    workflow = workflow_of(template("text_to_image"), CLASSES)
    nodes = {node["id"]: node for node in workflow["nodes"]}
    assert len(workflow["links"]) == 6
    for number, source, output, target, slot, kind in workflow["links"]:
        assert number in nodes[source]["outputs"][output]["links"]
        assert nodes[target]["inputs"][slot]["link"] == number
        assert nodes[source]["outputs"][output]["type"] == kind


def test_nodes_stand_where_the_layout_has_them() -> None:
    """Else to the right of all that they need, and never upon each other."""
    document = template("text_to_image")
    placed = {"positions": {name: [number, 2.5] for number, name in enumerate(document.nodes)}}
    drawn = workflow_of(document.model_copy(update={"layout": placed}), CLASSES)["nodes"]
    assert [node["pos"] for node in drawn] == [[number, 2.5] for number in range(5)]
    for odd in ({"positions": {"model": [0, 0]}}, {"positions": 1}, {"positions": dict.fromkeys(document.nodes, "x")}):
        workflow = workflow_of(document.model_copy(update={"layout": odd}), CLASSES)
        at = {node["id"]: node["pos"] for node in workflow["nodes"]}
        assert all(at[source][0] < at[target][0] for _, source, _, target, *_ in workflow["links"])
        assert len({tuple(place) for place in at.values()}) == len(at)


def test_ids_that_are_numbers_stay() -> None:
    """So that faults and events name the nodes that the editor shows."""
    document, _ = parse({"limner": 1, "nodes": {"7": {"type": "Text"}, "3": {"type": "Text"}}})
    assert document is not None
    assert [node["id"] for node in workflow_of(document, CLASSES)["nodes"]] == [7, 3]


def test_a_seed_stays_what_it_is() -> None:
    """What is run is what the document says, until somebody lets the editor change it."""
    document, _ = parse({"limner": 1, "nodes": {"d": {"type": "Denoise", "settings": {"seed": 5}}}})
    assert document is not None
    (node,) = workflow_of(document, CLASSES)["nodes"]
    assert node["widgets_values"][2:4] == [5, "fixed"]


def test_a_long_chain_needs_no_stack() -> None:
    """However deep a graph is."""
    nodes: dict[str, Any] = {"n0": {"type": "LoadMask"}}
    nodes |= {f"n{i}": {"type": "FeatherMask", "wires": {"mask": f"n{i - 1}"}} for i in range(1, 5000)}
    document, _ = parse({"limner": 1, "nodes": nodes})
    assert document is not None
    assert len(workflow_of(document, CLASSES)["links"]) == 4999


def test_a_graph_as_a_node_has_no_place() -> None:
    """It is to be replaced by what it stands for before."""
    document, _ = parse({"limner": 1, "nodes": {"g": {"type": "Graph", "settings": {"graph": "text_to_image"}}}})
    assert document is not None
    with pytest.raises(GraphError, match="Graph has no form"):
        workflow_of(document, CLASSES)
