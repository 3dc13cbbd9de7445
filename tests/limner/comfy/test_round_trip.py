"""A document opened in the editor and exported again is the same document."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

sys.path.append(str(Path(__file__).parent))  # pytest's importlib mode adds no folder by itself

from kept_by_editor import kept, prompt_of_canvas  # found through the line above
from random_graphs import documents

from limner.comfy.as_workflow import workflow_of
from limner.comfy.canvas_graph import graph_file, graph_of_job
from limner.comfy.classes import Classes
from limner.comfy.imported import import_graph
from limner.comfy.prompt import graph_of
from limner.engine.check import check
from limner.engine.document import Document, parse
from limner.engine.registry import Registry
from limner.graphs.library import GraphLibrary

REGISTRY = Registry.installed()
CLASSES = Classes(REGISTRY)
MANY = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


def text(document: Document) -> str:
    """The file, with numbers as JavaScript writes them: 0.0 is 0."""
    return json.dumps(json.loads(document.to_json(), parse_float=_number), indent=1)


def _number(digits: str) -> float:
    found = float(digits)
    return int(found) if found.is_integer() else found


def read(raw: dict[str, Any]) -> Document:
    document, faults = parse(raw)
    assert faults == []
    assert document is not None
    return document


def opened(document: Document) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the editor then saves, and what it sends to be run."""
    workflow = kept(workflow_of(document, CLASSES))
    return workflow, json.loads(json.dumps(prompt_of_canvas(workflow, CLASSES)))


def exported(workflow: Any, prompt: dict[str, Any]) -> Document:
    found = graph_of(prompt, CLASSES, targets=list(prompt))
    assert found.faults == []
    return read(graph_file(found.graph["nodes"], prompt, workflow, CLASSES))


@MANY
@given(documents(REGISTRY, layouts=True))
def test_a_document_comes_back_as_it_was(document: Document) -> None:
    """Nodes, ids, wires, settings, parameters, outputs, name and layout: the file is the same to the letter."""
    if document.nodes:
        assert text(exported(*opened(document))) == text(document)


@MANY
@given(documents(REGISTRY, layouts=False))
def test_only_places_are_added(document: Document) -> None:
    """To a document that has none; and once more nothing changes."""
    if document.nodes:
        first = exported(*opened(document))
        assert text(first.model_copy(update={"layout": {}})) == text(document)
        assert first.layout.keys() == {"positions"}
        assert text(exported(*opened(first))) == text(first)


@MANY
@given(documents(REGISTRY, layouts=True))
def test_a_workflow_is_imported_as_what_it_was(document: Document) -> None:
    """One that was saved by the editor is the document again."""
    if document.nodes:
        workflow, _ = opened(document)
        assert text(import_graph(workflow, REGISTRY).document) == text(document)


@MANY
@given(documents(REGISTRY, layouts=True))
def test_what_ran_opens_as_the_file_that_it_came_from(document: Document) -> None:
    """A job has the ids that its client knows; opened again, its graph has those of the file."""
    if document.nodes:
        workflow, prompt = opened(document)
        found = graph_of(prompt, CLASSES, targets=list(prompt))
        job = read(graph_of_job(found.graph["nodes"], prompt, workflow, CLASSES))
        assert set(job.nodes) == set(prompt)
        check(job, REGISTRY)
        assert text(exported(*opened(job))) == text(document)


@pytest.mark.parametrize("name", GraphLibrary().names())
def test_a_template_comes_back_as_it_was(name: str) -> None:
    """With settings that it says although they are the default, and in its own order."""
    document = read(GraphLibrary().load(name))
    if all(node.type != "Graph" for node in document.nodes.values()):
        found = exported(*opened(document))
        assert text(found.model_copy(update={"layout": document.layout})) == text(document)
