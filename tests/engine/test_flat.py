"""The graph as it ran, in one document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab import NODES, chain, graph, node

from limner.engine.check import check
from limner.engine.flat import flat_document, flat_ids
from limner.engine.keys import node_keys
from limner.engine.registry import Registry

REGISTRY = Registry(NODES)


class Shelf:
    """One graph under the name ``inner``."""

    def load(self, name: str) -> Any:
        nodes = {
            "s": node("Start", value=2),
            "h": node("Split", {"value": "s"}),
            "a": node("Sum", {"values": ["h.low", "s"]}),
        }
        return graph(nodes, parameters={"start": "s.value"}, outputs={"sum": "a"})

    def path(self, name: str) -> Path:
        return Path("/") / name

    def beside(self, name: str) -> Shelf:
        return self


def nested() -> dict[str, Any]:
    inner = {"type": "Graph", "settings": {"graph": "inner", "start": 5}}
    nodes = {"one": inner, "one-s": node("Start"), "end": node("Sum", {"values": ["one.sum", "one-s"]})}
    return graph(nodes, parameters={"begin": "one-s.value", "start": "one.start"})


def test_a_graph_without_graph_nodes_is_itself() -> None:
    """Nothing is rewritten where nothing was expanded."""
    checked = check(chain(3), REGISTRY)
    assert flat_document(checked) is checked.document


def test_graph_nodes_are_replaced_and_the_keys_stay() -> None:
    """The flat document checks without the inner file, and computes the same things under the same keys."""
    checked = check(nested(), REGISTRY, Shelf())
    ids = flat_ids(checked)
    again = check(flat_document(checked), REGISTRY)
    before = dict(zip((ids[one.id] for one in checked.nodes), node_keys(checked.nodes), strict=True))
    assert dict(zip((one.id for one in again.nodes), node_keys(again.nodes), strict=True)) == before


def test_ids_that_are_taken_get_a_number() -> None:
    """``one/s`` cannot become ``one-s`` where the graph has a node of that name."""
    ids = flat_ids(check(nested(), REGISTRY, Shelf()))
    assert ids["one/s"] == "one-s-2"
    assert ids["one-s"] == "one-s"
    assert len(set(ids.values())) == len(ids)


def test_parameters_and_outputs_lead_into_the_graphs() -> None:
    """What a caller may still set is still a parameter, of the nodes that it reaches; so are outputs."""
    document = flat_document(check(nested() | {"outputs": {"all": "end", "inner": "one.sum"}}, REGISTRY, Shelf()))
    assert document.parameters == {"begin": "one-s.value", "start": "one-s-2.value"}
    assert document.outputs == {"all": "end", "inner": "one-a"}
    again = check(document, REGISTRY)
    assert flat_document(again) is document


def test_a_parameter_that_names_a_graph_is_gone() -> None:
    """Which graph a node is can no longer be set; a parameter of several settings keeps the others."""
    several = {"which": "one.graph", "both": ["one-s.value", "one.start"]}
    document = flat_document(check(nested() | {"parameters": several}, REGISTRY, Shelf()))
    assert document.parameters == {"both": ["one-s.value", "one-s-2.value"]}
