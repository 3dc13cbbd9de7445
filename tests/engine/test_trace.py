"""The Chrome trace of a run."""

from __future__ import annotations

import json

from lab import Lab, graph, node

from limner.engine import events as ev
from limner.engine.trace import chrome_trace


def test_a_trace_shows_every_node_on_its_lane(lab: Lab) -> None:
    """Finished and failed nodes are spans on named lanes, known ones are marks; times never go back."""
    lab.run(graph({"a": node("Start", value=1)}))
    lab.run(
        graph(
            {
                "a": node("Start", value=1),
                "b": node("Add", {"value": "a"}, device="cuda:0"),
                "c": node("Fail"),
                "d": node("Add", {"value": "c"}),
            }
        )
    )
    rows = json.loads(chrome_trace(lab.log))["traceEvents"]
    spans = {row["name"]: row for row in rows if row["ph"] == "X"}
    lanes = {row["tid"]: row["args"]["name"] for row in rows if row["ph"] == "M"}
    assert {name: lanes[row["tid"]] for name, row in spans.items()} == {"b": "cuda:0", "c": "host"}
    assert [row["name"] for row in rows if row["ph"] == "i"] == ["a (cached)"]
    assert all(row["ts"] >= 0 and row["dur"] >= 0 for row in spans.values())


def test_loading_is_a_span_inside_its_node() -> None:
    """A model's loading stands on the lane of the node that waits, as long as it took, before the node's end."""
    log = [
        ev.NodeStarted(1, 10.0, "denoise", "Denoise", "cpu"),
        ev.ModelLoaded(2, 13.0, "denoise", "the transformer", "cpu", 5, 2.5),
        ev.NodeFinished(3, 14.0, "denoise", 4.0),
    ]
    load, node_ = [row for row in json.loads(chrome_trace(log))["traceEvents"] if row["ph"] == "X"]
    assert (load["name"], load["ts"], load["dur"]) == ("load the transformer", 0.5e6, 2.5e6)
    assert (node_["name"], node_["ts"], node_["dur"]) == ("denoise", 0.0, 4e6)
    assert load["tid"] == node_["tid"]


def test_a_trace_of_nothing_is_still_a_trace() -> None:
    assert json.loads(chrome_trace([]))["traceEvents"] == []
