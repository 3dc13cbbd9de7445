"""Workflows that are broken, without end, or made to harm."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parent))  # importlib mode adds no folder by itself
from drawn import REGISTRY, inputs_of, node, subgraph, wired, workflow  # found through the line above

from limner.comfy.imported import import_graph, is_from_comfyui
from limner.comfy.read_workflow import read_workflow
from limner.comfy.subgraphs import Instance, instances
from limner.comfy.workflow import Workflow
from limner.engine.errors import GraphError


def test_a_subgraph_inside_itself_is_refused() -> None:
    inside = subgraph("a", [node(1, "a")], [], [])
    with pytest.raises(GraphError, match="contains itself"):
        import_graph(workflow([node(1, "a")], [], [inside]), REGISTRY)


def test_subgraphs_that_grow_without_end_are_refused() -> None:
    """Each level uses the next ten times: the count is known before anything is built."""
    levels = [subgraph(f"s{i}", [node(k, f"s{i + 1}") for k in range(10)], [], []) for i in range(8)]
    with pytest.raises(GraphError, match="more than"):
        import_graph(workflow([node(1, "s0")], [], [*levels, subgraph("s8", [], [], [])]), REGISTRY)


@pytest.mark.parametrize("name", ["1" * 5000, "1"], ids=["long", "deep"])
def test_ids_that_get_too_long_are_refused(name: str) -> None:
    """Every node inside would have them in its own: many megabytes, of a small file."""
    levels = [subgraph(f"s{i}", [{"id": name, "type": f"s{i + 1}"}], [], []) for i in range(300)]
    raw = workflow([node(1, "s0")], [], [*levels, subgraph("s300", [node(1, "SaveImage")], [], [])])
    with pytest.raises(GraphError, match="the id of a node is too long"):
        _all_of(read_workflow(raw))


def _all_of(read: Workflow) -> list[Instance]:
    if read.faults:
        raise GraphError(read.faults)
    return instances(read)


def test_wires_in_a_circle_are_refused() -> None:
    """A reroute into itself ends nowhere."""
    raw = workflow(
        [node(1, "Reroute", wired("", 1)), node(2, "SaveImage", wired("images", 2, "IMAGE"), values=("x",))],
        [[1, 1, 0, 1, 0, "*"], [2, 1, 0, 2, 0, "*"]],
    )
    with pytest.raises(GraphError, match="cycle"):
        import_graph(raw, REGISTRY)


def test_a_long_chain_is_no_deep_one() -> None:
    """Ten thousand reroutes in a row are followed without recursion."""
    count = 10_000
    chain = [node(i, "Reroute", wired("", i)) for i in range(2, count)]
    raw = workflow(
        [
            node(1, "PrimitiveInt", values=(8, "fixed")),
            *chain,
            node(count, "Flux2Scheduler", wired("steps", count), values=(4, 16, 16)),
        ],
        [[i, i - 1, 0, i, 0, "*"] for i in range(2, count + 1)],
    )
    assert inputs_of(raw, str(count))["steps"] == ["1", 0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.sampled_from(["", "1", "Reroute", "SaveImage", "s", "-10"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "type", "link", "name"]), inner, max_size=4)
    ),
    max_leaves=8,
)
TYPES = st.sampled_from(
    ["Reroute", "PrimitiveInt", "PrimitiveNode", "SaveImage", "VAEDecode", "s", "t", "Unknown", "Note"]
)
NODES = st.fixed_dictionaries(
    {"id": st.integers(1, 4), "type": TYPES},
    optional={
        "inputs": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from(["value", "images", "samples"]), "link": st.integers(1, 5)}),
            max_size=3,
        ),
        "outputs": JSON,
        "mode": st.sampled_from([0, 2, 4]),
        "widgets_values": JSON,
        "properties": st.fixed_dictionaries({"proxyWidgets": JSON}),
        "pos": JSON,
    },
)
LINKS = st.tuples(st.integers(1, 5), st.integers(-1, 4), st.integers(-1, 2), st.integers(1, 4), st.integers(0, 2)).map(
    list
)
LEVELS = {"nodes": st.lists(NODES | JSON, max_size=5), "links": st.lists(LINKS | JSON, max_size=6)}
SUBGRAPHS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["s", "t"]),
        "inputNode": st.just({"id": -1}),
        "outputNode": st.just({"id": 4}),
        "inputs": JSON,
        **LEVELS,
    }
)
WORKFLOWS = st.fixed_dictionaries(
    {**LEVELS, "definitions": st.fixed_dictionaries({"subgraphs": st.lists(SUBGRAPHS, max_size=3)}) | JSON}
)


@settings(deadline=None)
@given(WORKFLOWS | JSON)
def test_no_workflow_is_a_crash(raw: Any) -> None:
    """Whatever is in the file, it becomes a graph or faults."""
    if not is_from_comfyui(raw):
        return
    try:
        found = import_graph(raw, REGISTRY)
    except GraphError:
        return
    json.loads(found.document.to_json())
