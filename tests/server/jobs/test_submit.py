"""How graphs come into the store."""

from __future__ import annotations

import json

import pytest

from limner.engine.errors import GraphError
from limner.server.jobs.store import JobStore
from limner.server.jobs.submit import submit
from limner.session import Session


def test_a_wrong_graph_is_not_accepted(store: JobStore) -> None:
    """Every fault is said, paths that lead out among them, and no job is there."""
    with pytest.raises(GraphError, match="at least 1"):
        submit(store, Session(), "text_to_image", {"steps": 0})
    with pytest.raises(GraphError) as found:
        submit(store, Session(), "text_to_image", {"save.path": "../../image.png"})
    assert [fault.where for fault in found.value.faults] == ["nodes.save.settings.path"]
    assert store.history.page().jobs == ()


def test_what_is_kept_needs_no_other_graph(store: JobStore) -> None:
    """A graph that takes a template as a node is kept without it, with the values that were given."""
    nodes = {
        "draw": {"type": "Graph", "settings": {"graph": "text_to_image", "prompt": "a star"}},
        "save": {"type": "SaveImage", "wires": {"images": "draw.image"}},
    }
    job = submit(
        store,
        Session(),
        {"limner": 1, "name": "mine", "nodes": nodes},
        {"save.path": "star.png"},
        client="me",
        priority=3,
        idempotency_key="k",
        notes={"from": "a test"},
    )
    assert (job.name, job.client, job.priority) == ("mine", "me", 3)
    kept = json.loads(store.history.graph(job.id))["nodes"]
    assert "Graph" not in {node["type"] for node in kept.values()}
    assert kept["save"]["settings"]["path"] == "star.png"
    assert store.history.notes(job.id) == {"from": "a test"}
