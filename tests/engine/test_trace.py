"""The Chrome trace of a run."""

from __future__ import annotations

import json

from lab import Lab, graph, node

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


def test_a_trace_of_nothing_is_still_a_trace() -> None:
    assert json.loads(chrome_trace([]))["traceEvents"] == []
