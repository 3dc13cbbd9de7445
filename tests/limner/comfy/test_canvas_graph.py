"""What people change in the editor, in the file that it is exported as."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from limner.comfy.as_workflow import workflow_of
from limner.comfy.canvas_graph import graph_file, graph_of_job
from limner.comfy.classes import Classes
from limner.comfy.prompt import graph_of
from limner.engine.check import check
from limner.engine.document import Document, parse
from limner.engine.registry import Registry

REGISTRY = Registry.installed()
CLASSES = Classes(REGISTRY)


class Counted(list[Any]):
    """A list that knows how often it was gone through."""

    times = 0

    def __iter__(self) -> Iterator[Any]:
        self.times += 1
        return super().__iter__()

    def __reversed__(self) -> Iterator[Any]:
        self.times += 1
        return super().__reversed__()


PROMPT: dict[str, Any] = {
    "3": {"class_type": "Text", "inputs": {"value": "a star"}, "_meta": {"title": "What it shows"}},
    "7": {"class_type": "Integer", "inputs": {"value": 3}, "_meta": {"title": "Integer"}},
}


def file_of(prompt: dict[str, Any], workflow: Any) -> Document:
    nodes = graph_of(prompt, CLASSES, targets=list(prompt)).graph["nodes"]
    document, faults = parse(graph_file(nodes, prompt, workflow, CLASSES))
    assert faults == []
    assert document is not None
    check(document, REGISTRY)
    return document


def canvas() -> dict[str, Any]:
    """A workflow of two nodes, whose graph had parameters and outputs."""
    raw = {
        "limner": 1,
        "name": "values",
        "parameters": {"words": "words.value", "both": ["words.value", "count.value"], "many": ["count.value"]},
        "nodes": {"words": {"type": "Text"}, "count": {"type": "Integer"}},
        "outputs": {"text": "words", "number": "count"},
    }
    document, _ = parse(raw)
    assert document is not None
    workflow = json.loads(json.dumps(workflow_of(document, CLASSES)))
    for node, number in zip(workflow["nodes"], (3, 7), strict=True):
        node["id"] = number
    return dict(workflow)


def test_what_pointed_to_a_node_goes_with_it() -> None:
    """Parameters and outputs keep what is still there."""
    workflow = canvas()
    found = file_of({"3": PROMPT["3"]}, workflow)
    assert found.parameters == {"words": "words.value", "both": ["words.value"]}
    assert found.outputs == {"text": "words"}
    assert list(found.nodes) == ["words"]


def test_a_new_node_and_a_copy_have_ids_of_their_own() -> None:
    """Those that were there keep theirs, and their order."""
    workflow = canvas()
    copy = deepcopy(workflow["nodes"][0]) | {"id": 12}
    new = {"id": 13, "type": "Integer", "pos": [5, 6], "size": [210, 58], "inputs": [], "outputs": [], "properties": {}}
    workflow["nodes"] += [copy, new]
    found = file_of({"13": PROMPT["7"], "12": PROMPT["3"], **PROMPT}, workflow)
    assert list(found.nodes) == ["words", "count", "integer", "text"]
    assert found.layout["positions"]["integer"] == [5, 6]
    assert found.layout["sizes"] == {"integer": [210, 58], "text": workflow["nodes"][0]["size"]}


def test_titles_groups_and_notes_are_in_the_layout() -> None:
    """And what the editor says of itself, such as the colour of a group, is not."""
    workflow = canvas()
    workflow["groups"] = [{"id": 1, "title": "All", "bounding": [0.123, 0, 700, 400], "color": "#3f789e", "flags": {}}]
    note = {"id": 9, "type": "MarkdownNote", "pos": [1, 2], "size": [300, 200], "color": "#432", "bgcolor": "#653"}
    workflow["nodes"].append(note | {"widgets_values": ["# Hello"], "title": "Markdown Note"})
    layout = file_of(PROMPT, workflow).layout
    assert layout["titles"] == {"words": "What it shows"}
    assert layout["groups"] == [{"title": "All", "bounding": [0.1, 0, 700, 400]}]
    assert layout["notes"] == [{"text": "# Hello", "position": [1, 2], "size": [300, 200]}]


def test_many_notes_and_groups_are_not_compared_each_with_each() -> None:
    """What was there before is gone through once: what stands where it stood is as it was, and the rest is new."""
    count = 50
    notes = Counted({"text": "x", "position": [0, 0.1 * i], "size": [320, 160]} for i in range(count))
    groups = Counted({"title": "x", "bounding": [0, 0.1 * i, 9, 9], "own": i} for i in range(count))
    workflow = canvas()
    note = {"type": "MarkdownNote", "size": [320, 160], "widgets_values": ["x"]}
    workflow["nodes"] += [note | {"id": 100 + i, "pos": [i % 2, 0.1 * i]} for i in range(count)]
    workflow["groups"] = [{"title": "x", "bounding": [i % 2, 0.1 * i, 9, 9]} for i in range(count)]
    workflow["extra"]["limner"]["layout"] = {"notes": notes, "groups": groups}
    layout = file_of(PROMPT, workflow).layout
    assert (notes.times, groups.times) == (1, 1)
    assert [one.get("own") for one in layout["groups"]] == [None if i % 2 else i for i in range(count)]
    assert layout["notes"][::2] == list(notes)[::2]


def test_a_job_notes_what_files_call_its_nodes() -> None:
    """Its own ids are those of the client; parameters and titles follow them."""
    nodes = graph_of(PROMPT, CLASSES, targets=list(PROMPT)).graph["nodes"]
    found = graph_of_job(nodes, PROMPT, canvas(), CLASSES)
    assert set(found["nodes"]) == {"3", "7"}
    assert found["parameters"]["both"] == ["3.value", "7.value"]
    assert found["layout"]["ids"] == {"3": "words", "7": "count"}
    assert found["layout"]["titles"] == {"3": "What it shows"}


def test_without_a_workflow_there_are_names_and_titles() -> None:
    """As of a program that sends a prompt alone."""
    for workflow in (None, "x", {"nodes": [1, None]}):
        found = file_of(PROMPT, workflow)
        assert list(found.nodes) == ["text", "integer"]
        assert found.layout == {"titles": {"text": "What it shows"}}


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["words", "count", "text", "position", "bounding", "a"]), inner, max_size=3)
    ),
    max_leaves=8,
)
PARTS = ["name", "description", "parameters", "outputs", "nodes", "drawn", "layout"]
LAYOUTS = st.dictionaries(
    st.sampled_from(["positions", "sizes", "titles", "looks", "groups", "notes", "ids", "a"]), JUNK, max_size=4
)


@given(st.dictionaries(st.sampled_from(PARTS), JUNK | LAYOUTS), LAYOUTS)
@example(extra={}, layout={"ids": {"words": ""}})
@settings(deadline=None, max_examples=200)
def test_whatever_a_workflow_says_of_us_is_no_crash(extra: dict[str, Any], layout: dict[str, Any]) -> None:
    """What is not as we wrote it is passed over, and never in the way of the graph; so is an odd layout."""
    workflow = canvas() | {"extra": {"limner": extra}}
    found = file_of(PROMPT, workflow)
    assert {node.type: node.settings for node in found.nodes.values()} == {
        "Text": {"value": "a star"},
        "Integer": {"value": 3},
    }
    document, faults = parse({"limner": 1, "nodes": {"words": {"type": "Text"}}, "layout": layout})
    if document is not None and not faults:
        assert json.dumps(workflow_of(document, CLASSES), allow_nan=False)
